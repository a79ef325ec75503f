//! Everything that can be counted, in one place for one page.

use prometheus::core::Collector;
use prometheus::{Encoder, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Collects the metrics of all parts. Each part makes its own and hands them over.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Reloads of the configuration by how they ended.
    reloads: IntCounterVec,
}

impl Metrics {
    /// With nothing in it yet but what the program as a whole tells.
    ///
    /// # Errors
    /// A metric that cannot be made: a fault of ours.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let about = Opts::new(
            "holdfast_ops_build_info",
            "Always 1; the label is the version.",
        )
        .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(about)?;
        build.set(1);
        registry.register(Box::new(build))?;
        let reloads = IntCounterVec::new(
            Opts::new(
                "holdfast_config_reloads_total",
                "Reloads of the configuration, by outcome.",
            ),
            &["outcome"],
        )?;
        for outcome in ["done", "refused"] {
            reloads.with_label_values(&[outcome]);
        }
        registry.register(Box::new(reloads.clone()))?;
        Ok(Self { registry, reloads })
    }

    /// Takes in the metrics of a part.
    ///
    /// # Errors
    /// A name that is taken: a fault of ours.
    pub fn register(&self, collectors: Vec<Box<dyn Collector>>) -> Result<(), prometheus::Error> {
        collectors
            .into_iter()
            .try_for_each(|collector| self.registry.register(collector))
    }

    /// Counts a reload.
    pub fn count_reload(&self, is_done: bool) {
        let outcome = if is_done { "done" } else { "refused" };
        self.reloads.with_label_values(&[outcome]).inc();
    }

    /// The page, in the text format of Prometheus.
    ///
    /// # Errors
    /// A metric that cannot be written: a fault of ours.
    pub fn page(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}
