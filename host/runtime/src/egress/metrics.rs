//! What plugins send and fetch, in numbers.

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
                &["plugin", "outcome"],
            )?,
            bytes: IntCounterVec::new(
                Opts::new(
                    "holdfast_plugin_egress_bytes_total",
                    "bytes of bodies that a plugin sent and received",
                ),
                &["plugin", "direction"],
            )?,
            connections: IntGaugeVec::new(
                Opts::new(
                    "holdfast_plugin_egress_connections",
                    "connections to the outside that a plugin holds",
                ),
                &["plugin"],
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

    /// Those of one plugin, looked up once.
    pub(crate) fn of(&self, plugin: &str) -> GuardMetrics {
        GuardMetrics {
            outcomes: EgressError::LABELS.map(|outcome| {
                let counter = self.requests.with_label_values(&[plugin, outcome]);
                (outcome, counter)
            }),
            sent: self.bytes.with_label_values(&[plugin, "sent"]),
            received: self.bytes.with_label_values(&[plugin, "received"]),
            connections: self.connections.with_label_values(&[plugin]),
        }
    }
}

/// Of one plugin.
#[derive(Debug, Clone)]
pub(crate) struct GuardMetrics {
    outcomes: [(&'static str, IntCounter); 11],
    /// Bytes of request bodies.
    pub(crate) sent: IntCounter,
    /// Bytes of response bodies.
    pub(crate) received: IntCounter,
    /// Connections that are open.
    pub(crate) connections: IntGauge,
}

impl GuardMetrics {
    /// Counts one request.
    pub(crate) fn count<T>(&self, outcome: &Result<T, EgressError>) {
        let label = outcome.as_ref().map_or_else(EgressError::label, |_| "ok");
        if let Some((_, counter)) = self.outcomes.iter().find(|(name, _)| *name == label) {
            counter.inc();
        }
    }
}
