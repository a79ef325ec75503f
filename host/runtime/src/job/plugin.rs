//! One loaded job plugin.

use super::Floor;
use super::engine::TICKS;
use super::guest::JobGuest;
use super::hooks::Way;
use super::limits::JobLimits;
use super::meter::{Meter, Metered};
use super::needs::Grants;
use super::world::{JobWorld, link};
use crate::bindings::authorizer::holdfast::plugin::types::Need;
use crate::budget::{Reservation, Share};
use crate::egress::{Allowance, Guard};
use crate::error::Fault;
use crate::foundry::Foundry;
use crate::guest::{Journal, printable};
use crate::limits::{BUSY_WAIT, METADATA_BYTES_MAX};
use crate::metrics::PluginMetrics;
use crate::plugin::Candidate;
use crate::world::Description;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime::component::Component;
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

/// What `describe`, `init` and `needs` may use of the processor: they read settings.
const INIT_CPU: Duration = Duration::from_millis(500);

/// The same by the wall clock.
const INIT_WALL: Duration = Duration::from_secs(10);

/// A loaded job plugin: made once, and each call runs on a fresh instance of it.
pub(crate) struct JobPlugin<W: JobWorld> {
    /// What it was made of.
    pub(crate) candidate: Candidate,
    /// What it says of itself.
    pub(crate) description: Description,
    /// Which load it was.
    pub(crate) generation: u64,
    /// What it is an instance of.
    pub(crate) component: Component,
    floor: Arc<Floor>,
    mould: Arc<Mould<W>>,
    _reserved: Reservation,
}

impl<W: JobWorld> fmt::Debug for JobPlugin<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobPlugin")
            .field("candidate", &self.candidate)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// What instances are made from.
struct Mould<W: JobWorld> {
    engine: Engine,
    pre: W::Pre,
    candidate: Candidate,
    limits: JobLimits,
    journal: Arc<Journal>,
    environment: Arc<BTreeMap<String, String>>,
    guard: Arc<Guard>,
    places: Semaphore,
    metrics: Arc<PluginMetrics>,
}

/// What an instance is given for a call.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// For `init`.
    pub(crate) settings: String,
    /// What it can read of the environment.
    pub(crate) environment: Arc<BTreeMap<String, String>>,
    /// Where its requests go.
    pub(crate) way: Way,
}

/// What is asked of an instance.
pub(crate) type Asking<'a, R> = BoxFuture<'a, Result<R, Fault>>;

impl<W: JobWorld> JobPlugin<W> {
    /// Links and starts a component, and holds what it needs against what it is granted. The error
    /// is for the operator. It blocks, and must not be called from within a future.
    pub(crate) fn load(
        floor: &Arc<Floor>,
        candidate: Candidate,
        component: Component,
        generation: u64,
        grants: Grants,
        foundry: &Foundry,
    ) -> Result<Self, String> {
        let pre = link::<W>(&floor.engine, &component).map_err(|e| {
            format!(
                "does not fit the {} world: {e:#}; build it with the wit/ of this host",
                W::KIND.as_str()
            )
        })?;
        let limits = JobLimits::of(&candidate.limits);
        let share = Share {
            instances: limits.concurrency,
            bytes_each: limits.memory_bytes,
        };
        let reserved = foundry.budget.reserve(&candidate.name, generation, share)?;
        let metrics = Arc::new(foundry.metrics.of(&candidate.name, generation));
        let journal = Journal::new(
            &candidate.name,
            generation,
            candidate.limits.log_lines_per_second,
            Arc::clone(&candidate.ring),
            metrics.dropped_lines.clone(),
        );
        let environment = grants.environment.of(&floor.environment);
        let rules = grants.egress.clone();
        let guard = Guard::new(&candidate.name, rules, Arc::clone(&floor.outside));
        guard.check_secrets()?;
        let mould = Arc::new(Mould {
            engine: floor.engine.clone(),
            pre,
            journal: Arc::new(journal),
            environment: Arc::new(environment),
            guard: Arc::new(guard),
            places: Semaphore::new(limits.concurrency),
            limits,
            metrics,
            candidate: candidate.clone(),
        });
        let first = Arc::clone(&mould);
        let started = floor.crew.run_blocking(async move { first.start().await });
        let (description, needs) = started.ok_or("the host is stopping")??;
        for warning in grants.check(&candidate.name, &needs)? {
            tracing::warn!(plugin = candidate.name, "plugin {warning}");
        }
        Ok(Self {
            candidate,
            description,
            generation,
            component,
            floor: Arc::clone(floor),
            mould,
            _reserved: reserved,
        })
    }

    /// How it fares.
    pub(crate) fn metrics(&self) -> &PluginMetrics {
        &self.mould.metrics
    }

