//! What is measured on: one node in a process of its own, a store, and a session of the driver's.

use crate::bare::Bare;
use crate::pace::{Deed, Measured, pace};
use crate::table::{Row, row};
use crate::{AT_ONCE, Plan};
use holdfast_store::Store;
use holdfast_store::contract::cassandra::{Cluster, Network, Tls};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long each side is run before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// As long as no call here takes, on either side.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Pairs that are measured in turn for each row.
pub(crate) const ROUNDS: usize = 3;

/// A node with nothing in it, and both sides connected to it.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) store: Store,
    pub(crate) bare: Arc<Bare>,
    // Last: it ends after those that are connected to it.
    _server: Cluster,
}

impl Bench {
    pub(crate) fn start() -> Self {
        let server = Cluster::start("dc1=1", Tls::Off, Network::Loopback).unwrap();
        let runtime = Runtime::new().unwrap();
        let mut settings = server.settings("bench");
        // What is measured is how long calls take, not how long one waits for them.
        let times = &mut settings.timeouts;
        (times.read, times.write, times.condition) = (DEADLINE, DEADLINE, DEADLINE);
        let (store, bare) = runtime.block_on(async {
            let store = Store::cql(settings.clone()).await.unwrap();
            (store, Arc::new(Bare::connect(&settings).await))
        });
        Self {
            runtime,
            store,
            bare,
            _server: server,
        }
    }

    /// Both sides in turn at each concurrency: three rows for each.
    pub(crate) fn compare(
        &self,
        name: &str,
        plan: &Plan,
        (ours, theirs): (&Deed, &Deed),
    ) -> Vec<Row> {
        let mut rows = Vec::new();
        for at_once in AT_ONCE {
            let mut pairs = Vec::new();
            self.runtime.block_on(async {
                pace(ours, at_once, WARM_UP).await;
                pace(theirs, at_once, WARM_UP).await;
                for _ in 0..ROUNDS {
                    let ours = pace(ours, at_once, plan.stretch).await;
                    let theirs = pace(theirs, at_once, plan.stretch).await;
                    pairs.push((ours, theirs));
                }
            });
            rows.extend(rows_of(name, at_once, &pairs));
        }
        rows
    }
}

fn rows_of(name: &str, at_once: usize, pairs: &[(Measured, Measured)]) -> [Row; 3] {
    let of = |what: &str, unit, goal, pick: fn(&Measured) -> f64| {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (pick(a), pick(b))).collect();
        row(format!("{name}_{at_once}{what}"), unit, goal, &pairs)
    };
    [
        of("", "op/s", ">= 0.85", |m| m.per_second),
        of("_p99", "us", "<= 1.3", |m| m.p99_micros),
        of("_cpu", "us/op", "<= 1.5", |m| m.cpu_micros_each),
    ]
}
