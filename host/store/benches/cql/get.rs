//! Some pin by its CID: one read.

use crate::Plan;
use crate::pace::deed;
use crate::pins;
use crate::server::Bench;
use crate::table::Row;
use holdfast_model::Cid;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pins that are read in turn.
const PINS: u64 = 4_096;

pub(crate) fn rows(plan: &Plan) -> Vec<Row> {
    let bench = Bench::start();
    let put = bench.runtime.block_on(pins::put(&bench.store, PINS));
    let cids: Arc<[Cid]> = put.iter().map(|pin| pin.pin.cid).collect();
    let store = bench.store.clone();
    let turn = AtomicUsize::new(0);
    let ours = deed(move |_| {
        let (store, cid) = (store.clone(), cids[next(&turn, cids.len())]);
        async move { assert!(store.pin(&cid).await.unwrap().is_some()) }
    });
    let keys = bench.runtime.block_on(pins::keys(&bench.bare));
    let keys: Arc<[_]> = keys.into_iter().map(Arc::new).collect();
    let bare = Arc::clone(&bench.bare);
    let turn = AtomicUsize::new(0);
    let theirs = deed(move |_| {
        let (bare, key) = (
            Arc::clone(&bare),
            Arc::clone(&keys[next(&turn, keys.len())]),
        );
        async move { assert!(pins::read(&bare, key.prefix, &key.cid).await.is_some()) }
    });
    bench.compare("cql_get", plan, (&ours, &theirs))
}

fn next(turn: &AtomicUsize, count: usize) -> usize {
    turn.fetch_add(1, Ordering::Relaxed) % count
}
