//! One loaded component: made once, off the serving path, and called from any thread.

use crate::call::PluginInfo;
use crate::engine;
use crate::error::Fault;
use crate::guest::{Guest, Journal};
use crate::inert;
use crate::limits::{INIT_DEADLINE, Limits, METADATA_BYTES_MAX};
use crate::metrics::{PluginMetrics, RuntimeMetrics};
use crate::pool::{Idle, Places};
use crate::world::{Description, World};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

/// What a candidate brings.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The file's name without `.wasm`.
    pub(crate) name: String,
    /// SHA-256 of the component, in hex.
    pub(crate) digest: String,
    /// What `init` is given.
    pub(crate) settings: String,
    /// What it may use.
    pub(crate) limits: Limits,
}

/// A loaded component. A call that began on it ends on it, however often it is replaced meanwhile:
/// whoever calls holds it.
pub(crate) struct Plugin<W: World> {
    /// What it was made of.
    pub(crate) candidate: Candidate,
    /// What it says of itself.
    pub(crate) description: Description,
    /// Which load it was.
    pub(crate) generation: u64,
    /// What it is an instance of; a change to its settings alone compiles nothing.
    pub(crate) component: Component,
    engine: Engine,
    pre: W::Pre,
    places: Places,
    idle: Idle<Warm<W>>,
    metrics: Arc<PluginMetrics>,
    journal: Arc<Journal>,
}

impl<W: World> Plugin<W> {
    /// Links and starts a component. The error is for the operator.
    pub(crate) fn load(
        engine: &Engine,
        candidate: Candidate,
        component: Component,
        generation: u64,
        metrics: &RuntimeMetrics,
    ) -> Result<Self, String> {
        let pre = link::<W>(engine, &component).map_err(|e| {
            format!(
                "does not fit the {} world: {e:#}; build it with the wit/ of this host",
                W::KIND.as_str()
            )
        })?;
        let metrics = Arc::new(metrics.of(&candidate.name));
        let journal = Journal::new(&candidate.name, metrics.dropped_lines.clone());
        let mut plugin = Self {
            description: Description {
                name: String::new(),
                version: String::new(),
                description: String::new(),
            },
            generation,
            component,
            engine: engine.clone(),
            pre,
            places: Places::new(candidate.limits.concurrency),
            idle: Idle::new(),
            metrics,
            journal: Arc::new(journal),
            candidate,
        };
        let mut warm = plugin
            .instantiate()
            .map_err(|fault| format!("cannot be started: {fault}"))?;
        plugin.description = warm
            .describe()
            .map_err(|fault| format!("describe: {fault}"))?;
        warm.init(&plugin.candidate.settings)
            .map_err(|fault| format!("init: {fault}"))?;
        plugin.idle.give(warm);
        Ok(plugin)
    }

    /// Calls it: takes a warm instance or makes one, and keeps it unless the call spoilt it.
    pub(crate) fn call<R>(
        &self,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let start = Instant::now();
        let outcome = self.run(run);
        self.metrics.seconds.observe(start.elapsed().as_secs_f64());
        self.metrics.count(&outcome);
        outcome
    }

    /// How it is listed.
    pub(crate) fn info(&self, state: &str) -> PluginInfo {
        PluginInfo {
            name: self.candidate.name.clone(),
            kind: W::KIND.as_str().into(),
            version: self.description.version.clone(),
            digest: self.candidate.digest.clone(),
            generation: self.generation,
            state: state.into(),
            error: None,
        }
    }

    fn run<R>(
        &self,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let place = self.places.take().ok_or_else(|| {
            Fault::Busy(format!(
                "{} calls run already, and none ended in time",
                self.candidate.limits.concurrency
            ))
        })?;
        let mut warm = match self.idle.take() {
            Some(warm) => warm,
            None => self.fresh()?,
        };
        warm.begin(self.candidate.limits.deadline);
        let outcome = run(&warm.exports, &mut warm.store)
            .map_err(|fault| warm.store.data_mut().with_last_words(fault));
        warm.calls = warm.calls.saturating_add(1);
        let is_sound = match &outcome {
            Ok(_) => true,
            Err(fault) => fault.spares_instance(),
        };
        // Whoever waits for the place finds the instance there.
        let surplus = if is_sound && warm.calls < self.candidate.limits.max_invocations {
            self.idle.give(warm)
        } else {
            self.metrics.discarded.inc();
            Some(warm)
        };
        drop(place);
        drop(surplus);
        outcome
    }

