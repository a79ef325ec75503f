//! Jobs: plugins that wait for the outside, payment and config.
//!
//! They run apart from the hot kinds: on an asynchronous engine of their own, on threads of their
//! own, each call on a fresh instance that is thrown away after it. A call is bounded in processor
//! time (`meter`), in time on the wall, in memory, handles, bytes carried and log lines, and in
//! what it sends and fetches. What it may reach is granted from two sides (`needs`) and guarded at
//! the way out (`egress`).
//!
//! *Architecture invariants:* a job has no ambient WASI, only what `world` links; nothing goes out
//! during `describe`, `init` and `needs`; no job runs on a thread that serves calls.

mod collect;
mod configure;
mod engine;
mod guest;
mod handler;
mod hooks;
mod limits;
mod meter;
mod mould;
mod needs;
mod plugin;
mod replay;
mod vectors;
mod world;

use crate::egress::{EgressMetrics, Outside, Resolve};
use engine::Crew;
use parking_lot::Mutex;
use prometheus::core::Collector;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::{Config, Engine};

pub use collect::{CollectError, Invoice, Progress, Receipt, Step};
pub use configure::{Entry, Finding, Severity, Snapshot};
pub(crate) use engine::config;
pub(crate) use mould::{JobMould, JobStart};
pub(crate) use needs::{EnvironmentGrant, Grants};
pub(crate) use plugin::JobPlugin;
pub(crate) use replay::Heard;
pub(crate) use vectors::JobVectored;
pub(crate) use world::JobWorld;

/// What jobs have to do with.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// The environment as the program found it: secrets of egress rules lie there, and config
    /// plugins read what they are granted of it.
    pub environment: Arc<BTreeMap<String, String>>,
    /// A file of certificates (PEM) to trust in place of the system's.
    pub trusted_roots: Option<PathBuf>,
    /// Who looks names up; the system if nobody else does.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Connections to the outside at once, of all plugins together. What one of them may hold is
    /// `egress_connections` under its `[limits]`.
    pub connections: usize,
}

impl JobsConfig {
    /// Connections to the outside, if nothing else is said: sixteen busy plugins' worth. File
    /// descriptors are for those who call the host.
    pub const CONNECTIONS: usize = 64;
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            environment: Arc::default(),
            trusted_roots: None,
            resolver: None,
            connections: Self::CONNECTIONS,
        }
    }
}

/// What jobs run on. It is started by the first plugin that needs it: most hosts have none.
#[derive(Debug)]
pub(crate) struct Jobs {
    config: JobsConfig,
    metrics: EgressMetrics,
    /// By the size of guests' stacks, which is the engine's.
    floors: Mutex<BTreeMap<usize, Arc<Floor>>>,
}

/// The engine, the threads and the way out. The last two are the same for all sizes of stacks.
pub(crate) struct Floor {
    engine: Engine,
    crew: Arc<Crew>,
    outside: Arc<Outside>,
    environment: Arc<BTreeMap<String, String>>,
}

impl std::fmt::Debug for Floor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floor").finish_non_exhaustive()
    }
}

impl Jobs {
    /// Nothing is started yet.
    pub(crate) fn new(config: JobsConfig) -> Result<Self, prometheus::Error> {
        Ok(Self {
            config,
            metrics: EgressMetrics::new()?,
            floors: Mutex::default(),
        })
    }

    /// For the registry of whoever serves metrics.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        self.metrics.collectors()
    }

    /// The floor for guests with stacks of this size, started if it was not.
    pub(crate) fn floor(&self, stack_bytes: usize) -> Result<Arc<Floor>, String> {
        self.floor_on(engine::config(), stack_bytes)
    }

    /// The same, with an engine that counts fuel.
    pub(crate) fn metered_floor(&self, stack_bytes: usize) -> Result<Arc<Floor>, String> {
        let mut config = engine::config();
        config.consume_fuel(true);
        self.floor_on(config, stack_bytes)
    }

    fn floor_on(&self, mut config: Config, stack_bytes: usize) -> Result<Arc<Floor>, String> {
        let mut floors = self.floors.lock();
        if let Some(floor) = floors.get(&stack_bytes) {
            return Ok(Arc::clone(floor));
        }
        config.max_wasm_stack(stack_bytes);
        let engine =
            engine::start(&config).map_err(|e| format!("no job engine can be started ({e:#})"))?;
        let (crew, outside) = match floors.values().next() {
            Some(other) => (Arc::clone(&other.crew), Arc::clone(&other.outside)),
            None => (Arc::new(crew()?), Arc::new(self.outside()?)),
        };
        let started = Arc::new(Floor {
            engine,
            crew,
            outside,
            environment: Arc::clone(&self.config.environment),
        });
        floors.insert(stack_bytes, Arc::clone(&started));
        Ok(started)
    }

    fn outside(&self) -> Result<Outside, String> {
        let config = &self.config;
        Outside::new(
            config.resolver.clone(),
            config.trusted_roots.as_deref(),
            Arc::clone(&config.environment),
            config.connections,
            self.metrics.clone(),
        )
    }
}

fn crew() -> Result<Crew, String> {
    Crew::start().map_err(|e| format!("no threads for jobs can be had ({e})"))
}

impl Floor {
    /// What components of jobs are compiled for.
    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }
}
