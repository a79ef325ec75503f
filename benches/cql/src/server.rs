//! What is measured on: one node in a process of its own, a store, and a session of the driver's.

use crate::bare::Bare;
use crate::pace::{Deed, Measured, pace};
use crate::table::Row;
use crate::{AT_ONCE, Plan};
use anyhow::Result;
use holdfast_store::Store;
use holdfast_store::contract::cassandra::Cluster;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long each side is run before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// As long as no call here takes, on either side.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Pairs that are measured in turn for each row.
pub(crate) const ROUNDS: usize = 5;

/// A node with nothing in it, and both sides connected to it.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) store: Store,
    pub(crate) bare: Arc<Bare>,
    // Last: it ends after those that are connected to it.
    _server: Cluster,
}

impl Bench {
    pub(crate) fn start() -> Result<Self> {
        let server = Cluster::start_quick("dc1=1")?;
        let runtime = Runtime::new()?;
        let mut settings = server.settings("bench");
        // What is measured is how long calls take, not how long one waits for them.
        let times = &mut settings.timeouts;
        (times.read, times.write, times.condition) = (DEADLINE, DEADLINE, DEADLINE);
        let store = runtime.block_on(Store::cql(settings.clone()))?;
        let bare = Arc::new(runtime.block_on(Bare::connect(&settings))?);
        Ok(Self {
            runtime,
            store,
            bare,
            _server: server,
        })
    }

    /// Both sides in turn at each concurrency: three rows for each, and before them the one of the
    /// lowest throughput beside the driver's, which is the one to look at.
    pub(crate) fn compare(
        &self,
        name: &str,
        plan: &Plan,
        (ours, theirs): (&Deed, &Deed),
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut worst = None::<Row>;
        for at_once in AT_ONCE {
            let mut pairs = Vec::new();
            for round in 0..=ROUNDS {
                let stretch = if round == 0 { WARM_UP } else { plan.stretch() };
                let ours = self.runtime.block_on(pace(ours, at_once, stretch))?;
                let theirs = self.runtime.block_on(pace(theirs, at_once, stretch))?;
                if round > 0 {
                    pairs.push((ours, theirs));
                }
            }
            let of_this = rows_of(name, at_once, &pairs);
            if let Some(speed) = of_this.first()
                && worst.as_ref().is_none_or(|worst| speed.ratio < worst.ratio)
            {
                worst = Some(speed.renamed(name, &format!("{at_once} at once")));
            }
            rows.extend(of_this);
        }
        rows.splice(0..0, worst);
        Ok(rows)
    }
}

fn rows_of(name: &str, at_once: usize, pairs: &[(Measured, Measured)]) -> [Row; 3] {
    let of = |what: &str, unit, goal, pick: fn(&Measured) -> f64| {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (pick(a), pick(b))).collect();
        Row::from_pairs(format!("{name}_{at_once}{what}"), unit, goal, &pairs)
    };
    [
        of("", "op/s", ">= 0.85", |m| m.per_second),
        of("_p99", "us", "<= 1.3", |m| m.p99_micros),
        of("_cpu", "us/op", "<= 1.5", |m| m.cpu_micros_each),
    ]
}
