//! A follower of the change feed, as a worker is one: from where the run began, through everything.

use crate::load::World;
use crate::timeline::Call;
use holdfast_model::{Change, Cid, Cursor};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Entries of one page.
const PAGE: u32 = 500;

/// A wake-up may be missed; the feed is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long the feed may take, once the cluster is well, until it has told everything.
const CATCH_UP: Duration = Duration::from_secs(30);

/// A follower that runs.
pub(crate) struct Follower {
    world: Arc<World>,
    seen: Arc<Mutex<BTreeMap<Vec<u8>, usize>>>,
    is_over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Follower {
    pub(crate) fn start(world: &Arc<World>) -> Self {
        let seen = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let begin = *world.stores[1].head().borrow();
        let task = follow(
            Arc::clone(world),
            Arc::clone(&seen),
            Arc::clone(&is_over),
            begin,
        );
        Self {
            world: Arc::clone(world),
            seen,
            is_over,
            task: tokio::spawn(task),
        }
    }

    /// Waits until every acknowledged change has been seen, and complains of those that were not.
    pub(crate) async fn finish(mut self) {
        let begun = Instant::now();
        while !self.unseen().is_empty() && begun.elapsed() < CATCH_UP {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.is_over.store(true, Ordering::Relaxed);
        (&mut self.task).await.unwrap();
        for (cid, changes, seen) in self.unseen() {
            self.world.ledger.wrong(format!(
                "the feed told {seen} of {changes} acknowledged changes of {cid}"
            ));
        }
    }

    /// CIDs of which the feed has told less than it must.
    fn unseen(&self) -> Vec<(Cid, usize, usize)> {
        let mut changes: BTreeMap<Vec<u8>, (Cid, usize)> = BTreeMap::new();
        let ledger = &self.world.ledger;
        // Changes of shared pins may be told together; those of a pin's only writer may not.
        for known in ledger.requests() {
            if known.acknowledged.is_some() {
                let cid = known.draft.asked.cid;
                changes.entry(cid.to_bytes()).or_insert((cid, 1));
            }
        }
        for (cid, _) in ledger.contended() {
            changes.insert(cid.to_bytes(), (cid, 1));
        }
        for known in ledger.pins() {
            changes.insert(known.cid.to_bytes(), (known.cid, known.announced));
        }
        let seen = self.seen.lock();
        let told = |(bytes, (cid, changes)): (Vec<u8>, (Cid, usize))| {
            (cid, changes, seen.get(&bytes).copied().unwrap_or_default())
        };
        let all = changes.into_iter().map(told);
        all.filter(|(_, changes, seen)| seen < changes).collect()
    }
}

async fn follow(
    world: Arc<World>,
    seen: Arc<Mutex<BTreeMap<Vec<u8>, usize>>>,
    is_over: Arc<AtomicBool>,
    mut cursor: Cursor,
) {
    let store = &world.stores[1];
    let mut head = store.head();
    while !is_over.load(Ordering::Relaxed) {
        let page = store.changes(cursor, PAGE);
        let page: Vec<Change> = world
            .timeline
            .note(Call::Read, page)
            .await
            .unwrap_or_default();
        for change in &page {
            if change.cursor < cursor {
                world.ledger.wrong(format!(
                    "the feed went back from {cursor:?} to {:?}",
                    change.cursor
                ));
            }
            cursor = change.cursor;
            *seen.lock().entry(change.cid.to_bytes()).or_default() += 1;
        }
        if page.is_empty() {
            let _moved = timeout(LOOK_AGAIN, head.changed()).await;
        }
    }
}
