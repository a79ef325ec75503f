//! What can be watched of the audit log.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntGauge};

pub(super) struct Metrics {
    pub(super) written: IntCounter,
    pub(super) not_durable: IntGauge,
    pub(super) waits: IntCounter,
    pub(super) failures: IntCounter,
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            written: IntCounter::new(
                "holdfast_audit_written_total",
                "Events written to the audit log.",
            )?,
            not_durable: IntGauge::new(
                "holdfast_audit_not_durable_events",
                "Events recorded and not yet synced to the disk.",
            )?,
            waits: IntCounter::new(
                "holdfast_audit_waits_total",
                "Calls that had to wait because the queue of the audit log was full.",
            )?,
            failures: IntCounter::new(
                "holdfast_audit_failures_total",
                "Attempts to write the audit log that the system refused.",
            )?,
        })
    }

    pub(super) fn all(&self) -> Vec<Box<dyn Collector>> {
        let Self {
            written,
            not_durable,
            waits,
            failures,
        } = self;
        vec![
            Box::new(written.clone()),
            Box::new(not_durable.clone()),
            Box::new(waits.clone()),
            Box::new(failures.clone()),
        ]
    }
}
