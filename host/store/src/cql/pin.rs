//! Pins: rows that are written by conditions only.

mod change;
mod expiry;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use self::change::{PinLanes, PinOp};
pub(super) use self::record::{GRAVE, PinColumns, PinPlace, PinRecord};

use super::Cql;
use crate::error::StoreError;
use crate::rules::PIN;
use crate::{Expect, PinEntry, PinStep, Result};
use futures_util::future::join_all;
use holdfast_model::{Cid, PeerId, Pin, StoredPin};
use std::collections::HashSet;

/// Changes of many that are under way at once: beyond these, calls wait in the driver's queue and
/// take from others.
const CHANGES_AT_ONCE: usize = 256;

impl Cql {
    pub(crate) async fn pin(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        let shared = &self.shared;
        let found = PinPlace::of(shared, cid).read(shared).await?;
        match found {
            Some(record) if record.is_wanted() => record.shown(),
            Some(record) => {
                if !record.is_grave() {
                    shared.tidy_pin(cid);
                }
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// What waits for the answer holds the pin in one place, and not at each step on the way there.
    pub(crate) fn put_pin(
        &self,
        pin: Pin,
        expect: Expect,
    ) -> impl Future<Output = Result<StoredPin>> {
        let cid = pin.cid;
        let op = PinOp::put(pin, expect);
        async move { self.change_to_pin(&cid, op?).await }
    }

    pub(crate) async fn delete_pin(&self, cid: &Cid, expect: Expect) -> Result<()> {
        let op = PinOp::Delete(expect);
        self.shared.change_pin(cid, op).await.map(drop)
    }

    /// Makes changes, so many at once, those of one CID one after the other.
    pub(crate) async fn change_pins(&self, entries: Vec<PinEntry>) -> Vec<Result<Option<u64>>> {
        let mut answers = Vec::with_capacity(entries.len());
        let (mut together, mut cids) = (Vec::new(), HashSet::new());
        for entry in entries {
            let cid = entry.cid();
            if together.len() >= CHANGES_AT_ONCE || !cids.insert(cid) {
                answers.extend(join_all(together.drain(..)).await);
                cids = HashSet::from([cid]);
            }
            together.push(Box::pin(self.change_one(entry)));
        }
        answers.extend(join_all(together).await);
        answers
    }

    async fn change_one(&self, entry: PinEntry) -> Result<Option<u64>> {
        self.must_be_open()?;
        match entry.step {
            PinStep::Put(pin) => {
                let stored = self.put_pin(*pin, entry.expect).await?;
                Ok(Some(stored.version))
            }
            PinStep::Delete(cid) => self.delete_pin(&cid, entry.expect).await.map(|()| None),
        }
    }

    pub(crate) async fn allocate_pin(
        &self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        let op = PinOp::Allocate(version, allocations);
        self.change_to_pin(cid, op).await
    }

    async fn change_to_pin(&self, cid: &Cid, op: PinOp) -> Result<StoredPin> {
        let changed = self.shared.change_pin(cid, op).await?;
        changed.pin.map(|pin| *pin).ok_or(StoreError::NotFound(PIN))
    }
}
