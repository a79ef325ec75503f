//! What can be watched of the audit log.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntGauge};

pub(super) struct Metrics {
    pub(super) written: IntCounter,
    pub(super) not_durable: IntGauge,
    pub(super) waits: IntCounter,
    pub(super) failures: IntCounter,
    pub(super) backlog: IntGauge,
    pub(super) carried: IntCounter,
    pub(super) carry_failures: IntCounter,
    pub(super) checkpoints: IntCounter,
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
                "Attempts to write the audit log that the system refused, or that were put off \
                 because too much of it is not in the store yet.",
            )?,
            backlog: IntGauge::new(
                "holdfast_audit_backlog_bytes",
                "Bytes of the audit log that are not in the store's chains yet.",
            )?,
            carried: IntCounter::new(
                "holdfast_audit_carried_total",
                "Events of the audit log entered into the store's chains.",
            )?,
            carry_failures: IntCounter::new(
                "holdfast_audit_carry_failures_total",
                "Attempts to carry the audit log into the store that failed and are repeated.",
            )?,
            checkpoints: IntCounter::new(
                "holdfast_audit_checkpoints_total",
                "Signed checkpoints made of the audit log's chains.",
            )?,
        })
    }

    pub(super) fn all(&self) -> Vec<Box<dyn Collector>> {
        let Self {
            written,
            not_durable,
            waits,
            failures,
            backlog,
            carried,
            carry_failures,
            checkpoints,
        } = self;
        vec![
            Box::new(written.clone()),
            Box::new(not_durable.clone()),
            Box::new(waits.clone()),
            Box::new(failures.clone()),
            Box::new(backlog.clone()),
            Box::new(carried.clone()),
            Box::new(carry_failures.clone()),
            Box::new(checkpoints.clone()),
        ]
    }
}