    /// Asks a fresh instance. Whoever stops waiting ends it.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send + 'static,
    ) -> Result<R, Fault> {
        let mould = Arc::clone(&self.mould);
        let answer = self
            .floor
            .crew
            .run(async move { mould.call(None, run).await });
        answer.await.unwrap_or_else(stopping)
    }

    /// The same for a caller that is no future.
    pub(crate) fn ask_blocking<R: Send + 'static>(
        &self,
        stage: Option<Stage>,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send + 'static,
    ) -> Result<R, Fault> {
        let mould = Arc::clone(&self.mould);
        let job = async move { mould.call(stage, run).await };
        self.floor.crew.run_blocking(job).unwrap_or_else(stopping)
    }
}

fn stopping<R>() -> Result<R, Fault> {
    Err(Fault::Busy("the host is stopping".into()))
}

impl<W: JobWorld> Mould<W> {
    /// What instances that serve are given.
    fn usual(&self) -> Stage {
        Stage {
            settings: self.candidate.settings.clone(),
            environment: Arc::clone(&self.environment),
            way: Way::Out(Arc::clone(&self.guard)),
        }
    }

    /// The first instance: what it says of itself, and what it needs.
    async fn start(&self) -> Result<(Description, Vec<Need>), String> {
        let stage = self.usual();
        let bare = self.bare(&stage).await;
        let (world, mut store) =
            bare.map_err(|fault| format!("cannot be started: {}", at_start(&fault)))?;
        let meter = begin(&store, INIT_CPU);
        let said = async { Ok(world.describe(&mut store).await?) };
        let said = within(meter, INIT_WALL, said).await;
        let description = said
            .and_then(check_description)
            .map_err(|fault| store.data().with_last_words(fault))
            .map_err(|fault| format!("describe: {}", at_start(&fault)))?;
        self.init(&world, &mut store, &stage)
            .await
            .map_err(|fault| format!("init: {}", at_start(&fault)))?;
        let meter = begin(&store, INIT_CPU);
        let needs = async { Ok(world.needs(&mut store).await?) };
        let needs = within(meter, INIT_WALL, needs).await;
        let needs = needs
            .map_err(|fault| store.data().with_last_words(fault))
            .map_err(|fault| format!("needs: {}", at_start(&fault)))?;
        Ok((description, needs))
    }

    async fn call<R: Send>(
        &self,
        stage: Option<Stage>,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send,
    ) -> Result<R, Fault> {
        let start = Instant::now();
        let outcome = self.run(stage, run).await;
        self.metrics.seconds.observe(start.elapsed().as_secs_f64());
        self.metrics.count(&outcome);
        outcome
    }

    async fn run<R: Send>(
        &self,
        stage: Option<Stage>,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<JobGuest>) -> Asking<'a, R> + Send,
    ) -> Result<R, Fault> {
        let limits = &self.limits;
        let place = timeout(BUSY_WAIT, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Fault::Busy(format!(
                "{} calls run already, and none ended in time",
                limits.concurrency
            )));
        };
        let is_trial = stage.is_some();
        let stage = stage.unwrap_or_else(|| self.usual());
        let (world, mut store) = self.bare(&stage).await?;
        self.init(&world, &mut store, &stage)
            .await
            .map_err(|fault| match fault {
                Fault::Refused(why) if !is_trial => {
                    Fault::Nonsense(format!("init refused settings that it took before: {why}"))
                }
                other => other,
            })?;
        let allowance = Allowance::new(limits.egress_calls, limits.egress_bytes);
        store.data_mut().hooks.open(stage.way, allowance);
        let meter = begin(&store, limits.cpu);
        let outcome = within(Arc::clone(&meter), limits.wall, run(&world, &mut store)).await;
        self.metrics.spent_cpu(meter.spent());
        self.metrics.held(store.data().held.memory_bytes());
        outcome.map_err(|fault| store.data().with_last_words(fault))
    }

    async fn init(
        &self,
        world: &W,
        store: &mut Store<JobGuest>,
        stage: &Stage,
    ) -> Result<(), Fault> {
        let meter = begin(store, INIT_CPU);
        let said = async { Ok(world.init(store, &stage.settings).await?) };
        let said = within(meter, INIT_WALL, said).await;
        let said = said.map_err(|fault| store.data().with_last_words(fault))?;
        said.map_err(|why| Fault::Refused(printable(&why)))
    }

    async fn bare(&self, stage: &Stage) -> Result<(W, Store<JobGuest>), Fault> {
        let limits = &self.limits;
        let (journal, environment) = (Arc::clone(&self.journal), Arc::clone(&stage.environment));
        let guest = JobGuest::new(limits, journal, environment);
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.held);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(|store| {
            if store.data().meter.is_used_up() {
                return Err(Trap::Interrupt.into());
            }
            // Others of this thread come first, or a guest that computes would keep them waiting.
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
