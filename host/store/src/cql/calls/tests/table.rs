//! Every failure that a server can utter, for every class of statement.

use super::*;
use crate::cql::calls::Cas;
use crate::cql::calls::failure::Failure;
use crate::cql::calls::retry::{Action, action};
use scylla::errors::{DbError, WriteType};
use scylla::statement::Consistency;

fn forged() -> Vec<(Failure, DbError)> {
    let consistency = Consistency::LocalQuorum;
    vec![
        (Failure::Invalid, DbError::Invalid),
        (Failure::Invalid, DbError::SyntaxError),
        (Failure::Invalid, DbError::ConfigError),
        (Failure::Login, DbError::AuthenticationError),
        (Failure::Denied, DbError::Unauthorized),
        (
            Failure::Unavailable,
            DbError::Unavailable {
                consistency,
                required: 2,
                alive: 1,
            },
        ),
        (
            Failure::WriteTimeout,
            DbError::WriteTimeout {
                consistency,
                received: 1,
                required: 2,
                write_type: WriteType::Cas,
            },
        ),
        (
            Failure::WriteFailed,
            DbError::WriteFailure {
                consistency,
                received: 1,
                required: 2,
                numfailures: 1,
                write_type: WriteType::Simple,
            },
        ),
        (
            Failure::ReadTimeout,
            DbError::ReadTimeout {
                consistency,
                received: 1,
                required: 2,
                data_present: true,
            },
        ),
        (
            Failure::ReadFailed,
            DbError::ReadFailure {
                consistency,
                received: 1,
                required: 2,
                numfailures: 1,
                data_present: false,
            },
        ),
        (Failure::Overloaded, DbError::Overloaded),
        (Failure::Server, DbError::ServerError),
        (Failure::Server, DbError::TruncateError),
        (Failure::Server, DbError::Other(0x1700)),
        (Failure::Bootstrapping, DbError::IsBootstrapping),
    ]
}

/// Each failure once, then the server's own answer: what the table sends again succeeds the second
/// time, what it does not has been sent once.
#[tokio::test]
async fn each_failure_is_met_as_the_table_says() {
    let mut rig = Rig::new().await;
    for (failure, error) in forged() {
        for class in CLASSES {
            let forge = RequestReaction::forge_with_error(error.clone());
            meets(&mut rig, failure, class, forge).await;
        }
    }
}

/// Has the first execution of a class fail, and looks at what is made of it. The server has not
/// seen that one, so a condition that is sent again holds.
pub(super) async fn meets(
    rig: &mut Rig,
    failure: Failure,
    class: Class,
    reaction: RequestReaction,
) {
    let statement = statement(class);
    let counted = |rig: &Rig| {
        let metrics = rig.metrics();
        let failures = metrics.failure_count(statement, failure);
        (failures, metrics.repeat_count(statement))
    };
    let before = counted(rig);
    let mut heard = rig.first(statement, 1, reaction);
    let answer = rig.call(class).await;
    let told = format!("{failure:?} {class:?}: {answer:?}");
    let repeats = match action(failure, class) {
        Action::Again | Action::Settle => {
            let applied = (class == Class::Condition).then_some(Cas::Applied);
            assert_eq!(answer.unwrap(), applied, "{told}");
            assert_eq!(heard.count(), 2, "{told}");
            1
        }
        Action::GiveUp | Action::Shed => {
            assert!(answer.is_err(), "{told}");
            assert_eq!(heard.count(), 1, "{told}");
            0
        }
    };
    assert_eq!(counted(rig), (before.0 + 1, before.1 + repeats), "{told}");
}

/// The caller of the same, forged for ever, hears of it in time, and never that all went well.
#[tokio::test]
async fn what_does_not_pass_ends_in_an_error_that_names_it() {
    let mut rig = Rig::with(quick).await;
    for (failure, error) in forged() {
        for class in CLASSES {
            let forge = RequestReaction::forge_with_error(error.clone());
            rig.first(statement(class), usize::MAX, forge);
            let began = std::time::Instant::now();
            let error = rig.call(class).await.unwrap_err();
            let told = format!("{failure:?} {class:?}: {error}");
            assert!(began.elapsed() < Duration::from_secs(2), "{told}");
            let is_unsettled = matches!(error, StoreError::Unsettled { .. });
            let is_to_settle = action(failure, class) == Action::Settle;
            assert_eq!(is_unsettled, is_to_settle, "{told}");
            let is_overloaded = matches!(error, StoreError::Overloaded);
            if !is_overloaded {
                assert!(told.contains("error 0x"), "no code: {told}");
                assert!(told.contains(" at 127."), "no node: {told}");
            }
        }
    }
}

/// Broken connections say nothing of what became of the statement.
#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let mut rig = Rig::new().await;
    for class in CLASSES {
        let mut heard = rig.first(statement(class), 1, RequestReaction::drop_connection());
        let answer = rig.call(class).await;
        assert!(answer.is_ok(), "{class:?}: {answer:?}");
        assert_eq!(heard.count(), 2, "{class:?}");
    }
}

/// The server forgets prepared statements when it restarts, or when it has too many.
#[tokio::test]
async fn a_forgotten_statement_is_prepared_again() {
    let mut rig = Rig::new().await;
    for class in CLASSES {
        let connected = rig.calls.connected();
        let prepared = connected.statement(HOME, statement(class)).unwrap();
        let statement_id = prepared.get_id().clone();
        let forge = RequestReaction::forge_with_error(DbError::Unprepared { statement_id });
        let mut heard = rig.first(statement(class), 1, forge);
        let answer = rig.call(class).await;
        assert!(answer.is_ok(), "{class:?}: {answer:?}");
        assert_eq!(heard.count(), 2, "{class:?}");
    }
}
