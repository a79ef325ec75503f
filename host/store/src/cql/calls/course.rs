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
}
