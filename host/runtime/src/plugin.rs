//! One loaded component: made once, off the serving path, and called from any thread.

use crate::budget::{Reservation, Share};
use crate::engine::{code_bytes, places};
use crate::error::Fault;
use crate::foundry::Foundry;
use crate::guest::Guest;
use crate::instance::Mould;
use crate::limits::{Isolation, Limits};
use crate::logs::Ring;
use crate::metrics::PluginMetrics;
use crate::pool::{Counted, Pool};
use crate::registry::{NotStarted, Stage};
use crate::world::{Description, World};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;
use wasmtime::Store;
use wasmtime::component::Component;

/// What a candidate brings.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The file's name without `.wasm`.
    pub(crate) name: Arc<str>,
    /// SHA-256 of the component, in hex.
    pub(crate) digest: Arc<str>,
    /// What `init` is given.
    pub(crate) settings: String,
    /// What it may use.
    pub(crate) limits: Limits,
    /// Whether its calls share instances.
    pub(crate) isolation: Isolation,
    /// Where the last lines that it writes are kept.
    pub(crate) ring: Arc<Ring>,
}

/// One load of a component, whatever its world.
#[derive(Debug)]
pub(crate) struct Load {
    /// What it was made of.
    pub(crate) candidate: Candidate,
    /// What it says of itself.
    pub(crate) description: Description,
    /// Which load it was.
    pub(crate) generation: u64,
    /// What it is an instance of; a change to its settings alone compiles nothing.
    pub(crate) component: Component,
    /// The memory that was set aside for it.
    pub(crate) _reserved: Reservation,
}

/// A loaded component. A call that began on it ends on it, however often it is replaced meanwhile:
/// whoever calls holds it.
pub(crate) struct Plugin<W: World> {
    /// What was loaded.
    pub(crate) load: Load,
    pool: Arc<Pool<W>>,
}

impl<W: World> Plugin<W> {
    /// Sets its memory aside, links it and starts it. The error is for the operator.
    pub(crate) fn load(
        foundry: &Foundry,
        candidate: Candidate,
        component: Component,
        generation: u64,
    ) -> Result<Self, NotStarted> {
        let share = Share {
            instances: candidate.limits.instances(candidate.isolation),
            bytes_each: candidate.limits.memory_bytes,
            code_bytes: code_bytes(&component),
            places_each: places(&component),
        };
        let reserved = foundry
            .budget
            .reserve(&candidate.name, generation, share)
            .map_err(|why| (Stage::Memory, why))?;
        let metrics = Arc::new(foundry.metrics.of(&candidate.name, generation));
        let mould = Mould::<W>::new(&candidate, generation, &component, Arc::clone(&metrics))
            .map_err(|why| (Stage::Link, why))?;
        let (first, description) = mould.first()?;
        let pool = Pool::new(mould, candidate.isolation, first)
            .map_err(|e| format!("cannot be started: no thread for its instances ({e})"))
            .map_err(|why| (Stage::Instantiate, why))?;
        let pool = Arc::new(pool);
        let counted: Weak<Pool<W>> = Arc::downgrade(&pool);
        foundry
            .metrics
            .watch(&metrics, counted as Weak<dyn Counted>);
        let load = Load {
            candidate,
            description,
            generation,
            component,
            _reserved: reserved,
        };
        Ok(Self { load, pool })
    }

    /// Calls it, on an instance of its own or on one that others have used, as it is set.
    pub(crate) fn call<R>(
        &self,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let _span = tracing::debug_span!(
            "plugin_call",
            plugin = &*self.load.candidate.name,
            generation = self.load.generation,
            digest = &*self.load.candidate.digest,
        )
        .entered();
        let metrics = &self.pool.mould().metrics;
        let start = Instant::now();
        let outcome = self.pool.call(start, run);
        metrics.seconds.observe(start.elapsed().as_secs_f64());
        metrics.count(&outcome);
        outcome
    }

    /// Calls an instance that has other settings and is thrown away after. It is no call that
    /// anybody waits for, and is not counted as one.
    pub(crate) fn trial<R>(
        &self,
        settings: &str,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        self.pool.mould().trial(settings, run)
    }

    /// How it fares.
    pub(crate) fn metrics(&self) -> &PluginMetrics {
        &self.pool.mould().metrics
    }
}

impl<W: World> fmt::Debug for Plugin<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}
