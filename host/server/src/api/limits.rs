//! How many calls one caller may make, and how they are told.
//!
//! `governor` decides, by GCRA: a leaky bucket that is one number for each caller, when the bucket
//! would be empty. What is remembered of callers is ours, because governor's own tables grow with
//! them. Headers are the usual ones (`X-RateLimit-*`, whose reset is a Unix time as GitHub and the
//! pinning services write it) and those of the IETF's draft (`RateLimit`, `RateLimit-Policy`).

use crate::api::problem::Problem;
use axum::http::{HeaderName, HeaderValue};
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use holdfast_model::UnixMillis;
use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Callers that are kept in mind. At some 100 bytes each this is 13 MiB; those who call least are
/// forgotten when there are more, and have all of their calls again.
const CALLERS_MAX: usize = 131_072;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// A bucket that is emptied this much later than a full one would be was filled before the clock
/// was set back. Less than that is calls of one moment that come in another order than their times.
const SET_BACK_MIN: u64 = 10 * NANOS_PER_SECOND;

/// The last instant that is told from a later one, in the year 2262: governor adds to instants
/// without looking whether there is room.
const INSTANT_MAX: u64 = u64::MAX / 2;

/// What an answer carries about the caller's bound.
pub(crate) type Told = [(HeaderName, HeaderValue); 5];

/// The bounds of all callers.
pub(crate) struct Limits {
    per_second: u32,
    burst: NonZeroU32,
    /// Nothing is without bound.
    limiter: Option<Limiter>,
    hasher: RandomState,
}

type Limiter = RateLimiter<Caller, Callers, Latest, StateInformationMiddleware>;

/// Who calls, and when, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Caller {
    /// A hash of who it is that nobody outside can aim at.
    hash: u64,
    now: u64,
}

/// When the buckets of those who called are empty.
struct Callers {
    empty_at: Cache<u64, Arc<InMemoryState>>,
    /// By how many nanoseconds this can be after a call.
    ahead_max: u64,
}

