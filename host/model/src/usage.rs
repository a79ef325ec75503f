//! What an account has used, exactly.
//!
//! Storage is the integral of pinned bytes over time. An account's history is a row of *marks*: at
//! each change of its pinned bytes (and at each counted operation) one mark holds the running
//! integral up to that instant and the level that holds from then on. Usage between two instants is
//! the difference of two look-ups, whatever lies between, and splitting a period anywhere gives the
//! same total (facts of the trade: integrate, never sum snapshots).

use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// An operation that is counted, and may be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A pin request was made.
    Pin,
    /// A pin request was replaced by another.
    Replace,
    /// A pin request was given up.
    Unpin,
}

/// How many of each operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Operations {
    /// Pin requests made.
    pub pin: u64,
    /// Pin requests replaced.
    pub replace: u64,
    /// Pin requests given up.
    pub unpin: u64,
}

impl Operations {
    /// Those of this count that were not yet in an earlier one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            pin: self.pin.saturating_sub(earlier.pin),
            replace: self.replace.saturating_sub(earlier.replace),
            unpin: self.unpin.saturating_sub(earlier.unpin),
        }
    }
}

impl AddAssign<Operation> for Operations {
    fn add_assign(&mut self, operation: Operation) {
        let count = match operation {
            Operation::Pin => &mut self.pin,
            Operation::Replace => &mut self.replace,
            Operation::Unpin => &mut self.unpin,
        };
        *count = count.saturating_add(1);
    }
}

/// An account's usage from its first day up to an instant, and the level from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageMark {
    /// The instant.
    pub at: UnixMillis,
    /// Pinned bytes from that instant on.
    pub level_bytes: u128,
    /// The integral of pinned bytes up to that instant, in byte-milliseconds.
    pub byte_millis: u128,
    /// Operations up to and including that instant.
    pub operations: Operations,
}

impl UsageMark {
    /// The integral up to `instant`, which is not before the mark, in byte-milliseconds.
    #[must_use]
    pub fn byte_millis_at(&self, instant: UnixMillis) -> u128 {
        let millis = u128::from(instant.millis_since(self.at));
        self.byte_millis
            .saturating_add(self.level_bytes.saturating_mul(millis))
    }

    /// The next mark: at `now` the pinned bytes go from `before` to `after` for one request, and
    /// perhaps an operation is counted. A clock that went back is taken to stand still.
    #[must_use]
    pub fn next(
        &self,
        now: UnixMillis,
        before: u64,
        after: u64,
        operation: Option<Operation>,
    ) -> Self {
        let at = now.max(self.at);
        let rest = self.level_bytes.saturating_sub(u128::from(before));
        let mut operations = self.operations;
        if let Some(operation) = operation {
            operations += operation;
        }
        Self {
            at,
            level_bytes: rest.saturating_add(u128::from(after)),
            byte_millis: self.byte_millis_at(at),
            operations,
        }
    }
}

/// A stretch of time, its end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// The first instant.
    pub start: UnixMillis,
    /// The first instant after it.
    pub end: UnixMillis,
}

/// What an account used in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When.
    pub period: Period,
    /// Storage, in byte-milliseconds: exact.
    pub byte_millis: u128,
    /// Pinned bytes at the period's end.
    pub level_bytes: u128,
    /// Operations within the period.
    pub operations: Operations,
}

impl Usage {
    /// Usage over a period from the last mark *before* its start and the last one before its end
    /// (`None` where there is none yet).
    #[must_use]
    pub fn between(
        period: Period,
        before_start: Option<UsageMark>,
        before_end: Option<UsageMark>,
    ) -> Self {
        let first = before_start.unwrap_or_default();
        let last = before_end.unwrap_or_default();
        let integral = |mark: &UsageMark, at| mark.byte_millis_at(at);
        Self {
            period,
            byte_millis: integral(&last, period.end).saturating_sub(integral(&first, period.start)),
            level_bytes: last.level_bytes,
            operations: last.operations.since(first.operations),
        }
    }

    /// Storage in whole byte-seconds, rounded down, once.
    #[must_use]
    pub const fn byte_seconds(&self) -> u128 {
        self.byte_millis / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    /// Two pins of 10 and 5 bytes: [100, 400) and [200, 300).
    fn marks() -> Vec<UsageMark> {
        let mut marks = vec![UsageMark::default().next(at(100), 0, 10, Some(Operation::Pin))];
        for (now, before, after) in [(200, 0, 5), (300, 5, 0), (400, 10, 0)] {
            marks.push(marks[marks.len() - 1].next(at(now), before, after, None));
        }
        marks
    }

    fn used(marks: &[UsageMark], start: u64, end: u64) -> Usage {
        let before = |t: u64| marks.iter().rev().find(|m| m.at < at(t)).copied();
        Usage::between(
            Period {
                start: at(start),
                end: at(end),
            },
            before(start),
            before(end),
        )
    }

    #[test]
    fn the_integral_is_exact() {
        assert_eq!(used(&marks(), 0, 1_000).byte_millis, 10 * 300 + 5 * 100);
        assert_eq!(used(&marks(), 250, 350).byte_millis, 10 * 100 + 5 * 50);
        assert_eq!(used(&marks(), 500, 900).byte_millis, 0);
    }

    #[test]
    fn splitting_a_period_anywhere_gives_the_same_total() {
        let marks = marks();
        let whole = used(&marks, 50, 450);
        for cut in 50..=450 {
            let (a, b) = (used(&marks, 50, cut), used(&marks, cut, 450));
            assert_eq!(
                a.byte_millis + b.byte_millis,
                whole.byte_millis,
                "cut at {cut}"
            );
            assert_eq!(
                a.operations.pin + b.operations.pin,
                whole.operations.pin,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_clock_that_goes_back_bills_nothing_twice() {
        let first = UsageMark::default().next(at(1_000), 0, 10, None);
        let second = first.next(at(400), 0, 10, None);
        assert_eq!((second.at, second.byte_millis), (at(1_000), 0));
    }

    #[test]
    fn a_pebibyte_for_a_century_fits() {
        let mark = UsageMark::default().next(at(0), 0, 1 << 50, None);
        let century = 100 * 365 * crate::time::DAY_MILLIS;
        assert_eq!(
            mark.byte_millis_at(at(century)),
            (1_u128 << 50) * u128::from(century)
        );
    }
}
