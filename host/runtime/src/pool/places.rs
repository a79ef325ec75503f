//! Who may run.

use crate::limits::BUSY_WAIT;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Bounds how many calls run at once. Who finds no place waits a little, and is then turned away.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    taken: AtomicUsize,
    waiters: AtomicUsize,
    door: Mutex<()>,
    freed: Condvar,
}

impl Places {
    /// So many places.
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            door: Mutex::new(()),
            freed: Condvar::new(),
        }
    }

    /// Takes a place, or `None` if none came free in time.
    pub(crate) fn take(&self) -> Option<Place<'_>> {
        if self.try_take() || self.wait() {
            return Some(Place(self));
        }
        None
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many wait for one.
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.load(Ordering::Relaxed)
    }

    fn try_take(&self) -> bool {
        let more = |taken: usize| (taken < self.most).then(|| taken.saturating_add(1));
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// A waiter says so before it looks again, and who leaves looks for waiters after leaving: one
    /// of the two sees the other.
    fn wait(&self) -> bool {
        let until = Instant::now().checked_add(BUSY_WAIT);
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let mut door = self.door.lock();
        let mut is_taken = self.try_take();
        while !is_taken {
            let is_over =
                until.is_none_or(|until| self.freed.wait_until(&mut door, until).timed_out());
            is_taken = self.try_take();
            if is_over {
                break;
            }
        }
        drop(door);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        is_taken
    }
}

/// A place that is taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiters.load(Ordering::SeqCst) > 0 {
            let _door = self.0.door.lock();
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_finds_no_place_is_turned_away_in_time() {
        let places = Places::new(1);
        let held = places.take().unwrap();
        let start = Instant::now();
        assert!(places.take().is_none());
        assert!(start.elapsed() >= BUSY_WAIT);
        drop(held);
        assert!(places.take().is_some());
    }

    #[test]
    fn a_place_that_comes_free_wakes_a_waiter() {
        let places = Arc::new(Places::new(2));
        let ran = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (places, ran) = (Arc::clone(&places), Arc::clone(&ran));
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        let _place = places.take().unwrap();
                        assert!(places.taken.load(Ordering::SeqCst) <= 2);
                        ran.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(ran.load(Ordering::SeqCst), 4_000);
        assert_eq!(places.taken.load(Ordering::SeqCst), 0);
    }
}
