//! What instances of one job plugin are made from, and how one is called.

use super::Floor;
use super::engine::TICKS;
use super::guest::JobGuest;
use super::hooks::Way;
use super::limits::JobLimits;
use super::meter::{Meter, Metered};
use super::needs::Grants;
use super::world::{JobWorld, link};
use crate::bindings::authorizer::holdfast::plugin::types::Need;
use crate::egress::{Allowance, Guard, Owner};
use crate::error::Fault;
use crate::guest::{Journal, printable};
use crate::limits::{BUSY_WAIT, METADATA_BYTES_MAX};
use crate::metrics::PluginMetrics;
use crate::plugin::Candidate;
use crate::pool::{Census, Counted};
use crate::registry::{NotStarted, Stage};
use crate::ticker;
use crate::world::Description;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument;
use wasmtime::component::Component;
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

/// What `describe`, `init` and `needs` may use of the processor: they read settings.
const INIT_CPU: Duration = Duration::from_millis(500);

/// The same by the wall clock.
const INIT_WALL: Duration = Duration::from_secs(10);

/// A linked component, and where its instances run.
pub(crate) struct JobMould<W: JobWorld> {
    floor: Arc<Floor>,
    mould: Arc<Mould<W>>,
}

/// What a first instance said and took.
pub(crate) struct JobStart {
    /// What it says of itself.
    pub(crate) description: Description,
    /// What it needs.
    pub(crate) needs: Vec<Need>,
    /// What it holds.
    pub(crate) memory_bytes: usize,
    /// What `init` took, where fuel is counted.
    pub(crate) init_fuel: u64,
}

/// What instances are made from.
struct Mould<W: JobWorld> {
    engine: Engine,
    pre: W::Pre,
    candidate: Candidate,
    generation: u64,
    limits: JobLimits,
    journal: Arc<Journal>,
    environment: Arc<BTreeMap<String, String>>,
    guard: Arc<Guard>,
    places: Semaphore,
    /// Calls that wait for a place.
    waiting: AtomicUsize,
    metrics: Arc<PluginMetrics>,
}

/// What an instance is given for a call.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// For `init`.
    pub(crate) settings: String,
    /// What it can read of the environment.
    pub(crate) environment: Arc<BTreeMap<String, String>>,
    /// Where its requests go.
    pub(crate) way: Way,
}

/// What is asked of an instance.
pub(crate) type Asking<'a, R> = BoxFuture<'a, Result<R, Fault>>;

impl<W: JobWorld> JobMould<W> {
    /// Links a component. The error is for the operator.
    pub(crate) fn new(
        floor: &Arc<Floor>,
        candidate: &Candidate,
        generation: u64,
        component: &Component,
        grants: &Grants,
        metrics: Arc<PluginMetrics>,
    ) -> Result<Self, String> {
        let pre = link::<W>(&floor.engine, component).map_err(|e| {
            format!(
                "does not fit the {} world: {e:#}; build it with the wit/ of this host",
                W::KIND.as_str()
            )
        })?;
        let limits = JobLimits::of(&candidate.limits);
        let journal = Journal::new(
            &candidate.name,
            generation,
            candidate.limits.log_lines_per_second,
            Arc::clone(&candidate.ring),
            metrics.dropped_lines.clone(),
        );
        let owner = Owner {
            plugin: Arc::clone(&candidate.name),
            generation,
            ring: Arc::clone(&candidate.ring),
            connections: limits.egress_connections,
            bytes_per_second: limits.egress_bytes_per_second,
        };
        let guard = Guard::new(owner, grants.egress.clone(), Arc::clone(&floor.outside));
        let mould = Mould {
            engine: floor.engine.clone(),
            pre,
            journal: Arc::new(journal),
            environment: Arc::new(grants.environment.of(&floor.environment)),
            guard: Arc::new(guard),
            places: Semaphore::new(limits.concurrency),
            waiting: AtomicUsize::new(0),
            limits,
            metrics,
            candidate: candidate.clone(),
            generation,
        };
        Ok(Self {
            floor: Arc::clone(floor),
            mould: Arc::new(mould),
        })
    }

    /// How it fares.
    pub(crate) fn metrics(&self) -> &PluginMetrics {
        &self.mould.metrics
    }

    /// Its places, for whoever counts them.
    pub(super) fn counted(&self) -> Weak<dyn Counted> {
        let mould: Weak<Mould<W>> = Arc::downgrade(&self.mould);
        mould
    }

    /// What instances that serve can read of the environment.
    pub(super) fn environment(&self) -> &Arc<BTreeMap<String, String>> {
        &self.mould.environment
    }

