//! What is counted of calls. Latencies are measured here, in buckets from 50 µs: the driver's own
//! histogram counts whole milliseconds.

use super::Cas;
use super::failure::Failure;
use super::history::Tally;
use crate::cql::statement::Statement;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};
use std::time::Duration;

/// Seconds of a call, from a row in the server's memory (50 µs) to the longest deadline.
const SECONDS_BUCKETS: [f64; 16] = [
    5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1.5e-3, 3e-3, 6e-3, 1.2e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 2.0,
    10.0,
];

/// The metrics of the door to the driver.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    seconds: HistogramVec,
    attempts: IntCounterVec,
    failures: IntCounterVec,
    repeats: IntCounterVec,
    turned_away: IntCounterVec,
    conditions: IntCounterVec,
    rows: IntCounterVec,
    pages: IntCounterVec,
    speculative: IntCounterVec,
    remote_reads: IntCounter,
    sessions: IntCounterVec,
    /// The children of nearly every call, by [`Statement`]: it must not look labels up.
    quick: Vec<Quick>,
}

#[derive(Debug)]
struct Quick {
    answered: Histogram,
    attempts: IntCounter,
    applied: IntCounter,
}

impl CallMetrics {
    pub(crate) fn new() -> Self {
        let seconds = histograms();
        let attempts = counters(
            "holdfast_cql_attempts_total",
            "Statements sent to a node, by statement and what it does; speculative and repeated \
             ones too.",
            &["statement", "class"],
        );
        let conditions = counters(
            "holdfast_cql_conditions_total",
            "Conditional writes, by statement and result; resolved_ ones were settled by repeating.",
            &["statement", "result"],
        );
        let quick = Statement::ALL.iter().map(|statement| Quick {
            answered: seconds.with_label_values(&[statement.label(), "ok"]),
            attempts: attempts.with_label_values(&[statement.label(), statement.class().label()]),
            applied: conditions.with_label_values(&[statement.label(), "applied"]),
        });
        Self {
            quick: quick.collect(),
            seconds,
            attempts,
            conditions,
            failures: counters(
                "holdfast_cql_failures_total",
                "Failed attempts, by statement and what the server or the driver said.",
                &["statement", "failure"],
            ),
            repeats: counters(
                "holdfast_cql_repeats_total",
                "Statements sent again after a failure, by statement.",
                &["statement"],
            ),
            turned_away: counters(
                "holdfast_cql_turned_away_total",
                "Calls that found the queue full or waited in it past their deadline, by statement.",
                &["statement"],
            ),
            rows: counters(
                "holdfast_cql_stream_rows_total",
                "Rows of streams, by statement.",
                &["statement"],
            ),
            pages: counters(
                "holdfast_cql_stream_pages_total",
                "Pages of streams, by statement.",
                &["statement"],
            ),
            speculative: counters(
                "holdfast_cql_speculative_total",
                "Statements sent to a second replica before the first had answered: launched, won.",
                &["result"],
            ),
            remote_reads: remote_reads(),
            sessions: counters(
                "holdfast_cql_sessions_total",
                "Changes of the connection while the store was open: swapped, refused.",
                &["result"],
            ),
        }
    }

