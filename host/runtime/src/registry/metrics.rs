//! How reloads go, in numbers.

use super::refusal::Stage;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// The metrics of reloads.
#[derive(Debug, Clone)]
pub(crate) struct ReloadMetrics {
    refusals: IntCounterVec,
    promotions: IntCounterVec,
    rollbacks: IntCounterVec,
    shadow_calls: IntCounterVec,
    breaker_open: IntGaugeVec,
    /// Generations that were replaced, and on which calls still run.
    pub(super) draining: IntGauge,
    /// Those that took longer to drain than any call may take.
    pub(super) overdue: IntCounter,
    /// Times that the state file or a kept package could not be written.
    pub(super) unkept: IntCounter,
}

impl ReloadMetrics {
    /// All at zero, registered nowhere yet.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let metrics = Self {
            refusals: counter(
                "holdfast_plugin_refusals_total",
                "plugins that were refused, by the stage that refused them",
                &["stage"],
            )?,
            promotions: counter(
                "holdfast_plugin_promotions_total",
                "generations that came into service, by what decided it",
                &["by"],
            )?,
            rollbacks: counter(
                "holdfast_plugin_rollbacks_total",
                "generations that gave way to the one before, by what decided it",
                &["by"],
            )?,
            shadow_calls: counter(
                "holdfast_plugin_shadow_calls_total",
                "live calls for a candidate to run too: same, different, failed, or dropped because its queue was full",
                &["plugin", "outcome"],
            )?,
            breaker_open: IntGaugeVec::new(
                Opts::new(
                    "holdfast_plugin_breaker_open_state",
                    "1 while calls of a plugin are turned away because it only fails",
                ),
                &["plugin"],
            )?,
            draining: IntGauge::new(
                "holdfast_plugin_draining_generations",
                "replaced generations on which calls still run",
            )?,
            overdue: IntCounter::new(
                "holdfast_plugin_drain_overdue_total",
                "replaced generations on which calls still ran after the longest time that a call may take",
            )?,
            unkept: IntCounter::new(
                "holdfast_plugin_state_failures_total",
                "promotions and rollbacks that could not be written down and will not survive a restart",
            )?,
        };
        for stage in Stage::ALL {
            metrics.refusals.with_label_values(&[stage.as_str()]);
        }
        Ok(metrics)
    }

    /// For the registry of whoever serves metrics.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.refusals.clone()),
            Box::new(self.promotions.clone()),
            Box::new(self.rollbacks.clone()),
            Box::new(self.shadow_calls.clone()),
            Box::new(self.breaker_open.clone()),
            Box::new(self.draining.clone()),
            Box::new(self.overdue.clone()),
            Box::new(self.unkept.clone()),
        ]
    }

    pub(super) fn refused(&self, stage: Stage) {
        self.refusals.with_label_values(&[stage.as_str()]).inc();
    }

    pub(super) fn promoted(&self, by: &str) {
        self.promotions.with_label_values(&[by]).inc();
    }

    pub(super) fn rolled_back(&self, by: &str) {
        self.rollbacks.with_label_values(&[by]).inc();
    }

    pub(super) fn breaker(&self, plugin: &str, is_open: bool) {
        let gauge = self.breaker_open.with_label_values(&[plugin]);
        gauge.set(is_open.into());
    }

    /// Takes the series of a plugin that is gone away.
    pub(super) fn forget(&self, plugin: &str) {
        // What never was there need not be taken away.
        let _ = self.breaker_open.remove_label_values(&[plugin]);
        for outcome in ["same", "different", "failed", "dropped"] {
            let _ = self.shadow_calls.remove_label_values(&[plugin, outcome]);
        }
    }

    /// Counts a live call that a candidate was to run too.
    pub(crate) fn shadowed(&self, plugin: &str, outcome: &str) {
        self.shadow_calls
            .with_label_values(&[plugin, outcome])
            .inc();
    }
}
