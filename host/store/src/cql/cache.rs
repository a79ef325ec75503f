//! Pins that were lately read, and that there were none.
//!
//! What is kept may be as old as the change feed is late: for readers who can live with that. A
//! write of this process forgets what it changes at once, the feed's tail what others change. A
//! read that began before its pin was forgotten keeps nothing. Where a pin is placed is not told by
//! the feed, so nothing is kept for long.

use crate::Result;
use arc_swap::ArcSwapOption;
use holdfast_model::{Cid, StoredPin};
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, Opts};
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Places of [`Marks`]: so many that two pins rarely share one, at 8 bytes each.
const MARKS: usize = 4_096;

/// Milliseconds for which a pin is kept: a pin that is asked for often is read once in so long.
const KEPT_MILLIS: u64 = 2_000;

/// The cache.
#[derive(Debug)]
pub(crate) struct PinCache {
    /// Of size 0: nothing is kept, and reads that run at the same time are still joined.
    kept: ArcSwapOption<Cache<Cid, Kept>>,
    pins: AtomicUsize,
    /// How long, in milliseconds.
    kept_millis: AtomicU64,
    reading: Mutex<HashMap<Cid, Arc<Reading>>>,
    marks: Marks,
    looked: IntCounterVec,
}

/// What a read found, and when it began.
#[derive(Debug, Clone)]
struct Kept {
    found: Option<StoredPin>,
    began: Instant,
}

/// A read under way, and who waits for it.
#[derive(Debug)]
struct Reading {
    mark: u64,
    began: Instant,
    found: OnceCell<Option<StoredPin>>,
}

/// One who waits for a read. The last to go away without an answer takes the read along.
struct Here<'a> {
    cache: &'a PinCache,
    cid: &'a Cid,
    reading: Arc<Reading>,
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let mut all = self.cache.reading.lock();
        let is_this = all
            .get(self.cid)
            .is_some_and(|of| Arc::ptr_eq(of, &self.reading));
        // One in the map, one here.
        if is_this && Arc::strong_count(&self.reading) <= 2 {
            all.remove(self.cid);
        }
    }
}

/// How often each pin was forgotten, as exactly as needed: a pin whose mark has moved *may* have
/// been forgotten.
#[derive(Debug)]
struct Marks {
    of_pins: Vec<AtomicU64>,
    of_all: AtomicU64,
}

impl Marks {
    fn at(&self, cid: &Cid) -> u64 {
        let all = self.of_all.load(Ordering::Acquire);
        let of_pin = self.place(cid).map_or(0, |of| of.load(Ordering::Acquire));
        // Both only grow, so the sum moves when either does.
        all.wrapping_add(of_pin)
    }

    fn place(&self, cid: &Cid) -> Option<&AtomicU64> {
        let last = cid.digest().iter().rev().take(4);
        let hash = last.fold(0usize, |hash, byte| hash << 8 | usize::from(*byte));
        self.of_pins.get(hash % MARKS)
    }
}

impl PinCache {
    /// A cache for so many pins, absent ones included.
    pub(crate) fn new(pins: usize) -> Self {
        Self {
            kept: ArcSwapOption::new(kept(pins)),
            pins: AtomicUsize::new(pins),
            kept_millis: AtomicU64::new(KEPT_MILLIS),
            reading: Mutex::default(),
            marks: Marks {
                of_pins: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
                of_all: AtomicU64::new(0),
            },
            looked: counters(),
        }
    }

    /// From now on for so many. Another number forgets what was kept.
    pub(crate) fn resize(&self, pins: usize) {
        if self.pins.swap(pins, Ordering::AcqRel) != pins {
            self.kept.store(kept(pins));
        }
    }

    /// The pin as it was kept or, if it was not, as `read` finds it. Who asks for a pin that is
    /// being read waits for that read.
    pub(crate) async fn pin<F>(
        &self,
        cid: &Cid,
        read: impl FnOnce() -> F,
    ) -> Result<Option<StoredPin>>
    where
        F: Future<Output = Result<Option<StoredPin>>>,
    {
        let kept = self.kept.load();
        let kept = kept.as_ref().and_then(|kept| kept.get(cid));
        if let Some(kept) = kept.filter(|kept| kept.began.elapsed() < self.kept_for()) {
            self.count("hit");
            return Ok(kept.found);
        }
        let (reading, is_first) = self.join(cid);
        self.count(if is_first { "miss" } else { "joined" });
        let here = Here {
            cache: self,
            cid,
            reading,
        };
        let found = here.reading.found.get_or_try_init(read).await.cloned();
        self.leave(cid, &here.reading, found.as_ref().ok());
        found
    }

    fn kept_for(&self) -> Duration {
        Duration::from_millis(self.kept_millis.load(Ordering::Relaxed))
    }

    /// Keeps pins for so long: for tests of what has them forgotten sooner.
    #[cfg(any(test, feature = "contract"))]
    pub(crate) fn keep_for(&self, millis: u64) {
        self.kept_millis.store(millis, Ordering::Relaxed);
    }

