//! How much goes on at once, and tracing.

use super::*;
use crate::cql::calls::{fetch, recording};

const SLOW: Duration = Duration::from_millis(400);

/// One call has the only place, one waits, the third is turned away at once.
#[tokio::test]
async fn too_much_at_once_is_turned_away() {
    let mut rig = Rig::with(|settings| {
        settings.flow.in_flight = 1;
        settings.flow.queue = 1;
    })
    .await;
    let mut heard = rig.first(statement(Class::Read), 1, RequestReaction::delay(SLOW));
    let rig = Arc::new(rig);
    let begin = |rig: &Arc<Rig>| {
        let rig = Arc::clone(rig);
        tokio::spawn(async move { rig.call(Class::Read).await })
    };
    let first = begin(&rig);
    heard.0.recv().await.unwrap();
    let second = begin(&rig);
    while rig.calls.connected().queue.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let began = std::time::Instant::now();
    let third = rig.call(Class::Read).await;
    assert!(matches!(third, Err(StoreError::Overloaded)), "{third:?}");
    assert!(began.elapsed() < SLOW);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

/// A call that is dropped gives its place back, and the node its count.
#[tokio::test]
async fn who_goes_away_leaves_nothing_behind() {
    let mut rig = Rig::with(|settings| settings.flow.in_flight = 1).await;
    let mut heard = rig.first(statement(Class::Read), 1, RequestReaction::delay(SLOW));
    {
        let mut call = Box::pin(rig.call(Class::Read));
        tokio::select! {
            _ = &mut call => panic!("it was to be slow"),
            _ = heard.0.recv() => {}
        }
    }
    rig.call(Class::Read).await.unwrap();
    let connected = rig.calls.connected();
    assert_eq!(connected.queue.in_flight(), 0);
    assert!(
        connected
            .nodes
            .all()
            .iter()
            .all(|node| node.in_flight() == 0)
    );
}

/// A node that answers nothing any more is not asked again and again.
#[tokio::test]
async fn a_failing_node_is_left_alone_and_found_again() {
    let mut rig = Rig::with(|settings| {
        quick(settings);
        settings.flow.retry_percent = 0;
    })
    .await;
    rig.first(
        statement(Class::Write),
        usize::MAX,
        RequestReaction::forge_with_error(scylla::errors::DbError::ServerError),
    );
    let open = |rig: &Rig| {
        rig.calls
            .connected()
            .nodes
            .all()
            .iter()
            .any(|n| n.is_open())
    };
    while !open(&rig) {
        rig.call(Class::Write).await.unwrap_err();
    }
    // The only replica is asked all the same, and its answer closes the circuit.
    rig.proxy.turn_off_rules();
    rig.call(Class::Write).await.unwrap();
    assert!(!open(&rig));
}

#[tokio::test]
async fn what_the_server_did_can_be_asked_for() {
    let rig = Rig::new().await;
    let (answers, traced) = recording(async {
        rig.call(Class::Write).await.unwrap();
        rig.call(Class::Condition).await.unwrap();
    })
    .await;
    assert_eq!(answers, ());
    rig.call(Class::Write).await.unwrap();
    let traces = fetch(&rig.calls.connected(), traced).await;
    let statements: Vec<_> = traces.iter().map(|trace| trace.statement).collect();
    assert_eq!(statements, ["follower_write", "param_add"]);
    for trace in traces {
        assert!(trace.coordinator.is_some(), "{trace:?}");
        assert!(!trace.events.is_empty(), "{trace:?}");
    }
}

#[tokio::test]
async fn every_metric_can_be_registered_and_has_our_prefix() {
    let rig = Rig::new().await;
    rig.call(Class::Condition).await.unwrap();
    let registry = prometheus::Registry::new();
    for collector in rig.calls.collectors() {
        registry.register(collector).unwrap();
    }
    let families = registry.gather();
    let named = |name: &str| families.iter().find(|family| family.name() == name);
    assert!(
        families
            .iter()
            .all(|family| family.name().starts_with("holdfast_cql_"))
    );
    let nodes = named("holdfast_cql_nodes").unwrap();
    let connected: f64 = nodes
        .get_metric()
        .iter()
        .map(|m| m.get_gauge().get_value())
        .sum();
    assert_eq!(connected, 1.0);
    let seconds = named("holdfast_cql_call_seconds").unwrap();
    let added = seconds.get_metric().iter().find(|metric| {
        let labels = metric.get_label();
        labels.iter().any(|label| label.value() == "param_add")
    });
    assert_eq!(added.unwrap().get_histogram().get_sample_count(), 1);
}
