//! What is in the pools, counted when somebody asks: nothing is kept up to date at each call.

use crate::pool::Counted;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use std::sync::{Arc, Weak};

/// The gauges, and the pools that they are set from.
#[derive(Clone)]
pub(super) struct Pools {
    pool: IntGaugeVec,
    memory_peak: IntGaugeVec,
    memory_reserved: IntGaugeVec,
    watched: Arc<Mutex<Vec<Watched>>>,
}

struct Watched {
    labels: [String; 2],
    pool: Weak<dyn Counted>,
}

impl Pools {
    /// None yet.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
            pool: gauge(
                "holdfast_plugin_pool_state_count",
                "instances (idle, standby, spent) and calls (busy, waiting) of a plugin",
                &["plugin", "generation", "state"],
            )?,
            memory_peak: gauge(
                "holdfast_plugin_memory_peak_bytes",
                "the most memory that an instance of a plugin has held",
                &super::OF_GENERATION,
            )?,
            memory_reserved: gauge(
                "holdfast_plugin_memory_reserved_bytes",
                "memory set aside for a plugin: what its instances may come to hold",
                &super::OF_GENERATION,
            )?,
            watched: Arc::default(),
        })
    }

    /// Counts a pool from now on, as long as it is there.
    pub(super) fn watch(&self, [plugin, generation]: [&str; 2], pool: Weak<dyn Counted>) {
        self.watched.lock().push(Watched {
            labels: [plugin.to_owned(), generation.to_owned()],
            pool,
        });
    }

    fn vecs(&self) -> [&IntGaugeVec; 3] {
        [&self.pool, &self.memory_peak, &self.memory_reserved]
    }

    fn set(&self, labels: &[String; 2], pool: &dyn Counted) {
        let [plugin, generation] = labels.each_ref().map(String::as_str);
        let census = pool.census();
        for (state, count) in [
            ("idle", census.idle),
            ("standby", census.standby),
            ("spent", census.spent),
            ("busy", census.busy),
            ("waiting", census.waiting),
        ] {
            let labels = [plugin, generation, state];
            self.pool.with_label_values(&labels).set(number(count));
        }
        for (vec, bytes) in [
            (&self.memory_peak, census.memory_peak_bytes),
            (&self.memory_reserved, census.memory_reserved_bytes),
        ] {
            vec.with_label_values(&[plugin, generation])
                .set(number(bytes));
        }
    }
}

impl Collector for Pools {
    fn desc(&self) -> Vec<&Desc> {
        self.vecs().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end: two who ask at once must not see each other's half-set gauges.
        let mut watched = self.watched.lock();
        self.vecs().into_iter().for_each(IntGaugeVec::reset);
        watched.retain(|one| match one.pool.upgrade() {
            Some(pool) => {
                self.set(&one.labels, &*pool);
                true
            }
            None => false,
        });
        self.vecs()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

impl std::fmt::Debug for Pools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pools").finish_non_exhaustive()
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