    /// A pin has changed, or may have.
    pub(crate) fn forget(&self, cid: &Cid) {
        // The mark first: who reads it afterwards reads the pin afterwards too.
        if let Some(mark) = self.marks.place(cid) {
            mark.fetch_add(1, Ordering::AcqRel);
        }
        self.reading.lock().remove(cid);
        if let Some(kept) = &*self.kept.load() {
            kept.remove(cid);
        }
    }

    /// Anything may have changed.
    pub(crate) fn forget_all(&self) {
        self.marks.of_all.fetch_add(1, Ordering::AcqRel);
        self.reading.lock().clear();
        if let Some(kept) = &*self.kept.load() {
            kept.clear();
        }
    }

    /// Hits, misses and reads that were joined.
    pub(crate) fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.looked.clone())
    }

    /// The read under way, or a new one.
    fn join(&self, cid: &Cid) -> (Arc<Reading>, bool) {
        let mut all = self.reading.lock();
        if let Some(reading) = all.get(cid) {
            return (Arc::clone(reading), false);
        }
        let reading = Arc::new(Reading {
            mark: self.marks.at(cid),
            began: Instant::now(),
            found: OnceCell::new(),
        });
        all.insert(*cid, Arc::clone(&reading));
        (reading, true)
    }

    /// The read is over: what it found is kept, unless the pin was forgotten meanwhile.
    fn leave(&self, cid: &Cid, reading: &Arc<Reading>, found: Option<&Option<StoredPin>>) {
        let mut all = self.reading.lock();
        let is_this = all.get(cid).is_some_and(|of| Arc::ptr_eq(of, reading));
        if !is_this {
            return;
        }
        all.remove(cid);
        if let (Some(found), Some(kept)) = (found, &*self.kept.load()) {
            let (found, began) = (found.clone(), reading.began);
            kept.insert(*cid, Kept { found, began });
            // Forgotten between the lock and here: the mark has moved, so out again.
            if self.marks.at(cid) != reading.mark {
                kept.remove(cid);
            }
        }
    }

    fn count(&self, result: &str) {
        self.looked.with_label_values(&[result]).inc();
    }
}

fn kept(pins: usize) -> Option<Arc<Cache<Cid, Kept>>> {
    (pins > 0).then(|| Arc::new(Cache::new(pins)))
}

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; a test makes it"
)]
fn counters() -> IntCounterVec {
    let options = Opts::new(
        "holdfast_cql_cache_total",
        "Look-ups of the cache of pins: hit, miss, joined (to a read that was under way).",
    );
    IntCounterVec::new(options, &["result"]).expect("the name and the label are constants")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;
    use tokio::sync::Notify;

    fn cid() -> Cid {
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn absence_is_kept_until_forgotten() {
        let cache = PinCache::new(10);
        let reads = AtomicUsize::new(0);
        let read = || async {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        };
        for _ in 0..3 {
            assert_eq!(cache.pin(&cid(), read).await.unwrap(), None);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        cache.forget(&cid());
        cache.pin(&cid(), read).await.unwrap();
        cache.forget_all();
        cache.pin(&cid(), read).await.unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn reads_at_the_same_time_are_one() {
        let cache = PinCache::new(0);
        let reads = AtomicUsize::new(0);
        let read = || async {
            tokio::task::yield_now().await;
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        };
        let cid = cid();
        let (a, b) = tokio::join!(cache.pin(&cid, read), cache.pin(&cid, read));
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        assert!(cache.reading.lock().is_empty());
        // Size 0 keeps nothing.
        cache.pin(&cid, read).await.unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_changes_during_a_read_is_not_kept() {
        let cache = PinCache::new(10);
        let (began, go_on) = (Notify::new(), Notify::new());
        let cid = cid();
        let slow = cache.pin(&cid, || async {
            began.notify_one();
            go_on.notified().await;
            Ok(None)
        });
        let meanwhile = async {
            began.notified().await;
            cache.forget(&cid);
            // Who comes now does not join the old read.
            let new = cache.pin(&cid, || async { Err(StoreError::Overloaded) });
            assert!(new.await.is_err());
            go_on.notify_one();
        };
        let (old, ()) = tokio::join!(slow, meanwhile);
        assert_eq!(old.unwrap(), None);
        let now = cache.pin(&cid, || async { Err(StoreError::Overloaded) });
        assert!(now.await.is_err(), "the old read was kept");
    }

    #[tokio::test]
    async fn another_size_counts_from_then_on() {
        let cache = PinCache::new(0);
        let (reads, cid) = (AtomicUsize::new(0), cid());
        let read = || async {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        };
        let mut counts = Vec::new();
        for pins in [0, 10, 10, 0] {
            cache.resize(pins);
            for _ in 0..2 {
                cache.pin(&cid, read).await.unwrap();
            }
            counts.push(reads.load(Ordering::Relaxed));
        }
        // Nothing is kept; then the first read is; the same size forgets nothing.
        assert_eq!(counts, [2, 3, 3, 5]);
    }

    #[tokio::test]
    async fn a_read_that_fails_is_not_kept() {
        let cache = PinCache::new(10);
        let cid = cid();
        let failing = cache.pin(&cid, || async { Err(StoreError::Overloaded) });
        assert!(failing.await.is_err());
        let good = cache.pin(&cid, || async { Ok(None) });
        assert_eq!(good.await.unwrap(), None);
    }
}