    /// How requests of instances that serve leave.
    pub(super) fn guard(&self) -> &Arc<Guard> {
        &self.mould.guard
    }

    /// Starts a first instance. It blocks, and must not be called from within a future.
    pub(crate) fn start_blocking(&self) -> Result<JobStart, NotStarted> {
        let mould = Arc::clone(&self.mould);
        let started = self
            .floor
            .crew
            .run_blocking(async move { mould.start().await });
        let stopping = || (Stage::Instantiate, "the host is stopping".to_owned());
        started.ok_or_else(stopping)?
    }

    /// Asks a fresh instance. Whoever stops waiting ends it.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send + 'static,
    ) -> Result<R, Fault> {
        let mould = Arc::clone(&self.mould);
        let span = self.mould.span();
        let job = async move { mould.call(None, run).await }.instrument(span);
        self.floor.crew.run(job).await.unwrap_or_else(stopping)
    }

    /// The same for a caller that is no future.
    pub(crate) fn ask_blocking<R: Send + 'static>(
        &self,
        scene: Option<Scene>,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send + 'static,
    ) -> Result<R, Fault> {
        let mould = Arc::clone(&self.mould);
        let span = self.mould.span();
        let job = async move { mould.call(scene, run).await }.instrument(span);
        self.floor.crew.run_blocking(job).unwrap_or_else(stopping)
    }
}

fn stopping<R>() -> Result<R, Fault> {
    Err(Fault::Busy("the host is stopping".into()))
}

impl<W: JobWorld> Counted for Mould<W> {
    /// Instances are made for a call and go with it, so there are as many as calls that run.
    fn census(&self) -> Census {
        let limits = &self.limits;
        Census {
            busy: limits
                .concurrency
                .saturating_sub(self.places.available_permits()),
            waiting: self.waiting.load(Ordering::Relaxed),
            memory_peak_bytes: self.metrics.memory_peak_bytes(),
            memory_reserved_bytes: limits.concurrency.saturating_mul(limits.memory_bytes),
            ..Census::default()
        }
    }
}

impl<W: JobWorld> Mould<W> {
    /// The span of a call, within that of whoever calls: it is made before the job goes to threads
    /// that know nothing of the caller.
    fn span(&self) -> tracing::Span {
        tracing::debug_span!(
            "plugin_call",
            plugin = &*self.candidate.name,
            generation = self.generation,
            digest = &*self.candidate.digest,
        )
    }

    /// What instances that serve are given.
    fn usual(&self) -> Scene {
        Scene {
            settings: self.candidate.settings.clone(),
            environment: Arc::clone(&self.environment),
            way: Way::Out(Arc::clone(&self.guard)),
        }
    }

    /// The first instance: what it says of itself, and what it needs.
    async fn start(&self) -> Result<JobStart, NotStarted> {
        let failed =
            |stage, what: &str, fault: &Fault| (stage, format!("{what}: {}", at_start(fault)));
        let scene = self.usual();
        let bare = self.bare(&scene).await;
        let (world, mut store) =
            bare.map_err(|fault| failed(Stage::Instantiate, "cannot be started", &fault))?;
        let meter = begin(&store, INIT_CPU);
        let said = async { Ok(world.describe(&mut store).await?) };
        let said = within(meter, INIT_WALL, said).await;
        let description = said
            .and_then(check_description)
            .map_err(|fault| store.data().with_last_words(fault))
            .map_err(|fault| failed(Stage::Describe, "describe", &fault))?;
        let before = store.get_fuel().unwrap_or_default();
        self.init(&world, &mut store, &scene)
            .await
            .map_err(|fault| failed(Stage::Init, "init", &fault))?;
        let init_fuel = before.saturating_sub(store.get_fuel().unwrap_or_default());
        let meter = begin(&store, INIT_CPU);
        let needs = async { Ok(world.needs(&mut store).await?) };
        let needs = within(meter, INIT_WALL, needs).await;
        let needs = needs
            .map_err(|fault| store.data().with_last_words(fault))
            .map_err(|fault| failed(Stage::Needs, "needs", &fault))?;
        Ok(JobStart {
            description,
            needs,
            memory_bytes: store.data().held.memory_bytes(),
            init_fuel,
        })
    }

    async fn call<R: Send>(
        &self,
        scene: Option<Scene>,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send,
    ) -> Result<R, Fault> {
        let start = Instant::now();
        let outcome = self.run(scene, run).await;
        self.metrics.seconds.observe(start.elapsed().as_secs_f64());
        self.metrics.count(&outcome);
        outcome
    }

