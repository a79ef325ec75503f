//! Keeps a plugin that only fails from being asked again and again.
//!
//! Closed, it lets every call through. After so many failures in a row it opens: calls are turned
//! away at once, with a sentence that says so. After a while one call is let through as a probe; if
//! it succeeds the breaker closes, else it stays open for as long again.
//!
//! Failures count only in a row: a caller who knows an input that a plugin trips over must not be
//! able to take it away from all others.

use crate::error::Fault;
use parking_lot::Mutex;
use serde::Deserialize;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The most failures that `[breaker]` can ask for: so many never come in a row.
const FAILURES_CEILING: u32 = 1_000_000;

/// The longest times that `[breaker]` can ask for: an hour.
const MILLIS_CEILING: u64 = 3_600_000;

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const PROBING: u8 = 2;

/// The `[breaker]` table of `NAME.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BreakerRule {
    /// It opens after so many failures in a row…
    failures: u32,
    /// …that came within this time.
    within_ms: u64,
    /// For how long it then stays open.
    open_ms: u64,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            failures: 5,
            within_ms: 10_000,
            open_ms: 5_000,
        }
    }
}

impl BreakerRule {
    /// Refuses what is out of bounds.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let wrong = |key: &str, value: u64, most: u64| {
            format!("breaker.{key}: {value} is out of bounds; write 1 to {most}")
        };
        if !(1..=FAILURES_CEILING).contains(&self.failures) {
            let (value, most) = (self.failures.into(), FAILURES_CEILING.into());
            return Err(wrong("failures", value, most));
        }
        for (key, value) in [("within_ms", self.within_ms), ("open_ms", self.open_ms)] {
            if !(1..=MILLIS_CEILING).contains(&value) {
                return Err(wrong(key, value, MILLIS_CEILING));
            }
        }
        Ok(self)
    }
}

/// The breaker of one generation.
#[derive(Debug)]
pub(crate) struct Breaker {
    rule: BreakerRule,
    /// The way of a good call only reads these two.
    gate: AtomicU8,
    in_a_row: AtomicU32,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    /// When the first of the failures in a row came.
    first: Option<Instant>,
    /// Until when calls are turned away.
    until: Option<Instant>,
    /// The last failure.
    last: String,
}

/// How a call ended, as far as the breaker cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It answered; a refusal is an answer.
    Good,
    /// It was not asked at all, so nothing is known.
    Unasked,
    /// It failed, and how.
    Bad(String),
}

impl End {
    /// The end of a call.
    pub(crate) fn of<T>(outcome: &Result<T, Fault>) -> Self {
        match outcome {
            Err(Fault::Busy(_)) => Self::Unasked,
            Ok(_) | Err(Fault::Refused(_)) => Self::Good,
            Err(fault) => Self::Bad(fault.to_string()),
        }
    }
}

/// What a call's end changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that anybody must hear of.
    None,
    /// It opened, or stays open for another while.
    Opened,
    /// It closed again.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub(crate) fn new(rule: BreakerRule) -> Self {
        Self {
            rule,
            gate: AtomicU8::new(CLOSED),
            in_a_row: AtomicU32::new(0),
            history: Mutex::default(),
        }
    }

    /// Whether calls are turned away.
    pub(crate) fn is_open(&self) -> bool {
        self.gate.load(Ordering::Acquire) != CLOSED
    }

    /// Why calls are turned away, if they are.
    pub(crate) fn why(&self, now: Instant) -> Option<String> {
        self.is_open().then(|| {
            let history = self.history.lock();
            let left = history
                .until
                .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            format!(
                "is out of service: it failed {} times in a row, at last so: {}; it is tried again in {} ms",
                self.in_a_row.load(Ordering::Relaxed),
                history.last,
                left.as_millis()
            )
        })
    }

    /// Lets a call through, or says why not.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, String> {
        if self.gate.load(Ordering::Acquire) == CLOSED {
            return Ok(Pass {
                breaker: self,
                is_probe: false,
            });
        }
        self.probe(Instant::now())
    }

    fn probe(&self, now: Instant) -> Result<Pass<'_>, String> {
        let is_due = self.history.lock().until.is_none_or(|until| now >= until);
        let is_ours = is_due
            && self
                .gate
                .compare_exchange(OPEN, PROBING, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        if is_ours {
            return Ok(Pass {
                breaker: self,
                is_probe: true,
            });
        }
        match self.why(now) {
            Some(why) => Err(why),
            // It has closed meanwhile.
            None => Ok(Pass {
                breaker: self,
                is_probe: false,
            }),
        }
    }

    fn succeeded(&self, is_probe: bool) -> Change {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        if !is_probe {
            return Change::None;
        }
        *self.history.lock() = History::default();
        self.gate.store(CLOSED, Ordering::Release);
        Change::Closed
    }

    fn failed(&self, how: String, is_probe: bool, now: Instant) -> Change {
        let mut history = self.history.lock();
        history.last = how;
        let within = Duration::from_millis(self.rule.within_ms);
        let is_late = history
            .first
            .is_none_or(|first| now.saturating_duration_since(first) > within);
        let before = self.in_a_row.load(Ordering::Relaxed);
        let in_a_row = match !is_probe && (before == 0 || is_late) {
            true => {
                history.first = Some(now);
                1
            }
            false => before.saturating_add(1),
        };
        self.in_a_row.store(in_a_row, Ordering::Relaxed);
        if !is_probe && in_a_row < self.rule.failures {
            return Change::None;
        }
        history.until = now.checked_add(Duration::from_millis(self.rule.open_ms));
        self.gate.store(OPEN, Ordering::Release);
        Change::Opened
    }
}

