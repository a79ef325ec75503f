//! The hybrid clock that stamps versions and feed entries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 as this process knows them: never behind what it has seen of others,
/// and never the same twice in this process.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: AtomicU64,
}

impl Clock {
    /// The next stamp: larger than every one before it, and than everything [`Self::observe`]d.
    pub(crate) fn next(&self) -> u64 {
        let now = system_micros();
        let stamp = |last: u64| Some(now.max(last.saturating_add(1)));
        match self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, stamp)
        {
            Ok(last) | Err(last) => now.max(last.saturating_add(1)),
        }
    }

    /// The next stamp after an older one: a row's version after the one that it had.
    pub(crate) fn next_after(&self, old: u64) -> u64 {
        self.observe(old);
        self.next()
    }

    /// Takes note of a stamp that another process gave.
    pub(crate) fn observe(&self, stamp: u64) {
        self.last.fetch_max(stamp, Ordering::AcqRel);
    }

    /// What has been reached, without making a new stamp.
    pub(crate) fn reached(&self) -> u64 {
        system_micros().max(self.last.load(Ordering::Acquire))
    }
}

fn system_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
