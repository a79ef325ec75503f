//! The failures of the table that are no error of every server: silence, no connection at all, an
//! answer that nobody understands, and ScyllaDB's limit on a partition.

use super::table::meets;
use super::*;
use crate::cql::calls::Cas;
use crate::cql::calls::failure::Failure;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::HashMap;
use tokio::task::yield_now;

/// Longer than any machine takes to connect anew, and never waited for.
const LONG: Duration = Duration::from_secs(60);

/// The code by which a forged server says that a partition has had its share of calls.
const RATE_LIMITED: i32 = 0xF000;

/// The statement is lost on its way, and nothing ever comes back.
#[tokio::test]
async fn what_is_not_answered_is_sent_again() {
    let mut rig = Rig::with(quick).await;
    for class in CLASSES {
        let silence = RequestReaction::drop_frame();
        meets(&mut rig, Failure::Timeout, class, silence).await;
    }
}

/// An answer to another question than the one that was asked.
#[tokio::test]
async fn what_is_not_understood_is_only_settled() {
    let mut rig = Rig::new().await;
    for class in CLASSES {
        let strange = RequestReaction::forge_response(Arc::new(|frame| {
            ResponseFrame::forged_supported(frame.params, &HashMap::new()).unwrap()
        }));
        meets(&mut rig, Failure::Strange, class, strange).await;
    }
}

/// ScyllaDB's error, as its extension of the protocol defines it: the code is what the server has
/// offered when the connection was made, and two bytes follow the text.
#[tokio::test]
async fn a_partition_that_has_had_its_share_is_left_alone() {
    let offer = RequestReaction::forge_response(Arc::new(|frame| {
        let code = vec![format!("ERROR_CODE={RATE_LIMITED}")];
        let offered = HashMap::from([("SCYLLA_RATE_LIMIT_ERROR".to_owned(), code)]);
        ResponseFrame::forged_supported(frame.params, &offered).unwrap()
    }));
    // Not to the first connection, over which the driver asks what the nodes are: it would ask in
    // ScyllaDB's own words.
    let asked = Condition::RequestOpcode(RequestOpcode::Options)
        .and(Condition::not(Condition::TrueForLimitedTimes(1)));
    let mut rig = Rig::met_by(vec![RequestRule(asked, offer)], |_| ()).await;
    for class in CLASSES {
        let limited = RequestReaction::forge_response(Arc::new(|frame| {
            let params = frame.params.for_response();
            ResponseFrame::new(params, ResponseOpcode::Error, rate_limit())
        }));
        meets(&mut rig, Failure::RateLimited, class, limited.clone()).await;
        if class != Class::Condition {
            rig.first(statement(class), 1, limited);
            let answer = rig.call(class).await;
            assert!(matches!(answer, Err(StoreError::Overloaded)), "{answer:?}");
        }
    }
}

fn rate_limit() -> Bytes {
    let text = "too many calls";
    let mut body = BytesMut::new();
    body.put_i32(RATE_LIMITED);
    body.put_u16(u16::try_from(text.len()).unwrap());
    body.put_slice(text.as_bytes());
    // An operation that reads, turned away by a replica.
    body.put_slice(&[0, 0]);
    body.freeze()
}

/// Every connection is cut and none can be made: calls wait for one, and as nothing was sent,
/// nothing is in doubt.
#[tokio::test]
async fn without_a_connection_a_call_waits_for_one() {
    let mut rig = Rig::with(|settings| {
        settings.timeouts.read = LONG;
        settings.timeouts.write = LONG;
        settings.timeouts.condition = LONG;
        settings.timeouts.page = LONG;
    })
    .await;
    for class in CLASSES {
        let cut = RequestRule(Condition::True, RequestReaction::drop_connection());
        rig.proxy.running_nodes[0].change_request_rules(Some(vec![cut]));
        read_until_none_is_left(&rig).await;
        let statement = statement(class);
        let unsent = |rig: &Rig| {
            rig.metrics()
                .failure_count(statement, Failure::NoConnection)
        };
        let before = unsent(&rig);
        let calls = Arc::clone(&rig.calls);
        let waiting = tokio::spawn(async move { call(&calls, class).await });
        while unsent(&rig) == before && !waiting.is_finished() {
            yield_now().await;
        }
        rig.proxy.turn_off_rules();
        let applied = (class == Class::Condition).then_some(Cas::Applied);
        assert_eq!(waiting.await.unwrap().unwrap(), applied, "{class:?}");
        assert!(unsent(&rig) > before, "{class:?} was sent");
    }
}

/// Finds out at the price of each connection, until the driver has none.
async fn read_until_none_is_left(rig: &Rig) {
    let probe = Statement::SchemaVersions;
    let unsent = || rig.metrics().failure_count(probe, Failure::NoConnection);
    let before = unsent();
    let reading = rig.calls.rows::<(i32, String)>(probe, HOME, ("nothing",));
    tokio::select! {
        read = reading => panic!("nothing can be read: {read:?}"),
        () = async { while unsent() == before { yield_now().await } } => {}
    }
}
