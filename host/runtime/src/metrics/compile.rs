//! How compiling fares.

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};

/// Seconds of compiling: 10 ms for a small plugin in Rust, minutes for one that brings Python.
const SECONDS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 240.0];

/// The metrics of compiling and of its cache.
#[derive(Debug, Clone)]
pub(crate) struct CompileMetrics {
    /// Components that were to be compiled, by where they came from.
    pub(crate) outcomes: IntCounterVec,
    /// How long compiling took.
    pub(crate) seconds: Histogram,
    /// Entries of the cache that were thrown away, by reason.
    pub(crate) cache_dropped: IntCounterVec,
}

impl CompileMetrics {
    /// All at zero.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label])
        };
        let seconds = HistogramOpts::new(
            "holdfast_plugin_compile_seconds",
            "how long compiling a component took",
        );
        Ok(Self {
            outcomes: counter(
                "holdfast_plugin_compilations_total",
                "components made ready: compiled, taken from the cache (cached), or failed",
                "outcome",
            )?,
            seconds: Histogram::with_opts(seconds.buckets(SECONDS.to_vec()))?,
            cache_dropped: counter(
                "holdfast_plugin_cache_dropped_entries_total",
                "compiled components thrown out of the cache: unproven ones, and the oldest when it was full (evicted)",
                "reason",
            )?,
        })
    }

    /// For the registry of whoever serves metrics.
    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 3] {
        [
            Box::new(self.outcomes.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.cache_dropped.clone()),
        ]
    }
}
