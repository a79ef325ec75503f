//! Conditional writes whose outcome nobody tells.

use super::*;
use crate::cql::calls::Cas;
use crate::cql::calls::retry::Action;
use scylla::errors::DbError;

async fn value_of(rig: &Rig, name: &str) -> Option<String> {
    let read = rig
        .calls
        .row::<(String,)>(Statement::ParamRead, HOME, (name,));
    read.await.unwrap().map(|(value,)| value)
}

/// The write was applied, its answer lost: the repeat is refused, and the row is ours.
#[tokio::test]
async fn a_lost_answer_is_settled_by_the_identical_statement() {
    let mut rig = Rig::with(quick).await;
    let mut heard = rig.first(Statement::ParamAdd, 0, RequestReaction::noop());
    rig.lose_answers(1);
    let name = Uuid::now_v7().to_string();
    let cas = rig
        .calls
        .condition(Statement::ParamAdd, HOME, (name.as_str(), "mine"));
    assert_eq!(cas.await.unwrap(), Cas::Doubted);
    assert_eq!(heard.count(), 2);
    assert_eq!(value_of(&rig, &name).await.as_deref(), Some("mine"));
    let settled = rig
        .metrics()
        .condition_count(Statement::ParamAdd, "resolved_refused");
    assert_eq!(settled, 1);
}

/// No answer ever comes: the caller hears that nobody knows, although the write was applied.
#[tokio::test]
async fn an_outcome_that_stays_unknown_is_told_as_unknown() {
    let mut rig = Rig::with(quick).await;
    rig.lose_answers(usize::MAX);
    let name = Uuid::now_v7().to_string();
    let cas = rig
        .calls
        .condition(Statement::ParamAdd, HOME, (name.as_str(), "mine"));
    let error = cas.await.unwrap_err();
    assert!(matches!(error, StoreError::Unsettled { .. }), "{error}");
    assert!(error.to_string().contains("param_add"), "{error}");
    assert_eq!(
        rig.metrics()
            .condition_count(Statement::ParamAdd, "unknown"),
        1
    );
    rig.proxy.turn_off_rules();
    assert_eq!(value_of(&rig, &name).await.as_deref(), Some("mine"));
}

/// As long as nobody has begun with it, there is no doubt either, whether it is done in the end or
/// given up.
#[tokio::test]
async fn what_was_never_begun_is_not_unsettled() {
    let mut rig = Rig::with(|settings| settings.flow.retry_percent = 0).await;
    let forge = RequestReaction::forge_with_error(DbError::IsBootstrapping);
    let name = Uuid::now_v7().to_string();
    let calls = Arc::clone(&rig.calls);
    let add = async |value| {
        let row = (name.as_str(), value);
        calls
            .condition(Statement::ParamAdd, HOME, row)
            .await
            .unwrap()
    };
    assert_eq!(add("theirs").await, Cas::Applied);
    let mut heard = rig.first(Statement::ParamAdd, 2, forge.clone());
    assert_eq!(add("mine").await, Cas::Refused);
    assert_eq!(heard.count(), 3);

    while rig.calls.connected().budget.spend(Action::Again) {}
    rig.first(Statement::ParamAdd, usize::MAX, forge);
    let answer = rig.call(Class::Condition).await;
    assert!(is_unavailable(&answer), "{answer:?}");
}

/// Whatever comes after a doubt, the doubt stays.
#[tokio::test]
async fn a_doubt_is_not_forgotten() {
    let mut rig = Rig::with(quick).await;
    rig.lose_answers(1);
    let forge = RequestReaction::forge_with_error(DbError::Unauthorized);
    let mut heard = rig.first(Statement::ParamAdd, 0, RequestReaction::noop());
    let calls = Arc::clone(&rig.calls);
    let name = Uuid::now_v7().to_string();
    let call = tokio::spawn(async move {
        let row = (name.as_str(), "mine");
        calls.condition(Statement::ParamAdd, HOME, row).await
    });
    // The first has been sent; whatever follows is refused.
    heard.0.recv().await.unwrap();
    rig.first(Statement::ParamAdd, usize::MAX, forge);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Unsettled { .. }), "{error}");
}
