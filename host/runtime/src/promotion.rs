//! The `[promote]` table of `NAME.toml`: when a candidate takes the place of what serves, and when
//! it gives it back.

use crate::shadow::Tally;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most calls that a candidate can be asked to shadow.
const SHADOW_CALLS_CEILING: u64 = 1_000_000_000;

/// The longest watch: a day.
const WATCH_MS_CEILING: u64 = 86_400_000;

/// The largest slowdown that can be tolerated: more is no bound.
const SLOWDOWN_CEILING: f64 = 1_000.0;

/// Calls that must have been seen before errors or times are judged: of fewer, one that failed is
/// more than a percent by itself.
const JUDGED_CALLS_MIN: u64 = 20;

/// Calls of each generation before times are compared: medians of fewer wander.
const TIMED_CALLS_MIN: u64 = 200;

/// A slowdown by less than this is the machine's, not the plugin's.
const SLOWDOWN_FLOOR: Duration = Duration::from_micros(100);

/// How a candidate is promoted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromoteBy {
    /// As soon as it has passed its stages.
    #[default]
    AtOnce,
    /// When somebody says so.
    Hand,
    /// When it has answered so many calls beside the one in use as that one did.
    Shadow,
}

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Promotion {
    /// How a candidate is promoted.
    pub by: PromoteBy,
    /// By shadow: after so many calls…
    pub shadow_calls: u64,
    /// …if at most so many came out differently.
    pub max_differences: u64,
    /// For how long it is watched after its promotion; 0 for not at all.
    pub watch_ms: u64,
    /// Meanwhile it may fail in so many more of a hundred calls than the one before.
    pub max_error_percent: u32,
    /// And its median call may take so many times as long.
    pub max_slowdown: f64,
}

impl Default for Promotion {
    fn default() -> Self {
        Self {
            by: PromoteBy::AtOnce,
            shadow_calls: 1_000,
            max_differences: 0,
            watch_ms: 60_000,
            max_error_percent: 1,
            max_slowdown: 2.0,
        }
    }
}

/// What a rule says of a candidate that shadows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing yet, or nothing ever: somebody must decide.
    Wait,
    /// It may serve.
    Promote,
    /// It may not.
    Refuse(String),
}

/// How a generation fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Calls that ended.
    pub(crate) calls: u64,
    /// Of these, those without a usable answer.
    pub(crate) failures: u64,
    /// How long half of them took at most.
    pub(crate) median: Duration,
}

