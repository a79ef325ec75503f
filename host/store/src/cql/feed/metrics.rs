//! What operators see of the feed.

use super::Shared;
use prometheus::core::Collector;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

const CONSTANT_NAMES: &str = "the names are constants and well-formed";

/// Metrics of the feed.
#[derive(Debug)]
pub(super) struct FeedMetrics {
    pub(super) beats: IntCounterVec,
    pub(super) again: IntCounter,
    pub(super) given_up: IntCounter,
    writers: IntGauge,
    under_way: IntGaugeVec,
    lag: Gauge,
}

impl FeedMetrics {
    #[expect(
        clippy::expect_used,
        reason = "fails on a misspelt constant only; tests make every metric"
    )]
    pub(super) fn new() -> Self {
        let counter = |name, help| IntCounter::new(name, help).expect(CONSTANT_NAMES);
        Self {
            beats: IntCounterVec::new(
                Opts::new(
                    "holdfast_cql_feed_beats_total",
                    "Times that this process told the feed's other writers how far it is, by \
                     outcome: heard, failed.",
                ),
                &["outcome"],
            )
            .expect(CONSTANT_NAMES),
            again: counter(
                "holdfast_cql_feed_again_total",
                "Changes announced once more, since this process was not heard while they were made.",
            ),
            given_up: counter(
                "holdfast_cql_feed_given_up_total",
                "Processes that went without a word and are no longer waited for.",
            ),
            writers: IntGauge::new(
                "holdfast_cql_feed_writers",
                "Processes that write the feed, this one included.",
            )
            .expect(CONSTANT_NAMES),
            under_way: IntGaugeVec::new(
                Opts::new(
                    "holdfast_cql_feed_under_way",
                    "Announced changes that hold the feed's readers up, by state: running, or \
                     unknown (nobody knows whether they were made).",
                ),
                &["state"],
            )
            .expect(CONSTANT_NAMES),
            lag: Gauge::new(
                "holdfast_cql_feed_lag_seconds",
                "How far behind this process's clock the feed can be read.",
            )
            .expect(CONSTANT_NAMES),
        }
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.beats.clone()),
            Box::new(self.again.clone()),
            Box::new(self.given_up.clone()),
            Box::new(self.writers.clone()),
            Box::new(self.under_way.clone()),
            Box::new(self.lag.clone()),
        ]
    }
}

impl Shared {
    /// Shows how the feed stands.
    pub(super) fn show_standing(&self) {
        let now = self.clock.reached();
        let standing = self.standing.lock();
        let (running, unknown) = standing.count_under_way();
        let others = standing.others_alive();
        let behind = now.saturating_sub(standing.watermark(&self.clock));
        drop(standing);
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let of_state = |state, n| {
            let gauge = self.metrics.under_way.with_label_values(&[state]);
            gauge.set(number(n));
        };
        of_state("running", running);
        of_state("unknown", unknown);
        self.metrics.writers.set(number(others + 1));
        let lag = std::time::Duration::from_micros(behind);
        self.metrics.lag.set(lag.as_secs_f64());
    }
}
