//! What the CQL store promises of accounts and their requests, beyond the contract: crashes,
//! several processes at once, large accounts, what is left behind, what a call costs.

mod buckets;
mod budget;
mod crashes;
mod processes;
mod remains;
mod writers;

use holdfast_model::RequestStatus;
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{at, request_id};
use holdfast_store::{Cql, Outcome, Store};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a test waits for what must come about.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process of its own on a keyspace, as far as the cluster can tell.
struct Process {
    cql: Cql,
    store: Store,
}

impl Process {
    async fn on(keyspace: &Keyspace) -> Self {
        let cql = Cql::open(keyspace.settings()).await.unwrap();
        let store = Store::Cql(cql.clone());
        Self { cql, store }
    }

    /// Finishes what others left, however young.
    async fn sweep(&self) {
        self.cql.sweep_older_than(Duration::ZERO).await.unwrap();
    }

    async fn settle(&self, id: u64, version: u64, size: u64, now: u64) {
        let outcome = Outcome {
            status: RequestStatus::Pinned,
            dag_size: Some(size),
            details: None,
        };
        let id = request_id(id);
        let settled = self.store.settle_request(id, version, outcome, at(now));
        settled.await.unwrap();
    }
}

/// What has been sent so far, by statement: of which class it is, and how often.
fn sent(process: &Process) -> BTreeMap<String, (String, u64)> {
    let registry = prometheus::Registry::new();
    for collector in process.store.metrics() {
        registry.register(collector).unwrap();
    }
    let mut sent = BTreeMap::new();
    for family in registry.gather() {
        if family.name() != "holdfast_cql_attempts_total" {
            continue;
        }
        for metric in family.get_metric() {
            let label = |name: &str| {
                let named = metric.get_label().iter().find(|label| label.name() == name);
                named.unwrap().value().to_owned()
            };
            let count = format!("{:.0}", metric.get_counter().get_value());
            let told = (label("class"), count.parse().unwrap());
            sent.insert(label("statement"), told);
        }
    }
    sent
}

/// Asks until it holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The store agrees with itself, and no batch is left unfinished.
async fn must_be_clean(process: &Process, keyspace: &Keyspace) {
    assert_eq!(process.store.check().await.unwrap(), [""; 0]);
    until("an intent is left", async || {
        !keyspace.rows().await.unwrap().contains_key("intents")
    })
    .await;
}
