//! Pins against who wants them, placements against what is derived from them.

use super::Walk;
use crate::Result;
use crate::cql::pin::GRAVE;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use crate::row::decode_placement;
use holdfast_model::{Cid, Pin, UnixMillis};
use std::collections::{HashMap, HashSet};

/// Pins, in the expiry index.
const KIND: i8 = 1;

/// Up to so many requests a pin's count is exact, and stays there.
const REQUESTS_MAX: u64 = 1_000;

type PinRow = (i32, Vec<u8>, i64, bool, Option<i64>, Vec<u8>);
type PlacementRow = (i32, Vec<u8>, Vec<u8>, i64, Option<Vec<u8>>);
type Due = (Vec<u8>, i64, i64, Vec<u8>, i64);

impl Walk<'_> {
    pub(super) async fn pins(&mut self) -> Result<()> {
        let mut wanted = std::mem::take(&mut self.wanted);
        let rows: Vec<PinRow> = self.all(Statement::ScanPins).await?;
        for (prefix, key, requests, by_cluster, expires, body) in rows {
            let cid = cid_of(&key)?;
            if !by_cluster && requests == 0 && expires == Some(GRAVE) {
                // It goes by itself.
                continue;
            }
            let wishes = wanted.remove(&key).unwrap_or_default().min(REQUESTS_MAX);
            if requests.unsigned_abs() != wishes {
                self.fault(|| format!("pin {cid} counts {requests} requests of {wishes}"));
            }
            if wishes == 0 && !by_cluster {
                self.fault(|| format!("pin {cid} is wanted by nobody"));
            }
            if !self.is_prefix_of(prefix, &key)? {
                self.fault(|| format!("pin {cid} lies at prefix {prefix}"));
            }
            let unreadable = |e| StoreError::Corrupt(format!("pin {cid} holds {e}"));
            let pin = Pin::from_proto(&body).map_err(unreadable)?;
            if pin.cid != cid {
                self.fault(|| format!("pin {cid} holds {}", pin.cid));
            }
            let at = pin.options.expire_at.filter(|_| by_cluster);
            let entry = at.map(|at| (KIND, signed(at), key));
            let is_there = |entry: &(i8, i64, Vec<u8>)| {
                expires == Some(entry.1) && self.expiry.contains(entry)
            };
            if entry.is_some_and(|entry| !is_there(&entry)) {
                self.fault(|| format!("expiry lacks pin {cid}"));
            }
        }
        for key in wanted.into_keys() {
            let cid = cid_of(&key)?;
            self.fault(|| format!("pin {cid} is wanted and not there"));
        }
        Ok(())
    }

    pub(super) async fn placements(&mut self) -> Result<()> {
        let of_peer: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = self.all(Statement::ScanOfPeer).await?;
        let mut of_peer: HashMap<_, _> = of_peer
            .into_iter()
            .map(|(peer, cid, body)| ((peer, cid), body))
            .collect();
        let due = self.due().await?;
        let rows: Vec<PlacementRow> = self.all(Statement::ScanPlacements).await?;
        for (prefix, cid, peer, version, body) in rows {
            let place = (peer, cid);
            let listed = of_peer.remove(&place);
            let cid = cid_of(&place.1)?;
            if !self.is_prefix_of(prefix, &place.1)? {
                self.fault(|| format!("a placement of {cid} lies at prefix {prefix}"));
            }
            // Without a body it is deleted, and whoever meets it removes it.
            let Some(body) = body else {
                continue;
            };
            let placement = decode_placement(&body)?;
            let peer = placement.peer;
            if listed.as_ref() != Some(&body) {
                self.fault(|| format!("the list of {peer} shows the placement of {cid} otherwise"));
            }
            let its_due = placement.due.map(signed);
            let queued = its_due.map(|at| (place.0, at, place.1, version));
            if queued.is_some_and(|queued| !due.contains(&queued)) {
                self.fault(|| format!("the queue of {peer} lacks the placement of {cid}"));
            }
        }
        for (_, cid) in of_peer.into_keys() {
            let cid = cid_of(&cid)?;
            self.fault(|| format!("a peer's list has a placement of {cid}, which is not there"));
        }
        Ok(())
    }

    /// What is queued in slots that are looked into: peer, instant, CID and version.
    async fn due(&self) -> Result<HashSet<(Vec<u8>, i64, Vec<u8>, i64)>> {
        let slots: Vec<(Vec<u8>, i64)> = self.all(Statement::ScanDueSlots).await?;
        let slots: HashSet<_> = slots.into_iter().collect();
        let rows: Vec<Due> = self.all(Statement::ScanDue).await?;
        let mut due = HashSet::with_capacity(rows.len());
        for (peer, slot, at, cid, version) in rows {
            let place = (peer, slot);
            if slots.contains(&place) {
                due.insert((place.0, at, cid, version));
            }
        }
        Ok(due)
    }

    pub(super) fn is_prefix_of(&self, prefix: i32, key: &[u8]) -> Result<bool> {
        Ok(self.shared.params.prefix(&cid_of(key)?) == prefix)
    }
}

fn cid_of(key: &[u8]) -> Result<Cid> {
    Cid::from_bytes(key).map_err(|e| StoreError::Corrupt(format!("a key holds {e}")))
}

fn signed(at: UnixMillis) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