impl Promotion {
    /// Refuses what is out of bounds.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!(
                "promote.{key}: {value} is out of bounds; write {least} to {most}"
            ))
        };
        within("shadow_calls", self.shadow_calls, 1, SHADOW_CALLS_CEILING)?;
        within("watch_ms", self.watch_ms, 0, WATCH_MS_CEILING)?;
        within("max_error_percent", self.max_error_percent.into(), 0, 100)?;
        if !(1.0..=SLOWDOWN_CEILING).contains(&self.max_slowdown) {
            return Err(format!(
                "promote.max_slowdown: {} is out of bounds; write 1.0 to {SLOWDOWN_CEILING:.1}",
                self.max_slowdown
            ));
        }
        Ok(self)
    }

    /// How long a promotion is watched.
    pub(crate) const fn watch(&self) -> Duration {
        Duration::from_millis(self.watch_ms)
    }

    /// What to do with a candidate that has shadowed so far.
    pub(crate) fn rule(&self, tally: &Tally) -> Ruling {
        if self.by != PromoteBy::Shadow {
            return Ruling::Wait;
        }
        if let Some(why) = self.objection(tally) {
            return Ruling::Refuse(why);
        }
        match tally.calls >= self.shadow_calls {
            true => Ruling::Promote,
            false => Ruling::Wait,
        }
    }

    /// Why a candidate differs too much, if it does.
    pub(crate) fn objection(&self, tally: &Tally) -> Option<String> {
        (tally.different > self.max_differences).then(|| {
            format!(
                "it answered {} of {} calls differently, and promote.max_differences allows {}; \
                 read the report (holdfast plugin shadow), then mend it or promote its generation by hand",
                tally.different, tally.calls, self.max_differences
            )
        })
    }

    /// Why a promoted generation must go back, if it must.
    pub(crate) fn complaint(&self, before: Health, since: Health) -> Option<String> {
        if since.calls < JUDGED_CALLS_MIN {
            return None;
        }
        // In ten-thousandths, so that a fraction of a percent is seen.
        let share = |health: Health| {
            let parts = u128::from(health.failures).saturating_mul(10_000);
            parts
                .checked_div(u128::from(health.calls))
                .unwrap_or_default()
        };
        let allowed = u128::from(self.max_error_percent).saturating_mul(100);
        if share(since) > share(before).saturating_add(allowed) {
            return Some(format!(
                "{} of {} calls failed since it was promoted, where {} of {} did before, \
                 and promote.max_error_percent is {}",
                since.failures, since.calls, before.failures, before.calls, self.max_error_percent
            ));
        }
        let is_timed = since.calls >= TIMED_CALLS_MIN && before.calls >= TIMED_CALLS_MIN;
        let bound = before
            .median
            .mul_f64(self.max_slowdown)
            .max(before.median.saturating_add(SLOWDOWN_FLOOR));
        (is_timed && since.median > bound).then(|| {
            format!(
                "half of its calls take more than {} µs, where {} µs were enough before, \
                 and promote.max_slowdown is {}",
                since.median.as_micros(),
                before.median.as_micros(),
                self.max_slowdown
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(calls: u64, failures: u64, micros: u64) -> Health {
        Health {
            calls,
            failures,
            median: Duration::from_micros(micros),
        }
    }

    #[test]
    fn a_rule_stays_within_bounds() {
        let rule = |text: &str| toml::from_str::<Promotion>(text).unwrap().checked();
        assert_eq!(rule("").unwrap(), Promotion::default());
        assert_eq!(rule("by = \"at-once\"").unwrap().by, PromoteBy::AtOnce);
        for (text, named) in [
            ("shadow_calls = 0", "promote.shadow_calls"),
            ("watch_ms = 86400001", "promote.watch_ms"),
            ("max_error_percent = 101", "promote.max_error_percent"),
            ("max_slowdown = 0.5", "promote.max_slowdown"),
            ("max_slowdown = nan", "promote.max_slowdown"),
        ] {
            assert!(rule(text).unwrap_err().contains(named), "{text}");
        }
        assert!(toml::from_str::<Promotion>("by = \"magic\"").is_err());
    }

    #[test]
    fn a_shadow_is_promoted_when_it_has_seen_enough_and_refused_when_it_differs() {
        let rule = Promotion {
            by: PromoteBy::Shadow,
            shadow_calls: 10,
            max_differences: 1,
            ..Promotion::default()
        };
        let tally = |calls, different| Tally {
            calls,
            different,
            ..Tally::default()
        };
        assert_eq!(rule.rule(&tally(9, 1)), Ruling::Wait);
        assert_eq!(rule.rule(&tally(10, 1)), Ruling::Promote);
        assert!(matches!(rule.rule(&tally(2, 2)), Ruling::Refuse(why) if why.contains("2 of 2")));
        let by_hand = Promotion {
            by: PromoteBy::Hand,
            ..rule
        };
        assert_eq!(by_hand.rule(&tally(10, 0)), Ruling::Wait);
        assert_eq!(by_hand.rule(&tally(10, 9)), Ruling::Wait);
    }

    #[test]
    fn what_fails_more_or_takes_longer_than_before_goes_back() {
        let rule = Promotion::default();
        let before = health(1_000, 10, 100);
        for (since, said) in [
            // Two of a hundred are one more than the one before.
            (health(1_000, 20, 100), None),
            (health(1_000, 21, 100), Some("max_error_percent")),
            (health(19, 19, 100), None),
            (health(20, 20, 100), Some("20 of 20")),
            (health(1_000, 0, 200), None),
            (health(1_000, 0, 201), Some("max_slowdown")),
            (health(199, 0, 9_000), None),
        ] {
            let complaint = rule.complaint(before, since);
            match said {
                None => assert_eq!(complaint, None, "{since:?}"),
                Some(said) => assert!(complaint.unwrap().contains(said), "{since:?}"),
            }
        }
        // Quick calls wander by some microseconds.
        assert_eq!(
            rule.complaint(health(1_000, 0, 2), health(1_000, 0, 100)),
            None
        );
        assert!(
            rule.complaint(health(1_000, 0, 2), health(1_000, 0, 103))
                .is_some()
        );
        // Without a past there is nothing to be slower than.
        assert_eq!(
            rule.complaint(Health::default(), health(1_000, 0, 900)),
            None
        );
    }
}
