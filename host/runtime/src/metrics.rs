//! How the plugins fare, in numbers.
//!
//! Series of calls carry the plugin's generation, and go when that generation is drained and
//! dropped: there are only ever as many as there are generations alive.

mod compile;
mod pools;

use crate::error::Fault;
use crate::generation::Sample;
use crate::pool::Counted;
pub(crate) use compile::CompileMetrics;
use pools::Pools;
use prometheus::core::{Collector, Metric};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Seconds of a call: 1 µs to 1 s. A warm authorizer takes about one, pricing some tens.
const SECONDS: [f64; 13] = [
    1e-6, 2e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 20e-3, 100e-3, 1.0,
];

/// No call takes longer.
const SECONDS_CEILING: Duration = Duration::from_secs(300);

/// Of so many calls one has its processor time taken: reading the thread's clock twice takes as
/// long as a third of a warm call.
const CPU_SAMPLED: u64 = 64;

/// All metrics of this crate.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeMetrics {
    /// Calls by plugin and outcome.
    calls: IntCounterVec,
    /// How long they took.
    seconds: HistogramVec,
    /// What they took of the processor.
    cpu_seconds: HistogramVec,
    /// What they took in fuel.
    fuel: IntCounterVec,
    /// How often guests called the host.
    host_calls: IntCounterVec,
    /// Instances there are.
    instances: IntGaugeVec,
    /// Instances made.
    created: IntCounterVec,
    /// Instances thrown away after a fault or at the end of their life.
    discarded: IntCounterVec,
    /// Log lines over the budget.
    dropped_lines: IntCounterVec,
    pools: Pools,
    /// Loads by outcome.
    pub(crate) reloads: IntCounterVec,
    /// Grows with each change to what is loaded.
    pub(crate) generation: IntGauge,
    /// How compiling fares.
    pub(crate) compile: CompileMetrics,
}

const OF_GENERATION: [&str; 2] = ["plugin", "generation"];

impl RuntimeMetrics {
    /// All at zero, registered nowhere yet.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let histogram = |name: &str, help: &str| {
            let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            HistogramVec::new(opts, &OF_GENERATION)
        };
        Ok(Self {
            calls: counter(
                "holdfast_plugin_calls_total",
                "calls into a plugin by outcome",
                &["plugin", "generation", "outcome"],
            )?,
            seconds: histogram(
                "holdfast_plugin_call_seconds",
                "how long calls into a plugin took, checks of the answer included",
            )?,
            cpu_seconds: histogram(
                "holdfast_plugin_call_cpu_seconds",
                "processor time of calls into a plugin, taken of one call in 64",
            )?,
            fuel: counter(
                "holdfast_plugin_fuel_units_total",
                "fuel that calls into a plugin used, where fuel is counted",
                &OF_GENERATION,
            )?,
            host_calls: counter(
                "holdfast_plugin_host_calls_total",
                "calls of a plugin into the host",
                &OF_GENERATION,
            )?,
            instances: IntGaugeVec::new(
                Opts::new("holdfast_plugin_instances", "instances of a plugin"),
                &OF_GENERATION,
            )?,
            created: counter(
                "holdfast_plugin_instances_created_total",
                "instances made of a plugin",
                &OF_GENERATION,
            )?,
            discarded: counter(
                "holdfast_plugin_instances_discarded_total",
                "instances of a plugin thrown away after a fault or at the end of their life",
                &OF_GENERATION,
            )?,
            dropped_lines: counter(
                "holdfast_plugin_log_dropped_lines_total",
                "log lines of a plugin that were over its budget",
                &OF_GENERATION,
            )?,
            pools: Pools::new()?,
            reloads: counter(
                "holdfast_plugin_reloads_total",
                "plugin files taken in, refused or removed",
                &["outcome"],
            )?,
            generation: IntGauge::new(
                "holdfast_plugin_generation_number",
                "grows with each change to the loaded plugins",
            )?,
            compile: CompileMetrics::new()?,
        })
    }

    /// For the registry of whoever serves metrics.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let mut all: Vec<Box<dyn Collector>> = vec![
            Box::new(self.calls.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.cpu_seconds.clone()),
            Box::new(self.fuel.clone()),
            Box::new(self.host_calls.clone()),
            Box::new(self.instances.clone()),
            Box::new(self.created.clone()),
            Box::new(self.discarded.clone()),
            Box::new(self.dropped_lines.clone()),
            Box::new(self.pools.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.generation.clone()),
        ];
        all.extend(self.compile.collectors());
        all
    }

    /// The metrics of one generation of a plugin, looked up once.
    pub(crate) fn of(&self, plugin: &str, generation: u64) -> PluginMetrics {
        let number = generation.to_string();
        let labels = [plugin, number.as_str()];
        PluginMetrics {
            outcomes: Fault::LABELS.map(|outcome| {
                let labels = [plugin, number.as_str(), outcome];
                (outcome, self.calls.with_label_values(&labels))
            }),
            seconds: self.seconds.with_label_values(&labels),
            cpu_seconds: self.cpu_seconds.with_label_values(&labels),
            tally: Tally::default(),
            fuel: self.fuel.with_label_values(&labels),
            host_calls: self.host_calls.with_label_values(&labels),
            instances: self.instances.with_label_values(&labels),
            created: self.created.with_label_values(&labels),
            discarded: self.discarded.with_label_values(&labels),
            dropped_lines: self.dropped_lines.with_label_values(&labels),
            plugin: plugin.to_owned(),
            generation: number,
            all: self.clone(),
        }
    }

    /// Has a pool counted whenever metrics are asked for, as long as it is there.
    pub(crate) fn watch(&self, of: &PluginMetrics, pool: Weak<dyn Counted>) {
        self.pools.watch([&of.plugin, &of.generation], pool);
    }

    /// Takes the series of a generation away.
    fn forget(&self, of: &PluginMetrics) {
        let labels = [of.plugin.as_str(), of.generation.as_str()];
        for (outcome, _) in &of.outcomes {
            let [plugin, generation] = labels;
            // Here and below: what is gone already need not be taken away.
            let _ = self
                .calls
                .remove_label_values(&[plugin, generation, outcome]);
        }
        for histogram in [&self.seconds, &self.cpu_seconds] {
            let _ = histogram.remove_label_values(&labels);
        }
        for counter in [
            &self.fuel,
            &self.host_calls,
            &self.created,
            &self.discarded,
            &self.dropped_lines,
        ] {
            let _ = counter.remove_label_values(&labels);
        }
        let _ = self.instances.remove_label_values(&labels);
    }
}

