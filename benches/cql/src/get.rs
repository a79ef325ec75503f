//! Some pin by its CID: one read. Both sides are given a CID and answer a pin.

use crate::Plan;
use crate::bare::Bare;
use crate::pace::deed;
use crate::pins;
use crate::server::Bench;
use crate::table::Row;
use anyhow::{Context, Result, ensure};
use holdfast_model::{Cid, Pin, StoredPin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pins that are read in turn.
const PINS: u64 = 4_096;

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let bench = Bench::start()?;
    let put = bench.runtime.block_on(pins::put(&bench.store, PINS))?;
    let cids = Arc::new(Turns::of(put.iter().map(|pin| pin.pin.cid)));
    let (store, turns) = (bench.store.clone(), Arc::clone(&cids));
    let ours = deed(move |_| {
        let (store, cid) = (store.clone(), turns.next());
        async move {
            let found = store.pin(&cid.context("no pins")?).await?;
            ensure!(found.is_some(), "a pin is not there");
            Ok(())
        }
    });
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |_| {
        let (bare, cid) = (Arc::clone(&bare), cids.next());
        async move {
            let found = get(&bare, &cid.context("no pins")?).await?;
            ensure!(found.is_some(), "a pin is not there");
            Ok(())
        }
    });
    bench.compare("cql_get", plan, (&ours, &theirs))
}

async fn get(bare: &Bare, cid: &Cid) -> Result<Option<StoredPin>> {
    let found = pins::read(bare, bare.prefix(cid), &cid.to_bytes()).await?;
    let Some((version, _, requests, by_cluster, _, body)) = found else {
        return Ok(None);
    };
    Ok(Some(StoredPin {
        pin: Pin::from_proto(&body)?,
        version: version.cast_unsigned(),
        requests: requests.cast_unsigned(),
        by_cluster,
    }))
}

/// One after the other, round and round.
struct Turns<T> {
    all: Vec<T>,
    turn: AtomicUsize,
}

impl<T: Clone> Turns<T> {
    fn of(all: impl Iterator<Item = T>) -> Self {
        Self {
            all: all.collect(),
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> Option<T> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = turn.checked_rem(self.all.len())?;
        self.all.get(at).cloned()
    }
}