    async fn run<R: Send>(
        &self,
        scene: Option<Scene>,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send,
    ) -> Result<R, Fault> {
        let limits = &self.limits;
        let waits = Waits::begin(&self.waiting);
        let place = timeout(BUSY_WAIT, self.places.acquire()).await;
        drop(waits);
        let Ok(Ok(_place)) = place else {
            return Err(Fault::Busy(format!(
                "{} calls run already, and none ended in time",
                limits.concurrency
            )));
        };
        let is_trial = scene.is_some();
        let scene = scene.unwrap_or_else(|| self.usual());
        let (world, mut store) = self.bare(&scene).await?;
        self.init(&world, &mut store, &scene)
            .await
            .map_err(|fault| match fault {
                Fault::Refused(why) if !is_trial => {
                    Fault::Nonsense(format!("init refused settings that it took before: {why}"))
                }
                other => other,
            })?;
        let allowance = Allowance::new(limits.egress_calls, limits.egress_bytes);
        store.data_mut().hooks.open(scene.way, allowance);
        let meter = begin(&store, limits.cpu);
        let outcome = within(Arc::clone(&meter), limits.wall, run(&world, &mut store)).await;
        self.metrics.spent_cpu(meter.spent());
        self.metrics.held(store.data().held.memory_bytes());
        self.metrics.host_calls.inc_by(store.data().host_calls);
        outcome.map_err(|fault| store.data().with_last_words(fault))
    }

    async fn init(
        &self,
        world: &W,
        store: &mut Store<JobGuest>,
        scene: &Scene,
    ) -> Result<(), Fault> {
        let meter = begin(store, INIT_CPU);
        let said = async { Ok(world.init(store, &scene.settings).await?) };
        let said = within(meter, INIT_WALL, said).await;
        let said = said.map_err(|fault| store.data().with_last_words(fault))?;
        said.map_err(|why| Fault::Refused(printable(&why)))
    }

    async fn bare(&self, scene: &Scene) -> Result<(W, Store<JobGuest>), Fault> {
        let limits = &self.limits;
        let (journal, environment) = (Arc::clone(&self.journal), Arc::clone(&scene.environment));
        let guest = JobGuest::new(limits, journal, environment);
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.held);
        // Only an engine that counts fuel takes any: the workbench's. There it bounds nothing.
        let _ = store.set_fuel(u64::MAX);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(|store| {
            if store.data().meter.is_used_up() {
                return Err(Trap::Interrupt.into());
            }
            // After those who wait for this processor, others of this thread: a guest that computes
            // would keep both waiting.
            ticker::give_way();
            let others = Box::pin(tokio::task::yield_now());
            Ok(UpdateDeadline::YieldCustom(TICKS, others))
        });
        store.set_epoch_deadline(TICKS);
        let meter = begin(&store, INIT_CPU);
        let world = async { Ok(W::instantiate(&self.pre, &mut store).await?) };
        let world = within(meter, INIT_WALL, world).await?;
        self.metrics.created.inc();
        Ok((world, store))
    }
}

/// A fault as the operator reads it who has just put the plugin there. The time to start is not
/// among its limits, so there is none to raise.
fn at_start(fault: &Fault) -> String {
    match fault {
        Fault::Deadline => format!(
            "ran over its deadline of {} ms and was stopped; leave the work to the calls",
            INIT_CPU.as_millis()
        ),
        Fault::Wall => format!(
            "took more than {} s by the clock and was stopped; leave the work to the calls",
            INIT_WALL.as_secs()
        ),
        other => other.to_string(),
    }
}

/// A call that waits for a place; whoever stops waiting is not counted any more.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The meter of a store, with so much to use from now on.
fn begin(store: &Store<JobGuest>, cpu: Duration) -> Arc<Meter> {
    let meter = Arc::clone(&store.data().meter);
    meter.renew(cpu);
    meter
}

/// Runs a part of a job: its processor time is measured, and its time on the wall bounded.
async fn within<R>(
    meter: Arc<Meter>,
    wall: Duration,
    part: impl Future<Output = Result<R, Fault>> + Send,
) -> Result<R, Fault> {
    let outcome = timeout(wall, Metered::new(meter, part)).await;
    outcome.unwrap_or(Err(Fault::Wall))
}

fn check_description(said: Description) -> Result<Description, Fault> {
    for text in [&said.name, &said.version, &said.description] {
        if text.len() > METADATA_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(Fault::Nonsense(format!(
                "each text must have at most {METADATA_BYTES_MAX} bytes and no control characters"
            )));
        }
    }
    Ok(said)
}
