//! What the workers count. Names are `holdfast_work_…` and `holdfast_kubo_…`.

use holdfast_model::PlacementState;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};
use std::time::Instant;

/// 1 ms to 10 min: a local answer, and a DAG that is walked or fetched.
const CALL_BUCKETS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0];

/// 50 ms to a day: content that is there, and content that turns up at the last attempt.
const WAIT_BUCKETS: &[f64] = &[0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 86_400.0];

/// Calls to Kubo.
#[derive(Debug, Clone)]
pub struct KuboMetrics {
    seconds: HistogramVec,
}

/// One call that is under way.
#[derive(Debug)]
pub(super) struct CallTimer<'a> {
    metrics: &'a KuboMetrics,
    call: &'static str,
    begun: Instant,
    ended: bool,
}

/// What the workers count.
#[derive(Debug, Clone)]
pub struct WorkMetrics {
    /// Calls to Kubo.
    pub kubo: KuboMetrics,
    /// `holdfast_work_placements`: rows by state, as the last full round of each node saw them.
    pub placements: IntGaugeVec,
    /// `holdfast_work_attempts_total`: attempts to pin or unpin, by outcome.
    pub attempts: IntCounterVec,
    /// `holdfast_work_queued_to_pinned_seconds`: from the request to its pin.
    pub queued_to_pinned: Histogram,
    /// `holdfast_work_feed_lag_steps`: how far placement is behind the change feed's head.
    pub feed_lag: IntGauge,
    /// `holdfast_work_in_flight_calls`: pins and unpins under way, by node.
    pub in_flight: IntGaugeVec,
    /// `holdfast_work_due_placements`: work found due at the last look, by node; one page at most.
    pub due: IntGaugeVec,
    /// `holdfast_work_mended_total`: differences that a full round found, by what was wrong.
    pub mended: IntCounterVec,
    /// `holdfast_work_expired_total`: requests and pins whose time had come.
    pub expired: IntCounterVec,
    /// `holdfast_work_failures_total`: rounds of a worker that failed and will be repeated.
    pub failures: IntCounterVec,
    /// `holdfast_kubo_up`: whether a node answers.
    pub up: IntGaugeVec,
}

impl WorkMetrics {
    /// The metrics, at zero.
    ///
    /// # Errors
    /// Never in practice: `prometheus` refuses names that these are not.
    pub fn new() -> Result<Self, prometheus::Error> {
        let count =
            |name: &str, help: &str, label| IntCounterVec::new(Opts::new(name, help), &[label]);
        let gauge =
            |name: &str, help: &str, label| IntGaugeVec::new(Opts::new(name, help), &[label]);
        let placements = gauge(
            "holdfast_work_placements",
            "Placements by state, as the last full round of each node saw them.",
            "state",
        )?;
        for state in PlacementState::ALL {
            placements.with_label_values(&[state.as_str()]).set(0);
        }
        let kubo = HistogramOpts::new(
            "holdfast_kubo_call_seconds",
            "Calls to Kubo by call and outcome.",
        )
        .buckets(CALL_BUCKETS.to_vec());
        let waited = HistogramOpts::new(
            "holdfast_work_queued_to_pinned_seconds",
            "From a pin request to its pin.",
        )
        .buckets(WAIT_BUCKETS.to_vec());
        Ok(Self {
            kubo: KuboMetrics {
                seconds: HistogramVec::new(kubo, &["call", "outcome"])?,
            },
            placements,
            attempts: count(
                "holdfast_work_attempts_total",
                "Attempts to pin or unpin by outcome.",
                "outcome",
            )?,
            queued_to_pinned: Histogram::with_opts(waited)?,
            feed_lag: IntGauge::new(
                "holdfast_work_feed_lag_steps",
                "How far placement is behind the change feed's head, in steps of its cursor.",
            )?,
            in_flight: gauge(
                "holdfast_work_in_flight_calls",
                "Pins and unpins under way by node.",
                "peer",
            )?,
            due: gauge(
                "holdfast_work_due_placements",
                "Work found due at the last look by node.",
                "peer",
            )?,
            mended: count(
                "holdfast_work_mended_total",
                "Differences that a full round found.",
                "what",
            )?,
            expired: count(
                "holdfast_work_expired_total",
                "Requests and pins whose time had come.",
                "what",
            )?,
            failures: count(
                "holdfast_work_failures_total",
                "Rounds that failed and are repeated.",
                "worker",
            )?,
            up: gauge("holdfast_kubo_up", "Whether a node answers.", "api")?,
        })
    }

    /// All of them, to be registered.
    #[must_use]
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.kubo.seconds.clone()),
            Box::new(self.placements.clone()),
            Box::new(self.attempts.clone()),
            Box::new(self.queued_to_pinned.clone()),
            Box::new(self.feed_lag.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.due.clone()),
            Box::new(self.mended.clone()),
            Box::new(self.expired.clone()),
            Box::new(self.failures.clone()),
            Box::new(self.up.clone()),
        ]
    }

    /// Notes how long a request waited for its pin.
    #[expect(
        clippy::float_arithmetic,
        clippy::cast_precision_loss,
        reason = "a histogram's seconds are no money"
    )]
    pub(super) fn waited(&self, millis: u64) {
        self.queued_to_pinned.observe(millis as f64 / 1_000.0);
    }
}

impl KuboMetrics {
    pub(super) fn begin(&self, call: &'static str) -> CallTimer<'_> {
        CallTimer {
            metrics: self,
            call,
            begun: Instant::now(),
            ended: false,
        }
    }
}

impl CallTimer<'_> {
    pub(super) fn end(mut self, outcome: &str) {
        self.observe(outcome);
    }

    fn observe(&mut self, outcome: &str) {
        self.ended = true;
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics
            .seconds
            .with_label_values(&[self.call, outcome])
            .observe(seconds);
    }
}

impl Drop for CallTimer<'_> {
    /// A call whose future was dropped was cancelled.
    fn drop(&mut self) {
        if !self.ended {
            self.observe("cancelled");
        }
    }
}
