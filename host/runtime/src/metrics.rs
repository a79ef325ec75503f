//! How the plugins fare, in numbers.

use crate::error::Fault;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

/// Seconds of a call: 1 µs to 1 s. A warm authorizer takes about one, pricing some tens.
const SECONDS: [f64; 13] = [
    1e-6, 2e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 20e-3, 100e-3, 1.0,
];

/// All metrics of this crate.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeMetrics {
    /// Calls by plugin and outcome.
    calls: IntCounterVec,
    /// How long they took.
    seconds: HistogramVec,
    /// Instances there are.
    instances: IntGaugeVec,
    /// Instances made.
    created: IntCounterVec,
    /// Instances thrown away after a fault or at the end of their life.
    discarded: IntCounterVec,
    /// Log lines over the budget.
    dropped_lines: IntCounterVec,
    /// Loads by outcome.
    pub(crate) reloads: IntCounterVec,
    /// Grows with each change to what is loaded.
    pub(crate) generation: IntGauge,
}

impl RuntimeMetrics {
    /// All at zero, registered nowhere yet.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let seconds = HistogramOpts::new(
            "holdfast_plugin_call_seconds",
            "how long calls into a plugin took, checks of the answer included",
        )
        .buckets(SECONDS.to_vec());
        Ok(Self {
            calls: counter(
                "holdfast_plugin_calls_total",
                "calls into a plugin by outcome",
                &["plugin", "outcome"],
            )?,
            seconds: HistogramVec::new(seconds, &["plugin"])?,
            instances: IntGaugeVec::new(
                Opts::new("holdfast_plugin_instances", "instances of a plugin"),
                &["plugin"],
            )?,
            created: counter(
                "holdfast_plugin_instances_created_total",
                "instances made of a plugin",
                &["plugin"],
            )?,
            discarded: counter(
                "holdfast_plugin_instances_discarded_total",
                "instances of a plugin thrown away after a fault or at the end of their life",
                &["plugin"],
            )?,
            dropped_lines: counter(
                "holdfast_plugin_log_dropped_lines_total",
                "log lines of a plugin that were over its budget",
                &["plugin"],
            )?,
            reloads: counter(
                "holdfast_plugin_reloads_total",
                "plugin files taken in, refused or removed",
                &["outcome"],
            )?,
            generation: IntGauge::new(
                "holdfast_plugin_generation_number",
                "grows with each change to the loaded plugins",
            )?,
        })
    }

    /// For the registry of whoever serves metrics.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.calls.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.instances.clone()),
            Box::new(self.created.clone()),
            Box::new(self.discarded.clone()),
            Box::new(self.dropped_lines.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.generation.clone()),
        ]
    }

    /// The metrics of one plugin, looked up once.
    pub(crate) fn of(&self, plugin: &str) -> PluginMetrics {
        PluginMetrics {
            outcomes: Fault::LABELS
                .map(|outcome| (outcome, self.calls.with_label_values(&[plugin, outcome]))),
            seconds: self.seconds.with_label_values(&[plugin]),
            instances: self.instances.with_label_values(&[plugin]),
            created: self.created.with_label_values(&[plugin]),
            discarded: self.discarded.with_label_values(&[plugin]),
            dropped_lines: self.dropped_lines.with_label_values(&[plugin]),
        }
    }
}

/// The metrics of one plugin.
#[derive(Debug)]
pub(crate) struct PluginMetrics {
    outcomes: [(&'static str, IntCounter); 8],
    /// How long calls took.
    pub(crate) seconds: Histogram,
    /// Instances there are.
    pub(crate) instances: IntGauge,
    /// Instances made.
    pub(crate) created: IntCounter,
    /// Instances thrown away.
    pub(crate) discarded: IntCounter,
    /// Log lines over the budget.
    pub(crate) dropped_lines: IntCounter,
}

impl PluginMetrics {
    /// Counts one call.
    pub(crate) fn count<T>(&self, outcome: &Result<T, Fault>) {
        let label = outcome.as_ref().map_or_else(Fault::label, |_| "ok");
        if let Some((_, counter)) = self.outcomes.iter().find(|(name, _)| *name == label) {
            counter.inc();
        }
    }
}
