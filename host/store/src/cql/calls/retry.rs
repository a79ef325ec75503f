//! What is done about a failure: one table, how long to wait, and how much of it may be done.

use super::failure::Failure;
use crate::cql::statement::Class;
use rand::RngExt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Attempts of a call that is no conditional write. Its deadline mostly ends it earlier.
pub(crate) const ATTEMPTS_MAX: u32 = 5;

/// Attempts of a conditional write: with the longest pauses these fill the longest deadline.
pub(crate) const SETTLE_ATTEMPTS_MAX: u32 = 64;

/// The longest pause before the second attempt; the pause doubles from there.
const PAUSE_FIRST: Duration = Duration::from_millis(10);

/// No pause is longer: half a second of silence costs a caller more than a server gains by it.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Attempts that the budget saves up in good times, for the first moments of a bad one.
const BUDGET_ATTEMPTS_MAX: i64 = 100;

/// What an attempt costs, in hundredths of a call.
const ATTEMPT_COST: i64 = 100;

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing has happened, or doing it twice does no harm: once more, rather at another node.
    Again,
    /// A conditional write may or may not have been applied: the identical statement once more,
    /// until somebody says. Applied twice it cannot be, for its own first success moves the
    /// version that it asks for.
    Settle,
    /// The server asks for less: the caller hears at once that the store is overloaded.
    Shed,
    /// Neither time nor another node will mend it: the caller hears at once.
    GiveUp,
}

/// The table. Reads are plain and serial reads and pages of streams; writes carry their timestamp
/// with them, so that a repeated one changes nothing.
macro_rules! table {
    ($($failure:ident: $read:ident $write:ident $condition:ident;)+) => {
        /// What is done about a failure of a statement of a class.
        pub(crate) const fn action(failure: Failure, class: Class) -> Action {
            match (failure, class) { $(
                (Failure::$failure, Class::Read | Class::SerialRead | Class::Stream) => {
                    Action::$read
                }
                (Failure::$failure, Class::Write) => Action::$write,
                (Failure::$failure, Class::Condition) => Action::$condition,
            )+ }
        }
    };
}

table! {
    //              reads   writes  conditions
    Invalid:        GiveUp  GiveUp  GiveUp;     // the same everywhere, today and tomorrow
    Strange:        GiveUp  GiveUp  Settle;     // it was answered, so it may have been done
    Login:          GiveUp  GiveUp  GiveUp;     // somebody must change the role or the settings
    Denied:         GiveUp  GiveUp  GiveUp;     // likewise
    WriteTimeout:   Again   Again   Settle;     // a serial read finishes others' writes: may be one
    WriteFailed:    Again   Again   Settle;
    ReadTimeout:    Again   Again   Settle;     // a condition reads first; later rounds may follow
    ReadFailed:     Again   Again   Settle;
    Unavailable:    Again   Again   Settle;     // in its last round a condition is decided already
    RateLimited:    Shed    Shed    Settle;     // by a replica: some may have taken it
    Overloaded:     Again   Again   Settle;
    Server:         Again   Again   Settle;
    Bootstrapping:  Again   Again   Again;      // said before anything is done
    Timeout:        Again   Again   Settle;
    Broken:         Again   Again   Settle;
    NoConnection:   Again   Again   Again;      // nothing was sent
}

/// How many attempts a call of a class may have.
pub(crate) const fn attempts_max(class: Class) -> u32 {
    match class {
        Class::Condition => SETTLE_ATTEMPTS_MAX,
        Class::Read | Class::SerialRead | Class::Write | Class::Stream => ATTEMPTS_MAX,
    }
}

/// How long to wait before the next attempt, when `attempts` have failed: anything up to a bound
/// that doubles, so that those who failed together do not come back together.
pub(crate) fn pause(attempts: u32) -> Duration {
    let doubled = PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(8));
    let most = u64::try_from(doubled.min(PAUSE_MAX).as_micros()).unwrap_or(0);
    Duration::from_micros(rand::rng().random_range(0..=most))
}

/// How many attempts beyond the first there may be: a share of the calls, so that a cluster in
/// trouble is not asked for several times what it could not do once.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In hundredths of an attempt.
    saved: AtomicI64,
    percent: i64,
}