    /// Every metric, to be registered where metrics are gathered.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.seconds.clone()),
            Box::new(self.attempts.clone()),
            Box::new(self.failures.clone()),
            Box::new(self.repeats.clone()),
            Box::new(self.turned_away.clone()),
            Box::new(self.conditions.clone()),
            Box::new(self.rows.clone()),
            Box::new(self.pages.clone()),
            Box::new(self.speculative.clone()),
            Box::new(self.remote_reads.clone()),
            Box::new(self.sessions.clone()),
        ]
    }

    /// A call was answered.
    pub(super) fn answered(&self, statement: Statement, took: Duration) {
        if let Some(quick) = self.quick.get(statement as usize) {
            quick.answered.observe(took.as_secs_f64());
        }
    }

    /// A call has failed for good.
    pub(super) fn ended(&self, statement: Statement, outcome: &str, took: Duration) {
        self.seconds
            .with_label_values(&[statement.label(), outcome])
            .observe(took.as_secs_f64());
    }

    /// The driver was called once.
    pub(super) fn round(&self, statement: Statement, tally: Tally) {
        if let Some(quick) = self.quick.get(statement as usize) {
            quick.attempts.inc_by(u64::from(tally.attempts));
        }
        if tally.speculative > 0 {
            let launched = self.speculative.with_label_values(&["launched"]);
            launched.inc_by(u64::from(tally.speculative));
            if tally.speculative_won {
                self.speculative.with_label_values(&["won"]).inc();
            }
        }
    }

    /// An attempt has failed.
    pub(super) fn failed(&self, statement: Statement, failure: Failure) {
        self.failures
            .with_label_values(&[statement.label(), failure.label()])
            .inc();
    }

    /// A statement is sent again.
    pub(super) fn repeated(&self, statement: Statement) {
        self.repeats.with_label_values(&[statement.label()]).inc();
    }

    /// There was no place for a call.
    pub(super) fn turned_away(&self, statement: Statement) {
        self.turned_away
            .with_label_values(&[statement.label()])
            .inc();
    }

    /// A condition was decided, at once or after its outcome had been unknown.
    pub(super) fn decided(&self, statement: Statement, cas: Cas, was_unsettled: bool) {
        let result = match (cas, was_unsettled) {
            (Cas::Applied, false) => {
                if let Some(quick) = self.quick.get(statement as usize) {
                    quick.applied.inc();
                }
                return;
            }
            (Cas::Refused | Cas::Doubted, false) => "refused",
            (Cas::Applied, true) => "resolved_applied",
            (Cas::Refused | Cas::Doubted, true) => "resolved_refused",
        };
        self.condition(statement, result);
    }

    /// Nobody has said what became of a conditional write.
    pub(super) fn unknown(&self, statement: Statement) {
        self.condition(statement, "unknown");
    }

    fn condition(&self, statement: Statement, result: &str) {
        self.conditions
            .with_label_values(&[statement.label(), result])
            .inc();
    }

    #[cfg(test)]
    pub(super) fn condition_count(&self, statement: Statement, result: &str) -> u64 {
        self.conditions
            .with_label_values(&[statement.label(), result])
            .get()
    }

    #[cfg(test)]
    pub(super) fn failure_count(&self, statement: Statement, failure: Failure) -> u64 {
        let labels = [statement.label(), failure.label()];
        self.failures.with_label_values(&labels).get()
    }

    #[cfg(test)]
    pub(super) fn repeat_count(&self, statement: Statement) -> u64 {
        self.repeats.with_label_values(&[statement.label()]).get()
    }

    /// A page of a stream has come.
    pub(super) fn page(&self, statement: Statement, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.rows
            .with_label_values(&[statement.label()])
            .inc_by(rows);
        self.pages.with_label_values(&[statement.label()]).inc();
    }

    /// A read was answered outside of the home datacenter of what was read.
    pub(super) fn remote_read(&self) {
        self.remote_reads.inc();
    }

    /// The connection was to change.
    pub(crate) fn reconfigured(&self, result: &str) {
        self.sessions.with_label_values(&[result]).inc();
    }
}

pub(super) const CONSTANT_NAMES: &str = "the name and the labels are constants and well-formed";

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect(CONSTANT_NAMES)
}

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn histograms() -> HistogramVec {
    let options = HistogramOpts::new(
        "holdfast_cql_call_seconds",
        "Seconds of a call, waiting and all attempts included, by statement and outcome.",
    );
    HistogramVec::new(
        options.buckets(SECONDS_BUCKETS.to_vec()),
        &["statement", "outcome"],
    )
    .expect(CONSTANT_NAMES)
}

#[expect(
    clippy::expect_used,
    reason = "fails on a misspelt constant only; tests make every metric"
)]
fn remote_reads() -> IntCounter {
    IntCounter::new(
        "holdfast_cql_remote_reads_total",
        "Reads answered by another datacenter than the home of what was read.",
    )
    .expect(CONSTANT_NAMES)
}