/// A call that was let through. One that ends without a word leaves the breaker as it was.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Pass<'_> {
    /// Tells how the call ended.
    pub(crate) fn ended(mut self, end: End) -> Change {
        let is_probe = self.is_probe;
        match end {
            End::Unasked => Change::None,
            End::Good => {
                self.is_probe = false;
                self.breaker.succeeded(is_probe)
            }
            End::Bad(how) => {
                self.is_probe = false;
                self.breaker.failed(how, is_probe, Instant::now())
            }
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            // The probe told nothing; the next caller may be one.
            self.breaker.gate.store(OPEN, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: End = End::Good;

    fn bad() -> End {
        End::of::<()>(&Err(Fault::Deadline))
    }

    fn breaker(failures: u32, open_ms: u64) -> Breaker {
        Breaker::new(BreakerRule {
            failures,
            within_ms: 10_000,
            open_ms,
        })
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_good_one_between_does_not() {
        let breaker = breaker(3, 3_600_000);
        for end in [bad(), bad(), GOOD, bad(), bad()] {
            assert_eq!(breaker.admit().unwrap().ended(end), Change::None);
        }
        assert_eq!(breaker.admit().unwrap().ended(bad()), Change::Opened);
        let why = breaker.admit().unwrap_err();
        assert!(why.contains("3 times in a row"), "{why}");
        assert!(why.contains("deadline"), "{why}");
    }

    #[test]
    fn what_is_no_failure_of_the_plugin_does_not_count() {
        let breaker = breaker(1, 3_600_000);
        for fault in [Fault::Refused("no".into()), Fault::Busy("full".into())] {
            assert_eq!(
                breaker.admit().unwrap().ended(End::of::<()>(&Err(fault))),
                Change::None
            );
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn failures_far_apart_are_not_in_a_row() {
        let breaker = breaker(2, 3_600_000);
        let now = Instant::now();
        breaker.failed("x".into(), false, now);
        let late = now + Duration::from_secs(11);
        assert_eq!(breaker.failed("x".into(), false, late), Change::None);
        let soon = late + Duration::from_secs(1);
        assert_eq!(breaker.failed("x".into(), false, soon), Change::Opened);
    }

    #[test]
    fn one_probe_at_a_time_closes_it_or_keeps_it_open() {
        let breaker = breaker(1, 1_000);
        breaker.admit().unwrap().ended(bad());
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        let probe = breaker.probe(later(2)).unwrap();
        assert!(breaker.probe(later(2)).is_err(), "two probes at once");
        // A probe that found no place tells nothing, so the next caller is one.
        drop(probe);
        let probe = breaker.probe(later(2)).unwrap();
        assert_eq!(probe.ended(bad()), Change::Opened);
        assert!(breaker.admit().is_err());
        let probe = breaker.probe(later(4)).unwrap();
        assert_eq!(probe.ended(GOOD), Change::Closed);
        assert!(!breaker.is_open());
        assert_eq!(breaker.admit().unwrap().ended(GOOD), Change::None);
    }

    #[test]
    fn a_rule_stays_within_bounds() {
        let rule = |text: &str| toml::from_str::<BreakerRule>(text).unwrap().checked();
        assert_eq!(rule("").unwrap(), BreakerRule::default());
        for (text, named) in [
            ("failures = 0", "breaker.failures"),
            ("within_ms = 0", "breaker.within_ms"),
            ("open_ms = 3600001", "breaker.open_ms"),
        ] {
            assert!(rule(text).unwrap_err().contains(named), "{text}");
        }
    }
}