impl Budget {
    pub(crate) fn new(percent: u32) -> Self {
        Self {
            saved: AtomicI64::new(BUDGET_ATTEMPTS_MAX * ATTEMPT_COST),
            percent: i64::from(percent),
        }
    }

    /// A call has come.
    pub(crate) fn earn(&self) {
        // Mostly full: then nothing is written, and no core waits for another's cache line.
        if self.saved.load(Ordering::Relaxed) < BUDGET_ATTEMPTS_MAX * ATTEMPT_COST {
            self.saved.fetch_add(self.percent, Ordering::Relaxed);
        }
    }

    /// Whether there may be one more attempt. What settles a conditional write always may: it is
    /// paid for all the same, and others go without.
    pub(crate) fn spend(&self, action: Action) -> bool {
        let before = self.saved.fetch_sub(ATTEMPT_COST, Ordering::Relaxed);
        if before >= ATTEMPT_COST {
            return true;
        }
        if action == Action::Settle {
            // No deeper into debt than a full budget, or recovery would take for ever.
            self.saved
                .fetch_max(-BUDGET_ATTEMPTS_MAX * ATTEMPT_COST, Ordering::Relaxed);
            return true;
        }
        self.saved.fetch_add(ATTEMPT_COST, Ordering::Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conditional_write_is_never_guessed_at() {
        // What was said before anything was done, or would be said again for ever.
        let sure = [
            Failure::Invalid,
            Failure::Login,
            Failure::Denied,
            Failure::Bootstrapping,
            Failure::NoConnection,
        ];
        for failure in Failure::ALL {
            let action = action(*failure, Class::Condition);
            assert_eq!(
                action == Action::Settle,
                !sure.contains(failure),
                "{failure:?}"
            );
        }
    }

    /// docs/failures.md has the same table, in the same order.
    #[test]
    fn the_document_tells_what_is_done() {
        let document = include_str!("../../../../../docs/failures.md");
        let told: Vec<_> = document.lines().filter(|l| l.starts_with("| `")).collect();
        let said = |failure, class| match action(failure, class) {
            Action::Again => "again",
            Action::Settle => "settle",
            Action::Shed => "shed",
            Action::GiveUp => "give up",
        };
        let row = |failure: &Failure| {
            let [read, write, condition] =
                [Class::Read, Class::Write, Class::Condition].map(|class| said(*failure, class));
            let label = failure.label();
            format!("| `{label}` | {read} | {write} | {condition} |")
        };
        assert_eq!(told, Failure::ALL.iter().map(row).collect::<Vec<_>>());
    }

    #[test]
    fn only_conditions_are_settled() {
        for failure in Failure::ALL {
            for class in [Class::Read, Class::SerialRead, Class::Write, Class::Stream] {
                assert_ne!(
                    action(*failure, class),
                    Action::Settle,
                    "{failure:?} {class:?}"
                );
            }
        }
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        for attempts in 1..100 {
            assert!(pause(attempts) <= PAUSE_MAX);
        }
        assert!((0..100).all(|_| pause(1) <= PAUSE_FIRST));
        assert!((0..100).any(|_| pause(20) > PAUSE_FIRST * 4));
    }

    #[test]
    fn the_budget_is_a_share_of_the_calls() {
        let budget = Budget::new(20);
        let spent = (0..1_000).filter(|_| budget.spend(Action::Again)).count();
        assert_eq!(spent, usize::try_from(BUDGET_ATTEMPTS_MAX).unwrap());
        for _ in 0..50 {
            budget.earn();
        }
        let spent = (0..1_000).filter(|_| budget.spend(Action::Again)).count();
        assert_eq!(spent, 10);
    }

    #[test]
    fn settling_goes_on_without_budget() {
        let budget = Budget::new(20);
        assert!((0..10_000).all(|_| budget.spend(Action::Settle)));
        assert!(!budget.spend(Action::Again));
        for _ in 0..1_000 {
            budget.earn();
        }
        assert!(budget.spend(Action::Again), "the debt is bounded");
    }
}