/// The instant of the latest call, in nanoseconds. Governor reads a clock, and here the time is an
/// argument; it changes once a millisecond, so that cores share what they read of it.
#[derive(Debug, Default)]
struct Latest(AtomicU64);

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
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        // Rounded up: a caller gets no call more than the rate gives, however long it calls.
        let interval = NonZeroU32::new(per_second)
            .map(|per_second| NANOS_PER_SECOND.div_ceil(u64::from(per_second.get())));
        let quota = interval.and_then(|nanos| Quota::with_period(Duration::from_nanos(nanos)));
        let limiter = quota.map(|quota| {
            let quota = quota.allow_burst(burst);
            Limiter::new(quota, Callers::new(quota), Latest::default())
        });
        Self {
            per_second,
            burst,
            limiter,
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
        let Some(limiter) = &self.limiter else {
            return Ok(None);
        };
        let instant = now.as_millis().saturating_mul(NANOS_PER_MILLI);
        let instant = instant.min(INSTANT_MAX);
        limiter.clock().set(instant);
        let caller = Caller {
            hash: self.hasher.hash_one(caller),
            now: instant,
        };
        match limiter.check_key(&caller) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let used = self.burst.get().saturating_sub(left);
                let full = state.quota().replenish_interval().saturating_mul(used);
                Ok(Some(self.told(left, whole_seconds(full), now)))
            }
            Err(until) => {
                let wait = until.wait_time_from(Nanos::from(instant));
                let seconds = whole_seconds(wait).max(1);
                let told = Box::new(self.told(0, seconds, now));
                Err((told, Problem::too_many(seconds)))
            }
        }
    }

    fn told(&self, left: u32, seconds: u64, now: UnixMillis) -> Told {
        let name = HeaderName::from_static;
        let text = |text: String| {
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        let (burst, per_second) = (self.burst.get(), self.per_second);
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

impl Callers {
    fn new(quota: Quota) -> Self {
        let whole = quota.burst_size_replenished_in();
        let whole = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        Self {
            empty_at: Cache::new(CALLERS_MAX),
            ahead_max: whole.saturating_add(SET_BACK_MIN),
        }
    }

    /// The bucket of a caller; two first calls at once get the same.
    fn bucket(&self, caller: u64) -> Arc<InMemoryState> {
        let made = || Ok::<_, Infallible>(Arc::default());
        match self.empty_at.get_or_insert_with(&caller, made) {
            Ok(bucket) => bucket,
            Err(never) => match never {},
        }
    }
}

impl StateStore for Callers {
    type Key = Caller;

    fn measure_and_replace<T, F, E>(&self, caller: &Caller, take: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let latest = caller.now.saturating_add(self.ahead_max);
        let bucket = self.bucket(caller.hash);
        bucket.measure_and_replace(&NotKeyed::NonKey, |empty_at| {
            take(empty_at.filter(|empty_at| empty_at.as_u64() <= latest))
        })
    }
}

impl Latest {
    fn set(&self, now: u64) {
        if self.0.load(Ordering::Relaxed) != now {
            self.0.store(now, Ordering::Relaxed);
        }
    }
}

impl Clock for Latest {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

/// Seconds, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more)
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

    #[test]
    fn calls_of_one_moment_may_come_in_any_order() {
        let limits = Limits::new(1, 3);
        let at = |millis: u64| limits.count("a", UnixMillis::new(1_000_000 + millis));
        for _ in 0..3 {
            at(5).unwrap();
        }
        // These were timed before those and come after them: the bucket is not another.
        for millis in [4, 0, 5] {
            assert!(at(millis).is_err(), "{millis}");
        }
    }

    #[test]
    fn of_calls_at_once_the_burst_passes_and_no_more() {
        let limits = Limits::new(1, 50);
        let now = UnixMillis::new(1_000_000);
        let passed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let is_let_through = limits.count("a", now).is_ok();
                        passed.fetch_add(u64::from(is_let_through), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 50);
    }

    #[test]
    fn the_callers_kept_in_mind_are_bounded_and_who_calls_much_stays_among_them() {
        let limits = Limits::new(1, 2);
        let now = UnixMillis::new(1_000_000);
        for _ in 0..2 {
            limits.count("busy", now).unwrap();
        }
        for n in 0..2 * CALLERS_MAX {
            limits.count(n, now).unwrap();
            if n % 64 == 0 {
                assert!(limits.count("busy", now).is_err(), "forgotten at {n}");
            }
        }
        let callers = limits.limiter.unwrap().into_state_store();
        // Each part of the cache rounds its share up.
        let bound = CALLERS_MAX + CALLERS_MAX / 100;
        assert!(
            callers.empty_at.len() <= bound,
            "{}",
            callers.empty_at.len()
        );
    }

    proptest::proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_the_time_gives(
            per_second in 1_u32..2_000,
            burst in 1_u32..30,
            steps in proptest::collection::vec((0_u64..40, 0_u64..3), 1..200),
        ) {
            let limits = Limits::new(per_second, burst);
            let mut now = 1_000_000;
            let mut passed: Vec<u64> = Vec::new();
            for (step, back) in steps {
                now += step * step;
                // Some come with a time a little older than that of the one before.
                let at = UnixMillis::new(now - back);
                if limits.count("a", at).is_ok() {
                    passed.push(now);
                }
            }
            for (first, since) in passed.iter().enumerate() {
                for (last, until) in passed.iter().enumerate().skip(first) {
                    let calls = u64::try_from(last - first + 1).unwrap();
                    let given = u64::from(per_second) * (until - since + 2);
                    let most = u64::from(burst) + given / 1_000;
                    proptest::prop_assert!(
                        calls <= most,
                        "{calls} of {most} between {since} and {until}"
                    );
                }
            }
        }
    }
}
