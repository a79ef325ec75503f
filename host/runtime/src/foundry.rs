//! What plugins are made with: the engines, the memory that may be given away, the metrics.

use crate::budget::Budget;
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
}

impl Foundry {
    /// Starts the engines.
    pub(crate) fn start(config: &PluginsConfig) -> Result<Self, String> {
        Ok(Self {
            engines: Engines::start().map_err(|e| format!("no engine can be started ({e:#})"))?,
            budget: Budget::new(config.memory_bytes),
            metrics: RuntimeMetrics::new().map_err(|e| e.to_string())?,
        })
    }

    /// Makes a component of a file's bytes. The error is for the operator.
    pub(crate) fn compile(
        &self,
        candidate: &Candidate,
        _recipe: Recipe,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<Component, String> {
        let most = candidate.limits.wasm_bytes;
        if wasm.len() > most {
            return Err(format!(
                "has {} bytes, and this plugin may have {most}; build it with --release, opt-level = \"s\" and strip = true, or raise wasm_bytes under [limits]",
                wasm.len()
            ));
        }
        Component::from_binary(engine, wasm).map_err(|e| format!("does not compile: {e:#}"))
    }
}
