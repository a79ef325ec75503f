//! How many calls one caller may make, and how they are told.
//!
//! The algorithm is GCRA, a leaky bucket that is one number for each caller: when the bucket would
//! be empty. Headers are the usual ones (`X-RateLimit-*`, whose reset is a Unix time as GitHub and
//! the pinning services write it) and those of the IETF's draft (`RateLimit`, `RateLimit-Policy`).

use crate::api::problem::Problem;
use axum::http::{HeaderName, HeaderValue};
use holdfast_model::UnixMillis;
use quick_cache::sync::Cache;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Callers that are kept in mind. At some 100 bytes each this is 13 MiB; those who call least are
/// forgotten when there are more, and have all of their calls again.
const CALLERS_MAX: usize = 131_072;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// What an answer carries about the caller's bound.
pub(crate) type Told = [(HeaderName, HeaderValue); 5];

/// The bounds of all callers.
pub(crate) struct Limits {
    /// 0 is without bound.
    per_second: u32,
    burst: u32,
    /// By a hash of the caller that nobody outside can aim at: the instant, in nanoseconds, at
    /// which all of the caller's calls are there again.
    full_at: Cache<u64, Arc<AtomicU64>>,
    hasher: RandomState,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits")
            .field("per_second", &self.per_second)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

impl Limits {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second,
            burst: burst.max(1),
            full_at: Cache::new(CALLERS_MAX),
            hasher: RandomState::new(),
        }
    }

    /// Counts a call of somebody, and tells what is left to them; nothing if there is no bound.
    ///
    /// # Errors
    /// There is nothing left.
    pub(crate) fn count(
        &self,
        caller: impl Hash,
        now: UnixMillis,
    ) -> Result<Option<Told>, (Box<Told>, Problem)> {
        let Some(interval) = NANOS_PER_SECOND.checked_div(u64::from(self.per_second)) else {
            return Ok(None);
        };
        let key = self.hasher.hash_one(caller);
        let full_at = match self.full_at.get(&key) {
            Some(full_at) => full_at,
            None => {
                let fresh = Arc::new(AtomicU64::new(0));
                self.full_at.insert(key, Arc::clone(&fresh));
                fresh
            }
        };
        let instant = now.as_millis().saturating_mul(NANOS_PER_MILLI);
        let whole = interval.saturating_mul(u64::from(self.burst));
        let take = |full_at: u64| {
            // More than a whole bucket can be used only by a clock that was set back since.
            let used = Some(full_at.saturating_sub(instant)).filter(|used| *used <= whole);
            let used = used.unwrap_or(0);
            let used = used.saturating_add(interval);
            (used <= whole).then(|| instant.saturating_add(used))
        };
        let before = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        match before.map(take) {
            Ok(after) => {
                let used = after.unwrap_or(instant).saturating_sub(instant);
                let left = whole.saturating_sub(used).checked_div(interval);
                let seconds = used.div_ceil(NANOS_PER_SECOND);
                Ok(Some(self.told(left.unwrap_or(0), seconds, now)))
            }
            Err(full_at) => {
                let used = full_at.saturating_sub(instant);
                let wait = used.saturating_add(interval).saturating_sub(whole);
                let seconds = wait.div_ceil(NANOS_PER_SECOND).max(1);
                let told = Box::new(self.told(0, seconds, now));
                Err((told, Problem::too_many(seconds)))
            }
        }
    }

    fn told(&self, left: u64, seconds: u64, now: UnixMillis) -> Told {
        let name = HeaderName::from_static;
        let text = |text: String| {
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        let (burst, per_second) = (self.burst, self.per_second);
        let window = u64::from(burst).div_ceil(u64::from(per_second.max(1)));
        let reset = now.as_seconds().saturating_add(seconds);
        [
            (name("x-ratelimit-limit"), burst.into()),
            (name("x-ratelimit-remaining"), left.into()),
            (name("x-ratelimit-reset"), reset.into()),
            (
                name("ratelimit"),
                text(format!("\"calls\";r={left};t={seconds}")),
            ),
            (
                name("ratelimit-policy"),
                text(format!("\"calls\";q={burst};w={window}")),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(told: &Told, name: &str) -> String {
        let found = told.iter().find(|(header, _)| header == name);
        found.unwrap().1.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_caller_has_a_burst_that_comes_back_and_others_have_their_own() {
        let limits = Limits::new(2, 3);
        let at = |millis: u64| UnixMillis::new(1_000_000 + millis);
        for left in ["2", "1", "0"] {
            let told = limits.count("a", at(0)).unwrap().unwrap();
            assert_eq!(value(&told, "x-ratelimit-remaining"), left);
            assert_eq!(value(&told, "x-ratelimit-limit"), "3");
        }
        let (told, _) = limits.count("a", at(499)).unwrap_err();
        assert_eq!(value(&told, "x-ratelimit-remaining"), "0");
        assert_eq!(value(&told, "x-ratelimit-reset"), "1001");
        assert_eq!(value(&told, "ratelimit"), "\"calls\";r=0;t=1");
        assert_eq!(value(&told, "ratelimit-policy"), "\"calls\";q=3;w=2");
        limits.count("b", at(499)).unwrap().unwrap();
        limits.count("a", at(500)).unwrap().unwrap();
        assert!(limits.count("a", at(500)).is_err());
        // After a rest all is there again, and no more than that.
        for _ in 0..3 {
            limits.count("a", at(60_000)).unwrap().unwrap();
        }
        assert!(limits.count("a", at(60_000)).is_err());
        // A clock that was set back by a day.
        assert!(limits.count("b", UnixMillis::new(0)).is_ok());
    }

    #[test]
    fn without_a_bound_nothing_is_told() {
        let limits = Limits::new(0, 1);
        for _ in 0..10 {
            assert!(limits.count("a", UnixMillis::new(0)).unwrap().is_none());
        }
    }
}