    fn fresh(&self) -> Result<Warm<W>, Fault> {
        let mut warm = self.instantiate()?;
        warm.init(&self.candidate.settings)
            .map_err(|fault| match fault {
                Fault::Refused(why) => {
                    Fault::Nonsense(format!("init refused settings that it took before: {why}"))
                }
                other => other,
            })?;
        Ok(warm)
    }

    fn instantiate(&self) -> Result<Warm<W>, Fault> {
        let limits = &self.candidate.limits;
        let guest = Guest::new(limits.memory_bytes, Arc::clone(&self.journal));
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.held);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(engine::handles());
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.passed()));
        let ticks = store.data_mut().deadline.begin(INIT_DEADLINE);
        store.set_epoch_deadline(ticks);
        let exports = W::instantiate(&self.pre, &mut store)?;
        self.metrics.created.inc();
        self.metrics.instances.inc();
        Ok(Warm {
            exports,
            store,
            calls: 0,
            metrics: Arc::clone(&self.metrics),
        })
    }
}

impl<W: World> fmt::Debug for Plugin<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("candidate", &self.candidate)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// An instance, ready to be called.
struct Warm<W> {
    exports: W,
    store: Store<Guest>,
    calls: u64,
    metrics: Arc<PluginMetrics>,
}

impl<W> Drop for Warm<W> {
    fn drop(&mut self) {
        self.metrics.instances.dec();
    }
}

impl<W: World> Warm<W> {
    fn begin(&mut self, deadline: Duration) {
        let guest = self.store.data_mut();
        guest.begin();
        let ticks = guest.deadline.begin(deadline);
        self.store.set_epoch_deadline(ticks);
    }

    fn describe(&mut self) -> Result<Description, Fault> {
        self.begin(INIT_DEADLINE);
        let said = self.exports.describe(&mut self.store)?;
        for text in [&said.name, &said.version, &said.description] {
            if text.len() > METADATA_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(Fault::Nonsense(format!(
                    "each text must have at most {METADATA_BYTES_MAX} bytes and no control characters"
                )));
            }
        }
        Ok(said)
    }

    fn init(&mut self, settings: &str) -> Result<(), Fault> {
        self.begin(INIT_DEADLINE);
        let said = self
            .exports
            .init(&mut self.store, settings)
            .map_err(|error| self.store.data_mut().with_last_words(error.into()))?;
        said.map_err(|why| Fault::Refused(crate::guest::printable(&why)))
    }
}

/// Refuses a component that wants a function of ours which this host does not have: it was built
/// against a newer `wit/`, and would trap in the middle of a call.
fn refuse_unknown_functions<W: World>(
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    let mut ours = Linker::<Guest>::new(engine);
    W::link(&mut ours)?;
    for (interface, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !interface.starts_with("holdfast:plugin/") {
            continue;
        }
        for (function, export) in instance.exports(engine) {
            // Only a name that is still free can be given to something.
            let free = matches!(export.ty, ComponentItem::ComponentFunc(_))
                && ours
                    .instance(interface)?
                    .func_new(function, |_, _, _, _| Ok(()))
                    .is_ok();
            wasmtime::ensure!(
                !free,
                "imports {interface}#{function}, which this host does not have; \
                 build it against the wit/ of this version"
            );
        }
    }
    Ok(())
}

/// Links what the world has and the inert imports. What of those nobody has ever called is a trap:
/// only names on the list of inert imports were admitted.
fn link<W: World>(engine: &Engine, component: &Component) -> wasmtime::Result<W::Pre> {
    refuse_unknown_functions::<W>(engine, component)?;
    let mut linker = Linker::new(engine);
    W::link(&mut linker)?;
    let component_type = component.component_type();
    let imports = component_type.imports(engine).map(|(name, _)| name);
    inert::link(&mut linker, imports)?;
    linker.define_unknown_imports_as_traps(component)?;
    W::pre(linker.instantiate_pre(component)?)
}
