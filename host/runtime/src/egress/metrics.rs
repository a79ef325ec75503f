//! What plugins send and fetch, in numbers: by generation, whose series go with it.

use super::error::EgressError;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// Of all plugins.
#[derive(Debug, Clone)]
pub(crate) struct EgressMetrics {
    requests: IntCounterVec,
    bytes: IntCounterVec,
    connections: IntGaugeVec,
}

impl EgressMetrics {
    /// All at zero, registered nowhere yet.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "holdfast_plugin_egress_requests_total",
                    "requests of a plugin to the outside by how far they came",
                ),
                &["plugin", "generation", "outcome"],
            )?,
            bytes: IntCounterVec::new(
                Opts::new(
                    "holdfast_plugin_egress_bytes_total",
                    "bytes of bodies that a plugin sent and received",
                ),
                &["plugin", "generation", "direction"],
            )?,
            connections: IntGaugeVec::new(
                Opts::new(
                    "holdfast_plugin_egress_connections",
                    "connections to the outside that a plugin holds",
                ),
                &["plugin", "generation"],
            )?,
        })
    }

    /// For the registry of whoever serves metrics.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.requests.clone()),
            Box::new(self.bytes.clone()),
            Box::new(self.connections.clone()),
        ]
    }

    /// Those of one generation of a plugin, looked up once.
    pub(crate) fn of(&self, plugin: &str, generation: u64) -> GuardMetrics {
        let number = generation.to_string();
        let labels = [plugin, number.as_str()];
        let with = |last| [plugin, number.as_str(), last];
        GuardMetrics {
            outcomes: EgressError::LABELS.map(|outcome| {
                let counter = self.requests.with_label_values(&with(outcome));
                (outcome, counter)
            }),
            sent: self.bytes.with_label_values(&with(SENT)),
            received: self.bytes.with_label_values(&with(RECEIVED)),
            connections: self.connections.with_label_values(&labels),
            plugin: plugin.to_owned(),
            generation: number,
            all: self.clone(),
        }
    }

    /// Takes the series of a generation away.
    fn forget(&self, of: &GuardMetrics) {
        let [plugin, generation] = [of.plugin.as_str(), of.generation.as_str()];
        // What is gone already need not be taken away.
        for (outcome, _) in &of.outcomes {
            let labels = [plugin, generation, outcome];
            let _ = self.requests.remove_label_values(&labels);
        }
        for direction in [SENT, RECEIVED] {
            let labels = [plugin, generation, direction];
            let _ = self.bytes.remove_label_values(&labels);
        }
        let _ = self.connections.remove_label_values(&[plugin, generation]);
    }
}

/// The directions in which bytes go.
const SENT: &str = "sent";
const RECEIVED: &str = "received";

/// Of one generation of a plugin. Its series go with it.
#[derive(Debug)]
pub(crate) struct GuardMetrics {
    outcomes: [(&'static str, IntCounter); 11],
    /// Bytes of request bodies.
    pub(crate) sent: IntCounter,
    /// Bytes of response bodies.
    pub(crate) received: IntCounter,
    /// Connections that are open.
    pub(crate) connections: IntGauge,
    plugin: String,
    generation: String,
    all: EgressMetrics,
}

impl Drop for GuardMetrics {
    fn drop(&mut self) {
        self.all.forget(self);
    }
}

impl GuardMetrics {
    /// Counts one request by how far it came: a label of [`EgressError`]'s.
    pub(crate) fn count(&self, outcome: &str) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(name, _)| *name == outcome) {
            counter.inc();
        }
    }
}
