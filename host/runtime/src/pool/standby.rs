//! Fresh instances, each for a single call.
//!
//! Making an instance takes tens of microseconds and throwing one away some more. A thread does
//! both beside the calls: it keeps a stock of instances that have their settings already, so what a
//! call pays is little more than a call on a warm one. When the stock is used up, callers make
//! their own.

use crate::error::Fault;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

/// The thread looks around so often without being called: what was used is thrown away even when
/// no more calls come.
const ROUND: Duration = Duration::from_millis(100);

/// A stock of fresh things and the thread that tends it. The thread ends when this is dropped.
pub(crate) struct Standby<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// How many are to be ready.
    target: usize,
    shelf: Mutex<Shelf<T>>,
    wake: Condvar,
}

struct Shelf<T> {
    ready: Vec<T>,
    spent: Vec<T>,
    /// The thread has nothing to do and must be called.
    is_asleep: bool,
    is_over: bool,
}

impl<T: Send + 'static> Standby<T> {
    /// Starts the thread.
    pub(crate) fn start(
        target: usize,
        make: impl Fn() -> Result<T, Fault> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            target,
            shelf: Mutex::new(Shelf {
                ready: Vec::with_capacity(target),
                spent: Vec::with_capacity(target),
                is_asleep: false,
                is_over: false,
            }),
            wake: Condvar::new(),
        });
        let tended = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("plugin-standby".into())
            .spawn(move || tended.tend(make))?;
        Ok(Self(shared))
    }

    /// A fresh one, if any is ready. The newest: its memory is the likeliest to be in the cache.
    pub(crate) fn take(&self) -> Option<T> {
        let mut shelf = self.0.shelf.lock();
        let taken = shelf.ready.pop();
        // Called when half is gone rather than each time: calling costs microseconds.
        let is_low = shelf.ready.len() <= self.0.target / 2;
        self.0.call_if(is_low, shelf);
        taken
    }

    /// Takes a used one, to be thrown away by the thread. It comes back if the thread is behind.
    pub(crate) fn discard(&self, item: T) -> Option<T> {
        let mut shelf = self.0.shelf.lock();
        if shelf.spent.len() >= self.0.target {
            return Some(item);
        }
        shelf.spent.push(item);
        let is_high = shelf.spent.len() > self.0.target / 2;
        self.0.call_if(is_high, shelf);
        None
    }

    /// Adds one that was made elsewhere.
    pub(crate) fn stock(&self, item: T) {
        self.0.shelf.lock().ready.push(item);
    }

    /// How many are ready, and how many are used.
    pub(crate) fn len(&self) -> (usize, usize) {
        let shelf = self.0.shelf.lock();
        (shelf.ready.len(), shelf.spent.len())
    }
}

impl<T> Drop for Standby<T> {
    fn drop(&mut self) {
        let mut shelf = self.0.shelf.lock();
        shelf.is_over = true;
        self.0.call_if(true, shelf);
    }
}

impl<T> Shared<T> {
    fn call_if(&self, is_needed: bool, mut shelf: parking_lot::MutexGuard<'_, Shelf<T>>) {
        let is_called = is_needed && shelf.is_asleep;
        if is_called {
            shelf.is_asleep = false;
        }
        drop(shelf);
        if is_called {
            self.wake.notify_one();
        }
    }

    /// The thread's work.
    fn tend(&self, make: impl Fn() -> Result<T, Fault>) {
        let mut has_failed = false;
        loop {
            let mut shelf = self.shelf.lock();
            if shelf.is_over {
                let rest = (
                    std::mem::take(&mut shelf.ready),
                    std::mem::take(&mut shelf.spent),
                );
                drop(shelf);
                drop(rest);
                return;
            }
            let spent = shelf.spent.pop();
            let is_short = shelf.ready.len() < self.target;
            // One that cannot be made is tried again in the next round: a caller who makes his own
            // is told why it fails.
            if spent.is_none() && (!is_short || has_failed) {
                shelf.is_asleep = true;
                self.wake.wait_for(&mut shelf, ROUND);
                shelf.is_asleep = false;
                has_failed = false;
                continue;
            }
            drop(shelf);
            drop(spent);
            if is_short && !has_failed {
                match make() {
                    Ok(item) => self.shelf.lock().ready.push(item),
                    Err(fault) => {
                        tracing::warn!(why = %fault, "no fresh instance of a plugin can be made");
                        has_failed = true;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    fn wait_for(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(60), "it never came");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_stock_is_kept_up_and_each_is_given_once() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let standby =
            Standby::start(4, move || Ok(counter.fetch_add(1, Ordering::SeqCst))).unwrap();
        let mut taken = std::collections::BTreeSet::new();
        for _ in 0..100 {
            wait_for(|| standby.len().0 > 0);
            let one = standby.take().unwrap();
            assert!(taken.insert(one), "{one} was given twice");
            standby.discard(one);
        }
        wait_for(|| standby.len() == (4, 0));
        assert_eq!(made.load(Ordering::SeqCst), 104);
    }

    #[test]
    fn what_was_used_is_thrown_away_by_the_thread() {
        struct Used(std::sync::mpsc::Sender<std::thread::ThreadId>);
        impl Drop for Used {
            fn drop(&mut self) {
                self.0.send(std::thread::current().id()).unwrap();
            }
        }
        let (dropped, seen) = std::sync::mpsc::channel();
        let standby = Standby::start(2, move || Ok(Used(dropped.clone()))).unwrap();
        wait_for(|| standby.len().0 == 2);
        let one = standby.take().unwrap();
        assert!(standby.discard(one).is_none());
        let by = seen.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_ne!(by, std::thread::current().id());
        // All of them, when the stock goes.
        drop(standby);
        while seen.recv_timeout(Duration::from_secs(60)).is_ok() {}
    }

    #[test]
    fn what_cannot_be_made_is_tried_again() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&tries);
        let standby = Standby::start(1, move || match counter.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Fault::Deadline),
            n => Ok(n),
        })
        .unwrap();
        wait_for(|| standby.len().0 == 1);
        assert_eq!(standby.take(), Some(1));
    }
}
