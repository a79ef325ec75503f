//! How one call goes: what it has met so far, and whether it goes on.

use super::failure::{Failure, Heard};
use super::history::Shun;
use super::retry::{Action, Budget, action, attempts_max, pause};
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use std::time::Duration;
use tokio::time::Instant;

/// Under one name for all ways in which an outcome can stay unknown.
const UNSETTLED: &str = "unsettled";

/// One call on its way.
#[derive(Debug)]
pub(crate) struct Course {
    statement: Statement,
    home: Home,
    deadline: Instant,
    /// Attempts that reached a node.
    attempts: u32,
    rounds: u32,
    is_unsettled: bool,
    /// What said most of all that was heard: an answer that never came hides no earlier one.
    said: Option<Heard>,
    shun: Shun,
}

impl Course {
    pub(crate) fn new(statement: Statement, home: Home, deadline: Instant) -> Self {
        Self {
            statement,
            home,
            deadline,
            attempts: 0,
            rounds: 0,
            is_unsettled: false,
            said: None,
            shun: Shun::default(),
        }
    }

    pub(crate) fn statement(&self) -> Statement {
        self.statement
    }

    /// Where the keys are at home that it is about.
    pub(crate) fn home(&self) -> Home {
        self.home
    }

    /// Whether an attempt may have been applied without anybody saying so.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.is_unsettled
    }

    /// What the next round would rather avoid. The round gives it back.
    pub(crate) fn take_shun(&mut self) -> Shun {
        std::mem::take(&mut self.shun)
    }

    /// Remembers where a round failed.
    pub(crate) fn learn(&mut self, mut shun: Shun, heard: &Heard) {
        shun.learn(heard);
        self.shun = shun;
    }

    /// How long to wait before the next attempt, or what the caller is told.
    pub(crate) fn next(&mut self, heard: &Heard, budget: &Budget) -> Result<Duration, StoreError> {
        let class = self.statement.class();
        let mut action = action(heard.failure, class);
        if self
            .said
            .as_ref()
            .is_none_or(|said| heard.failure < said.failure)
        {
            self.said = Some(heard.clone());
        }
        // What reached no node is a load to nobody; connections are made again within a second.
        let was_sent = heard.failure != Failure::NoConnection;
        self.rounds += 1;
        self.attempts += u32::from(was_sent);
        self.is_unsettled |= action == Action::Settle;
        if self.is_unsettled && action == Action::Again {
            action = Action::Settle;
        }
        if matches!(action, Action::Shed | Action::GiveUp) || self.attempts >= attempts_max(class) {
            return Err(self.error(heard));
        }
        let pause = pause(self.rounds);
        if Instant::now() + pause >= self.deadline || was_sent && !budget.spend(action) {
            return Err(self.error(heard));
        }
        Ok(pause)
    }

    /// What the metrics call the end of it.
    pub(crate) fn outcome(&self, heard: &Heard) -> &'static str {
        match self.is_unsettled {
            true => UNSETTLED,
            false => heard.failure.label(),
        }
    }

    fn error(&self, heard: &Heard) -> StoreError {
        let doing = format!("run {}", self.statement.label());
        let why = match &self.said {
            Some(said) if said.failure != heard.failure => format!("{heard}; earlier {said}"),
            _ => heard.to_string(),
        };
        if self.is_unsettled {
            return StoreError::Unsettled { doing, why };
        }
        match heard.failure {
            Failure::Overloaded | Failure::RateLimited => StoreError::Overloaded,
            Failure::Invalid | Failure::Strange => StoreError::Corrupt(format!("{doing}: {why}")),
            _ => StoreError::Unavailable {
                doing,
                source: std::io::Error::other(why),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(failure: Failure, text: &str) -> Heard {
        Heard {
            failure,
            node: None,
            text: text.to_owned(),
        }
    }

    /// Whatever a call meets last, its caller hears what said most, and a doubt stays one.
    #[test]
    fn the_last_error_does_not_hide_the_first() {
        let budget = Budget::new(100);
        for (statement, is_settled) in [
            (Statement::ParamAdd, false),
            (Statement::FollowerRead, true),
        ] {
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut course = Course::new(statement, Home::default(), deadline);
            let said = heard(Failure::Unavailable, "one of two replicas is alive");
            course.next(&said, &budget).unwrap();
            course.deadline = Instant::now();
            let last = heard(Failure::NoConnection, "connection refused");
            let error = course.next(&last, &budget).unwrap_err();
            let is_unsettled = matches!(error, StoreError::Unsettled { .. });
            assert_eq!(is_unsettled, !is_settled, "{error}");
            let text = error.to_string();
            assert!(text.contains("one of two replicas is alive"), "{text}");
            assert!(text.contains("connection refused"), "{text}");
        }
    }

    const STATEMENTS: [Statement; 5] = [
        Statement::FollowerRead,
        Statement::ParamRead,
        Statement::FollowerWrite,
        Statement::ParamAdd,
        Statement::ScanTenants,
    ];

    /// Far enough for any number of pauses, none of which is waited for here.
    fn begin(statement: Statement) -> Course {
        let deadline = Instant::now() + Duration::from_secs(3600);
        Course::new(statement, Home::default(), deadline)
    }

    fn cells() -> impl Iterator<Item = (Statement, Failure)> {
        let of = |statement| {
            Failure::ALL
                .iter()
                .map(move |failure| (statement, *failure))
        };
        STATEMENTS.into_iter().flat_map(of)
    }

    /// What a caller hears of a call that ends with a failure and was never in doubt.
    fn kind(error: &StoreError) -> &'static str {
        match error {
            StoreError::Unsettled { .. } => "unsettled",
            StoreError::Overloaded => "overloaded",
            StoreError::Corrupt(_) => "corrupt",
            StoreError::Unavailable { .. } => "unavailable",
            other => panic!("{other}"),
        }
    }

    fn kind_of(failure: Failure) -> &'static str {
        match failure {
            Failure::Overloaded | Failure::RateLimited => "overloaded",
            Failure::Invalid | Failure::Strange => "corrupt",
            _ => "unavailable",
        }
    }

    /// Every cell of the table, met once with time left, and again when it is over.
    #[test]
    fn every_cell_goes_on_or_ends_as_the_table_says() {
        for (statement, failure) in cells() {
            let told = format!("{failure:?} of {statement:?}");
            let (mut course, budget) = (begin(statement), Budget::new(0));
            let met = heard(failure, "forged");
            let next = course.next(&met, &budget);
            let settles = match action(failure, statement.class()) {
                Action::GiveUp | Action::Shed => {
                    assert_eq!(kind(&next.unwrap_err()), kind_of(failure), "{told}");
                    continue;
                }
                Action::Again => false,
                Action::Settle => true,
            };
            next.unwrap();
            assert_eq!(course.is_unsettled(), settles, "{told}");
            course.deadline = Instant::now();
            let expected = if settles {
                "unsettled"
            } else {
                kind_of(failure)
            };
            let error = course.next(&met, &budget).unwrap_err();
            assert_eq!(kind(&error), expected, "{told}");
            let outcome = if settles { UNSETTLED } else { failure.label() };
            assert_eq!(course.outcome(&met), outcome, "{told}");
        }
    }

    /// How often each cell is sent again: as often as its class may, what was not sent at no cost,
    /// and what is no settling only as long as the budget lasts.
    #[test]
    fn every_cell_has_its_number_of_attempts_and_its_price() {
        for (statement, failure) in cells() {
            let told = format!("{failure:?} of {statement:?}");
            let class = statement.class();
            let action = action(failure, class);
            if matches!(action, Action::GiveUp | Action::Shed) {
                continue;
            }
            let met = heard(failure, "forged");
            let mut course = begin(statement);
            let rich = Budget::new(0);
            let most = 2 * attempts_max(class);
            let sent_again = (0..most).take_while(|_| course.next(&met, &rich).is_ok());
            let is_free = failure == Failure::NoConnection;
            let expected = if is_free {
                most
            } else {
                attempts_max(class) - 1
            };
            assert_eq!(sent_again.count(), expected as usize, "{told}");

            let poor = Budget::new(0);
            while poor.spend(Action::Again) {}
            let goes_on = begin(statement).next(&met, &poor).is_ok();
            assert_eq!(goes_on, is_free || action == Action::Settle, "{told}");
        }
    }

    /// A doubt outlasts whatever follows it, and what says no more is not asked for ever.
    #[test]
    fn after_a_doubt_every_cell_leaves_it_one() {
        for failure in Failure::ALL {
            let (mut course, budget) = (begin(Statement::ParamAdd), Budget::new(0));
            course
                .next(&heard(Failure::Timeout, "silence"), &budget)
                .unwrap();
            while budget.spend(Action::Again) {}
            match course.next(&heard(*failure, "forged"), &budget) {
                Ok(_) => assert!(course.is_unsettled(), "{failure:?}"),
                Err(error) => {
                    assert_eq!(kind(&error), "unsettled", "{failure:?}");
                    let ends = action(*failure, course.statement().class());
                    assert_eq!(ends, Action::GiveUp, "{failure:?}");
                }
            }
        }
    }
}
