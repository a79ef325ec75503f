//! The door.

mod jobs;

use crate::call::{AuthorizeCall, PluginInfo, Quote, QuoteCall, Verdict};
use crate::compile::Compiler;
use crate::error::PluginError;
use crate::foundry::Foundry;
use crate::job::{Jobs, JobsConfig};
use crate::registry::{Look, Registry};
use crate::watch::Watch;
use prometheus::core::Collector;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where plugins are and how they are kept.
#[derive(Debug, Clone)]
pub struct PluginsConfig {
    /// The watched folder: `NAME.wasm`, beside it perhaps `NAME.toml` with settings and limits.
    pub dir: PathBuf,
    /// Where compiled components are cached: a folder that only the host can reach. It is made if
    /// it is not there.
    pub cache: Option<PathBuf>,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// What all plugins together may come to hold in memory. It is set aside when a plugin is
    /// loaded, not used: most never come near their limits.
    pub memory_bytes: u64,
    /// What payment and config plugins have to do with.
    pub jobs: JobsConfig,
}

impl PluginsConfig {
    /// Memory for plugins, if nothing else is said: room for thirty with the usual limits, those
    /// counted that stand by for a rollback.
    pub const MEMORY_BYTES: u64 = 8 * 1024 * 1024 * 1024;
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            cache: None,
            compiler: Compiler::default(),
            memory_bytes: Self::MEMORY_BYTES,
            jobs: JobsConfig::default(),
        }
    }
}

/// The plugins.
#[derive(Debug)]
pub struct Plugins {
    registry: Arc<Registry>,
    /// Dropped before the registry, so no scan outlives the door.
    _watch: Watch,
}

impl Plugins {
    /// Loads what is in the folder (a bad file is reported and left out) and begins to watch it. A
    /// folder that is not there is made.
    ///
    /// # Errors
    /// A folder that cannot be made, or a machine on which WebAssembly cannot run.
    pub fn open(config: PluginsConfig) -> Result<Self, PluginError> {
        let dir = config.dir.clone();
        let failed = |why: String| PluginError::Failed {
            plugin: dir.display().to_string(),
            why,
        };
        std::fs::create_dir_all(&dir)
            .map_err(|e| failed(format!("the plugins folder cannot be made ({e})")))?;
        let foundry = Foundry::start(&config).map_err(failed)?;
        let jobs = Jobs::new(config.jobs).map_err(|e| failed(e.to_string()))?;
        let registry = Arc::new(Registry::new(dir.clone(), foundry, jobs));
        // The watch begins first: what changes while the first scan runs is seen by one of the two.
        let watch = Watch::start(&dir, Arc::clone(&registry))
            .map_err(|e| failed(format!("no thread can be started ({e})")))?;
        registry.scan(Look::Once);
        Ok(Self {
            registry,
            _watch: watch,
        })
    }

    /// Asks every authorizer, in the order of their names; the first that objects decides.
    ///
    /// # Errors
    /// One fails. That is no permission: the caller must refuse.
    pub fn authorize(&self, call: &AuthorizeCall<'_>) -> Result<Verdict, PluginError> {
        let serving = self.registry.serving();
        for plugin in &serving.authorizers {
            match plugin.authorize(call) {
                Ok(Verdict::Allow) => {}
                Ok(deny) => return Ok(deny),
                Err(fault) => return Err(PluginError::of(&plugin.candidate.name, &fault)),
            }
        }
        Ok(Verdict::Allow)
    }

    /// Whether any authorizer is live (so that callers can skip gathering facts).
    #[must_use]
    pub fn has_authorizers(&self) -> bool {
        !self.registry.serving().authorizers.is_empty()
    }

    /// Asks the live pricing component.
    ///
    /// # Errors
    /// None is loaded, or it fails, or its answer breaks the contract.
    pub fn quote(&self, call: &QuoteCall<'_>) -> Result<Quote, PluginError> {
        // An owned hold: a quote may take half a second, and guards are for short stays.
        let pricing = self.registry.serving().pricing.clone();
        let plugin = pricing.ok_or(PluginError::None("pricing"))?;
        plugin
            .quote(call)
            .map_err(|fault| PluginError::of(&plugin.candidate.name, &fault))
    }

    /// Everything in the folder, in the order of names: what serves, what stands by, what was
    /// refused. A name whose newest file was refused is there twice, the one that goes on serving
    /// first.
    #[must_use]
    pub fn list(&self) -> Vec<PluginInfo> {
        self.registry.serving().infos.clone()
    }

    /// How often what [`list`](Self::list) shows has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.registry.changes()
    }

    /// Looks at the folder now instead of when the watcher does; returns once all is taken in.
    pub fn rescan(&self) {
        self.registry.scan(Look::Once);
    }

    /// Waits until what is listed fulfils a condition; false if it does not in time.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, ready: impl Fn(&[PluginInfo]) -> bool) -> bool {
        self.registry.wait(timeout, ready)
    }

    /// The metrics, for the registry of whoever serves them.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        let mut collectors = self.registry.metrics().collectors();
        collectors.extend(self.registry.jobs().collectors());
        collectors
    }
}
