//! What a store tells about itself.

use crate::Result;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
};
use std::time::{Duration, Instant};

/// Seconds of a call, from a point read served from memory (5 µs) to a write behind a slow disk
/// (5 s).
const SECONDS_BUCKETS: [f64; 13] = [
    5e-6, 1e-5, 2.5e-5, 1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.25, 1.0, 5.0,
];

/// Operations of one group commit, up to the largest group there can be.
const GROUP_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The metrics of one store.
#[derive(Debug)]
pub(crate) struct StoreMetrics {
    operations: IntCounterVec,
    /// The children of `operations` for success, by [`Operation`]: a call must not look labels up.
    succeeded: Vec<IntCounter>,
    seconds: HistogramVec,
    read_seconds: Histogram,
    write_seconds: Histogram,
    group_operations: Histogram,
    commit_seconds: Histogram,
    queue_operations: IntGauge,
}

/// Whether a call changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Read,
    Write,
}

macro_rules! operations {
    ($($name:ident $class:ident $text:literal;)+) => {
        /// The calls of the contract, as metrics name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation { $($name,)+ }

        impl Operation {
            const NAMES: &[&str] = &[$($text,)+];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
        }
    };
}

operations! {
    CreateRequest Write "create_request";
    ReplaceRequest Write "replace_request";
    DeleteRequest Write "delete_request";
    SettleRequest Write "settle_request";
    Request Read "request";
    Requests Read "requests";
    PageOfRequests Read "page_of_requests";
    CountRequests Read "count_requests";
    Holdings Read "holdings";
    RequestsOfPin Read "requests_of_pin";
    ExpiredRequests Read "expired_requests";
    Pin Read "pin";
    PutPin Write "put_pin";
    DeletePin Write "delete_pin";
    ChangePins Write "change_pins";
    AllocatePin Write "allocate_pin";
    Pins Read "pins";
    ExpiredPins Read "expired_pins";
    PutPlacement Write "put_placement";
    DeletePlacement Write "delete_placement";
    Placement Read "placement";
    PlacementsOfPin Read "placements_of_pin";
    PlacementsOfPeer Read "placements_of_peer";
    DuePlacements Read "due_placements";
    NextDue Read "next_due";
    Changes Read "changes";
    TrimChanges Write "trim_changes";
    Follower Read "follower";
    SaveFollower Write "save_follower";
    Usage Read "usage";
    Accounts Read "accounts";
    Tenant Read "tenant";
    PutTenant Write "put_tenant";
    Tenants Read "tenants";
    AddKey Write "add_key";
    AddFirstKey Write "add_first_key";
    KeyByHash Read "key_by_hash";
    Key Read "key";
    Keys Read "keys";
    RevokeKey Write "revoke_key";
    RetireKey Write "retire_key";
    Record Read "record";
    PutRecord Write "put_record";
    DeleteRecord Write "delete_record";
    Records Read "records";
    SweepRecords Write "sweep_records";
    AuditHead Read "audit_head";
    AppendAudit Write "append_audit";
    AuditEntries Read "audit_entries";
    AuditEntriesBefore Read "audit_entries_before";
    PutAuditCheckpoint Write "put_audit_checkpoint";
    AuditCheckpoints Read "audit_checkpoints";
    AuditTenants Read "audit_tenants";
    SweepAudit Write "sweep_audit";
    Ping Write "ping";
}

impl StoreMetrics {
    /// # Panics
    /// Never: the names and buckets are constants of this file, and a test makes them all.
    pub(crate) fn new() -> Self {
        let operations = counters(
            "holdfast_store_operations_total",
            "Calls of the store, by operation and outcome (ok or the kind of the error).",
        );
        let seconds = histograms(
            "holdfast_store_operation_seconds",
            "Seconds from call to answer, by class (read or write).",
        );
        let succeeded = Operation::NAMES
            .iter()
            .map(|name| operations.with_label_values(&[*name, "ok"]))
            .collect();
        Self {
            succeeded,
            read_seconds: seconds.with_label_values(&["read"]),
            write_seconds: seconds.with_label_values(&["write"]),
            operations,
            seconds,
            group_operations: histogram(
                "holdfast_store_group_operations",
                "Operations that one group commit carried.",
                &GROUP_BUCKETS,
            ),
            commit_seconds: histogram(
                "holdfast_store_commit_seconds",
                "Seconds of one group commit: journal write and fsync.",
                &SECONDS_BUCKETS,
            ),
            queue_operations: queue_gauge(),
        }
    }

    /// Every metric, to be registered where metrics are gathered.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.operations.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.group_operations.clone()),
            Box::new(self.commit_seconds.clone()),
            Box::new(self.queue_operations.clone()),
        ]
    }

    /// Counts and times one call that began at `began` and has now been answered.
    pub(crate) fn answered<T>(&self, operation: Operation, began: Instant, answer: &Result<T>) {
        let seconds = match operation.class() {
            Class::Read => &self.read_seconds,
            Class::Write => &self.write_seconds,
        };
        seconds.observe(began.elapsed().as_secs_f64());
        match answer {
            Ok(_) => {
                if let Some(counter) = self.succeeded.get(operation as usize) {
                    counter.inc();
                }
            }
            Err(error) => self
                .operations
                .with_label_values(&[operation.as_str(), error.kind().as_str()])
                .inc(),
        }
    }

    /// Notes a group commit.
    pub(crate) fn committed(&self, operations: u32, took: Duration) {
        self.group_operations.observe(f64::from(operations));
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// The number of writes that wait for the writer.
    pub(crate) fn queue(&self) -> &IntGauge {
        &self.queue_operations
    }
}

const CONSTANT_NAMES: &str = "the name and the labels are constants and well-formed";

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn counters(name: &str, help: &str) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), &["operation", "outcome"]).expect(CONSTANT_NAMES)
}

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn histograms(name: &str, help: &str) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(SECONDS_BUCKETS.to_vec());
    HistogramVec::new(options, &["class"]).expect(CONSTANT_NAMES)
}

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    Histogram::with_opts(options).expect(CONSTANT_NAMES)
}

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn queue_gauge() -> IntGauge {
    IntGauge::new(
        "holdfast_store_queue_operations",
        "Writes that wait for the next group commit.",
    )
    .expect(CONSTANT_NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;

    #[test]
    fn answers_are_counted_by_operation_and_outcome() {
        let metrics = StoreMetrics::new();
        let began = Instant::now();
        metrics.answered(Operation::RevokeKey, began, &Ok(()));
        let missing: Result<()> = Err(StoreError::NotFound("key"));
        metrics.answered(Operation::RevokeKey, began, &missing);
        for outcome in ["ok", "not_found"] {
            let counter = metrics
                .operations
                .with_label_values(&["revoke_key", outcome]);
            assert_eq!(counter.get(), 1, "{outcome}");
        }
        assert_eq!(metrics.write_seconds.get_sample_count(), 2);
        assert_eq!(metrics.read_seconds.get_sample_count(), 0);
    }

    #[test]
    fn every_metric_can_be_registered_and_has_our_prefix() {
        let registry = prometheus::Registry::new();
        for collector in StoreMetrics::new().collectors() {
            registry.register(collector).unwrap();
        }
        let families = registry.gather();
        assert_eq!(families.len(), 5);
        for family in families {
            assert!(
                family.name().starts_with("holdfast_store_"),
                "{}",
                family.name()
            );
        }
    }
}
