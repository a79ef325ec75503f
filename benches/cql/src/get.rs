//! Some pin by its CID: one read.

use crate::Plan;
use crate::pace::deed;
use crate::pins;
use crate::server::Bench;
use crate::table::Row;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pins that are read in turn.
const PINS: u64 = 4_096;

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let bench = Bench::start()?;
    let put = bench.runtime.block_on(pins::put(&bench.store, PINS))?;
    let cids = Turns::of(put.iter().map(|pin| pin.pin.cid));
    let store = bench.store.clone();
    let ours = deed(move |_| {
        let (store, cid) = (store.clone(), cids.next());
        async move {
            let found = store.pin(&cid.context("no pins")?).await?;
            ensure!(found.is_some(), "a pin is not there");
            Ok(())
        }
    });
    let keys = bench.runtime.block_on(pins::keys(&bench.bare))?;
    let keys = Turns::of(keys.into_iter().map(Arc::new));
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |_| {
        let (bare, key) = (Arc::clone(&bare), keys.next());
        async move {
            let key = key.context("no pins")?;
            let found = pins::read(&bare, key.prefix, &key.cid).await?;
            ensure!(found.is_some(), "a pin is not there");
            Ok(())
        }
    });
    bench.compare("cql_get", plan, (&ours, &theirs))
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
