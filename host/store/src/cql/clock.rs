//! The hybrid clock that stamps versions and feed entries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 as this process knows them: never behind what it has seen of others,
/// and never the same twice in this process.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: AtomicU64,
    /// How far a test has set this process's clock forward or, wrapping, back.
    #[cfg(test)]
    set_by: AtomicU64,
}

/// An instant of this process, for measuring how long something took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    steady: Instant,
    wall_micros: u64,
}

impl Clock {
    /// The next stamp: larger than every one before it, and than everything [`Self::observe`]d.
    pub(crate) fn next(&self) -> u64 {
        let now = self.system_micros();
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
        self.system_micros().max(self.last.load(Ordering::Acquire))
    }

    /// Now.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            steady: Instant::now(),
            wall_micros: self.system_micros(),
        }
    }

    fn system_micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since.map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        });
        #[cfg(test)]
        let micros = micros.wrapping_add(self.set_by.load(Ordering::Acquire));
        micros
    }

    /// Sets this process's wall clock forward.
    #[cfg(test)]
    pub(crate) fn set_forward(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap();
        self.set_by.fetch_add(by, Ordering::AcqRel);
    }

    /// Sets this process's wall clock back.
    #[cfg(test)]
    pub(crate) fn set_back(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap();
        self.set_by.fetch_sub(by, Ordering::AcqRel);
    }
}

impl Moment {
    /// How long after an earlier moment this one is. A machine that slept has a steady clock that
    /// stood still and a wall clock that jumped, so the longer of both counts.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let wall = self.wall_micros.saturating_sub(earlier.wall_micros);
        self.steady
            .saturating_duration_since(earlier.steady)
            .max(Duration::from_micros(wall))
    }

    /// How long after an earlier moment this one is by the steady clock alone.
    pub(crate) fn steadily_since(&self, earlier: &Self) -> Duration {
        self.steady.saturating_duration_since(earlier.steady)
    }

    /// The moment a while later.
    #[cfg(test)]
    pub(crate) fn later(self, by: Duration) -> Self {
        Self {
            steady: self.steady + by,
            wall_micros: self.wall_micros + u64::try_from(by.as_micros()).unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_past_what_was_observed() {
        let clock = Clock::default();
        let first = clock.next();
        assert!(clock.next() > first);
        clock.observe(first + 1_000_000_000);
        assert_eq!(clock.next(), first + 1_000_000_001);
        assert!(clock.next_after(first + 2_000_000_000) > first + 2_000_000_000);
        assert!(clock.reached() > first + 2_000_000_000);
    }

    #[test]
    fn a_machine_that_slept_notices() {
        let clock = Clock::default();
        let before = clock.moment();
        clock.set_forward(Duration::from_secs(30));
        let after = clock.moment();
        assert!(after.since(&before) >= Duration::from_secs(30));
        assert!(after.steadily_since(&before) < Duration::from_secs(5));
        clock.set_back(Duration::from_secs(60));
        assert!(clock.moment().since(&before) < Duration::from_secs(5));
    }
}