/// The metrics of one generation of a plugin. Its series go with it.
#[derive(Debug)]
pub(crate) struct PluginMetrics {
    outcomes: [(&'static str, IntCounter); 10],
    /// How long calls took.
    pub(crate) seconds: Histogram,
    cpu_seconds: Histogram,
    tally: Tally,
    /// What calls took in fuel.
    pub(crate) fuel: IntCounter,
    /// How often it called the host.
    pub(crate) host_calls: IntCounter,
    /// Instances there are.
    pub(crate) instances: IntGauge,
    /// Instances made.
    pub(crate) created: IntCounter,
    /// Instances thrown away.
    pub(crate) discarded: IntCounter,
    /// Log lines over the budget.
    pub(crate) dropped_lines: IntCounter,
    plugin: String,
    generation: String,
    all: RuntimeMetrics,
}

/// What calls write down beside the counters. It lies apart from all that a thread reads which
/// makes instances meanwhile, or each would wait for the other's cache at every call.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tally {
    calls_seen: AtomicU64,
    memory_bytes: AtomicUsize,
}

impl PluginMetrics {
    /// Counts one call.
    pub(crate) fn count<T>(&self, outcome: &Result<T, Fault>) {
        let label = outcome.as_ref().map_or_else(Fault::label, |_| "ok");
        if let Some((_, counter)) = self.outcomes.iter().find(|(name, _)| *name == label) {
            counter.inc();
        }
    }

    /// What was counted so far.
    pub(crate) fn sample(&self) -> Sample {
        let count = |wanted: fn(&str) -> bool| -> u64 {
            let wanted = self.outcomes.iter().filter(|(label, _)| wanted(label));
            wanted.map(|(_, counter)| counter.get()).sum()
        };
        let seconds = self.seconds.metric();
        let seconds = seconds.get_histogram();
        let mut within: Vec<(Duration, u64)> = seconds
            .get_bucket()
            .iter()
            .map(|bucket| {
                let bound = Duration::from_secs_f64(bucket.upper_bound());
                (bound, bucket.cumulative_count())
            })
            .collect();
        within.push((SECONDS_CEILING, seconds.get_sample_count()));
        Sample {
            // A call that found no place was not asked.
            calls: count(|label| label != "busy"),
            failures: count(|label| label != "ok" && label != "busy"),
            within,
        }
    }

    /// Whether this call is one of those whose processor time is taken.
    pub(crate) fn samples_cpu(&self) -> bool {
        self.tally
            .calls_seen
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(CPU_SAMPLED)
    }

    /// The processor time of such a call.
    pub(crate) fn spent_cpu(&self, time: Duration) {
        self.cpu_seconds.observe(time.as_secs_f64());
    }

    /// An instance holds so much memory.
    pub(crate) fn held(&self, memory_bytes: usize) {
        // Mostly it is no news, and then nothing is written that other processors read.
        if memory_bytes > self.tally.memory_bytes.load(Ordering::Relaxed) {
            self.tally
                .memory_bytes
                .fetch_max(memory_bytes, Ordering::Relaxed);
        }
    }

    /// The most that an instance has held.
    pub(crate) fn memory_peak_bytes(&self) -> usize {
        self.tally.memory_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for PluginMetrics {
    fn drop(&mut self) {
        self.all.forget(self);
    }
}
