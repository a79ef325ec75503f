//! What plugins are made with: the engines, the memory that may be given away, the metrics.

use crate::budget::Budget;
use crate::compile::Compilation;
use crate::engine::{Engines, Recipe};
use crate::metrics::RuntimeMetrics;
use crate::plugin::Candidate;
use crate::plugins::PluginsConfig;
use wasmtime::Engine;
use wasmtime::component::Component;

/// What plugins are made with. One for the whole host.
#[derive(Debug)]
pub(crate) struct Foundry {
    /// Where hot plugins run.
    pub(crate) engines: Engines,
    /// What may be given to plugins.
    pub(crate) budget: Budget,
    /// How they fare.
    pub(crate) metrics: RuntimeMetrics,
    compilation: Compilation,
}

impl Foundry {
    /// Starts the engines.
    pub(crate) fn start(config: &PluginsConfig) -> Result<Self, String> {
        let metrics = RuntimeMetrics::new().map_err(|e| e.to_string())?;
        Ok(Self {
            compilation: Compilation::open(
                config.compiler.clone(),
                config.cache.as_deref(),
                metrics.compile.clone(),
            )?,
            engines: Engines::start().map_err(|e| format!("no engine can be started ({e:#})"))?,
            budget: Budget::new(config.memory_bytes),
            metrics,
        })
    }

    /// Makes a component of a file's bytes. The error is for the operator.
    pub(crate) fn compile(
        &self,
        candidate: &Candidate,
        recipe: Recipe,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<Component, String> {
        candidate.limits.check_size(wasm)?;
        self.compilation.component(recipe, engine, wasm)
    }
}
