//! Warm instances.

use crate::limits::IDLE_MAX;
use parking_lot::Mutex;

/// Instances that wait for work. The lock is held for a push or a pop, never across a call.
#[derive(Debug)]
pub(crate) struct Idle<T>(Mutex<Vec<T>>);

impl<T> Idle<T> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::with_capacity(IDLE_MAX)))
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// The one used last: its memory is the likeliest to be in the cache.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().pop()
    }

    /// Gives one back; it returns if there are enough, to be dropped outside the lock.
    pub(crate) fn give(&self, item: T) -> Option<T> {
        let mut idle = self.0.lock();
        if idle.len() >= IDLE_MAX {
            return Some(item);
        }
        idle.push(item);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_kept() {
        let idle = Idle::new();
        for n in 0..IDLE_MAX {
            assert_eq!(idle.give(n), None);
        }
        assert_eq!(idle.give(99), Some(99));
        assert_eq!(idle.take(), Some(IDLE_MAX - 1));
    }
}
