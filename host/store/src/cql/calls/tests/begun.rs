//! Changes that have begun, on a way to the cluster that is full.

use super::*;
use crate::contract::Backend;
use crate::contract::sample::{account, at, cid, draft, placement, request_id};
use crate::cql::trial::Trial;
use crate::{Expect, Outcome};
use holdfast_model::{Pin, RequestStatus};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::AtomicBool;

/// Nobody is to be turned away because he waited for long, on however slow a machine.
const LONG: Duration = Duration::from_secs(60);

/// Readers at once, for one place and none that may wait.
const READERS: usize = 3;

/// What a change of a request or a pin sends after its first write, and nobody else does here.
const AFTER_THE_FIRST_WRITE: [&str; 13] = [
    "intent_remove",
    "head_begin",
    "head_move",
    "request_put",
    "listing_put",
    "wish_put",
    "wish_remove",
    "mark_put",
    "pin_make",
    "pin_count",
    "pin_put",
    "wanters",
    "of_peer_put",
];

/// Comes again as long as there is no place, as clients do.
async fn until_let_in<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> T {
    loop {
        match call().await {
            Err(StoreError::Overloaded) => tokio::task::yield_now().await,
            answer => return answer.unwrap(),
        }
    }
}

/// The statements that were turned away so far.
fn turned_away(rig: &Rig) -> BTreeSet<String> {
    let registry = prometheus::Registry::new();
    for collector in rig.calls.collectors() {
        registry.register(collector).unwrap();
    }
    let families = registry.gather();
    let named = |family: &&prometheus::proto::MetricFamily| {
        family.name() == "holdfast_cql_turned_away_total"
    };
    let metrics = families.iter().find(named).into_iter();
    let metrics = metrics.flat_map(|family| family.get_metric());
    let label = |metric: &prometheus::proto::Metric| metric.get_label()[0].value().to_owned();
    metrics.map(label).collect()
}

/// Calls that change nothing, one after the other; who is turned away comes again a little later.
async fn read_on(store: Cql, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        match store.request(request_id(77)).await {
            Ok(found) => assert_eq!(found, None),
            Err(StoreError::Overloaded) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// A change of each kind, one after the other, by somebody who comes again until he is let in.
async fn change_all(store: Cql) {
    let made = until_let_in(|| store.create_request(draft(1, 1).unwrap(), at(100))).await;
    let outcome = || Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(5),
        details: None,
    };
    let settle = || store.settle_request(made.id, made.version, outcome(), at(200));
    assert_eq!(until_let_in(settle).await.version, 2);
    let account = account().unwrap();
    let delete = || store.delete_request(&account, made.id, at(300));
    until_let_in(delete).await;
    let pin = || Pin::recursive(cid(2).unwrap(), at(400));
    until_let_in(|| store.put_pin(pin(), Expect::Any)).await;
    let place = || placement(2, 1).unwrap();
    until_let_in(|| store.put_placement(place(), Expect::Any)).await;
}

/// A change that was let in goes on to its end, although one statement alone has room and readers
/// take it whenever they can: four rows are written at once, each of them without a place.
#[tokio::test]
async fn a_change_that_has_begun_is_not_turned_away() {
    let trial = Trial::start().await;
    let store = trial.cql();
    let rig = Rig::between(store, |settings| {
        settings.flow.in_flight = 1;
        settings.flow.queue = 0;
        let times = &mut settings.timeouts;
        (times.read, times.write, times.condition) = (LONG, LONG, LONG);
    })
    .await;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = |_| tokio::spawn(read_on(store.clone(), Arc::clone(&is_over)));
    let readers: Vec<_> = (0..READERS).map(reader).collect();
    let changes = tokio::spawn(change_all(store.clone()));
    let changed = tokio::time::timeout(Duration::from_secs(300), changes).await;
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let refused = turned_away(&rig);
    let half_done: Vec<_> = AFTER_THE_FIRST_WRITE
        .into_iter()
        .filter(|label| refused.contains(*label))
        .collect();
    assert_eq!(half_done, [""; 0], "of {refused:?}");
    let changed = changed.unwrap_or_else(|_| panic!("not all was changed: {refused:?}"));
    changed.unwrap();
    assert!(refused.contains("request_read"), "{refused:?}");
}
