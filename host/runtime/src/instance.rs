//! One instance of a plugin, and what instances are made from.

use crate::deadline::{Span, thread_time};
use crate::error::Fault;
use crate::guest::{Guest, Journal, printable};
use crate::limits::{INIT_CPU, INIT_FUEL, INIT_WALL, Limits, METADATA_BYTES_MAX};
use crate::link::link;
use crate::metrics::PluginMetrics;
use crate::plugin::Candidate;
use crate::registry::{NotStarted, Stage};
use crate::ticker;
use crate::world::{Description, World};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

/// What `describe` and `init` may take.
const INIT: Span = Span {
    cpu: INIT_CPU,
    wall: INIT_WALL,
};

/// What instances of one plugin are made from.
pub(crate) struct Mould<W: World> {
    engine: Engine,
    pre: W::Pre,
    /// What a call may use.
    pub(crate) limits: Limits,
    settings: String,
    /// How the plugin fares.
    pub(crate) metrics: Arc<PluginMetrics>,
    journal: Arc<Journal>,
}

impl<W: World> Mould<W> {
    /// Links the component. The error is for the operator.
    pub(crate) fn new(
        candidate: &Candidate,
        generation: u64,
        component: &Component,
        metrics: Arc<PluginMetrics>,
    ) -> Result<Self, String> {
        let engine = component.engine();
        let pre = link::<W>(engine, component).map_err(|e| {
            format!(
                "does not fit the {} world: {e:#}; build it with the wit/ of this host",
                W::KIND.as_str()
            )
        })?;
        let journal = Journal::new(
            &candidate.name,
            generation,
            candidate.limits.log_lines_per_second,
            Arc::clone(&candidate.ring),
            metrics.dropped_lines.clone(),
        );
        Ok(Self {
            engine: engine.clone(),
            pre,
            limits: candidate.limits,
            settings: candidate.settings.clone(),
            metrics,
            journal: Arc::new(journal),
        })
    }

    /// An instance with its settings, ready to be called.
    pub(crate) fn fresh(&self) -> Result<Instance<W>, Fault> {
        let mut instance = self.bare()?;
        instance.init(&self.settings).map_err(|fault| match fault {
            Fault::Refused(why) => {
                Fault::Nonsense(format!("init refused settings that it took before: {why}"))
            }
            other => other,
        })?;
        Ok(instance)
    }

    /// Calls an instance with other settings, once.
    pub(crate) fn trial<R>(
        &self,
        settings: &str,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut instance = self.bare()?;
        instance.init(settings)?;
        instance.call(&self.limits, Instant::now(), run)
    }

    /// The first instance, and what it says of itself. The error is for the operator.
    pub(crate) fn first(&self) -> Result<(Instance<W>, Description), NotStarted> {
        let failed =
            |stage, what: &str, fault: &Fault| (stage, format!("{what}: {}", at_start(fault)));
        let mut instance = self
            .bare()
            .map_err(|fault| failed(Stage::Instantiate, "cannot be started", &fault))?;
        let description = instance
            .describe()
            .map_err(|fault| failed(Stage::Describe, "describe", &fault))?;
        instance
            .init(&self.settings)
            .map_err(|fault| failed(Stage::Init, "init", &fault))?;
        Ok((instance, description))
    }

    fn bare(&self) -> Result<Instance<W>, Fault> {
        let limits = &self.limits;
        let guest = Guest::new(limits.memory_bytes, Arc::clone(&self.journal));
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.held);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(|mut store| {
            ticker::give_way();
            Ok(store.data_mut().deadline.passed(Instant::now())?)
        });
        begin(&mut store, INIT, metered(limits, INIT_FUEL), Instant::now());
        let exports = W::instantiate(&self.pre, &mut store)?;
        self.metrics.created.inc();
        self.metrics.instances.inc();
        Ok(Instance {
            exports,
            store,
            calls: 0,
            metrics: Arc::clone(&self.metrics),
            init_fuel: metered(limits, INIT_FUEL),
        })
    }
}

/// Something to call.
pub(crate) struct Instance<W> {
    /// What can be called.
    pub(crate) exports: W,
    /// What it is called with.
    pub(crate) store: Store<Guest>,
    /// How often it was.
    pub(crate) calls: u64,
    metrics: Arc<PluginMetrics>,
    init_fuel: Option<u64>,
}

impl<W> Drop for Instance<W> {
    fn drop(&mut self) {
        self.metrics.instances.dec();
    }
}

impl<W: World> Instance<W> {
    /// Calls it.
    pub(crate) fn call<R>(
        &mut self,
        limits: &Limits,
        now: Instant,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let span = Span {
            cpu: limits.cpu,
            wall: limits.wall,
        };
        let fuel = metered(limits, limits.fuel);
        begin(&mut self.store, span, fuel, now);
        let asked_before = self.store.data().host_calls;
        let cpu_before = self.metrics.samples_cpu().then(thread_time);
        let outcome = run(&self.exports, &mut self.store)
            .map_err(|fault| self.store.data_mut().with_last_words(fault));
        self.calls = self.calls.saturating_add(1);
        if let Some(before) = cpu_before {
            self.metrics.spent_cpu(thread_time().saturating_sub(before));
        }
        if let Some(fuel) = fuel {
            let left = self.store.get_fuel().unwrap_or_default();
            self.metrics.fuel.inc_by(fuel.saturating_sub(left));
        }
        let guest = self.store.data();
        let asked = guest.host_calls.saturating_sub(asked_before);
        if asked > 0 {
            self.metrics.host_calls.inc_by(asked);
        }
        self.metrics.held(guest.held.memory_bytes());
        outcome
    }

    fn describe(&mut self) -> Result<Description, Fault> {
        begin(&mut self.store, INIT, self.init_fuel, Instant::now());
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
        begin(&mut self.store, INIT, self.init_fuel, Instant::now());
        let said = self
            .exports
            .init(&mut self.store, settings)
            .map_err(|error| self.store.data_mut().with_last_words(error.into()))?;
        said.map_err(|why| Fault::Refused(printable(&why)))
    }
}

/// A fault as the operator reads it who has just put the plugin there. The time to start is not
/// among its limits, so there is none to raise.
fn at_start(fault: &Fault) -> String {
    match fault {
        Fault::Deadline | Fault::Wall => format!(
            "ran over its deadline of {} ms and was stopped; leave the work to the calls",
            INIT_CPU.as_millis()
        ),
        other => other.to_string(),
    }
}

/// So much fuel, if fuel is counted for this plugin.
fn metered(limits: &Limits, fuel: u64) -> Option<u64> {
    (limits.fuel > 0).then_some(fuel)
}

/// Sets what the next call may use.
fn begin(store: &mut Store<Guest>, span: Span, fuel: Option<u64>, now: Instant) {
    let guest = store.data_mut();
    guest.begin();
    let ticks = guest.deadline.begin(span, now);
    store.set_epoch_deadline(ticks);
    if let Some(fuel) = fuel
        && let Err(error) = store.set_fuel(fuel)
    {
        // Only a store whose engine counts no fuel refuses it.
        tracing::error!(%error, "fuel cannot be set: the plugin's recipe does not count it");
    }
}
