//! The whole host: every part made once, in the order in which it needs the others, and ended in
//! the opposite one.

mod auditing;
mod cluster;
mod doors;
mod open;
mod reload;
mod settings;

use crate::api::{self, ApiMetrics};
use crate::app::App;
use crate::billing::collecting::{CollectMetrics, Collecting};
use crate::clock::Clock;
use crate::config::{Complaint, Config, Live};
use crate::identity::{self, Authenticator};
use crate::ops::audit::{AuditError, Auditor, Event, Outcome};
use crate::ops::desk;
use crate::ops::health::{Check, Health, Parts};
use crate::ops::listen::{Bounds, Listener};
use crate::ops::metrics::Metrics;
use crate::ops::profile::Profiler;
use crate::ops::telemetry::{self, Telemetry};
use crate::ops::tls::{self, Certificate};
use crate::workers::metrics::WorkMetrics;
use crate::workers::peers::others;
use crate::workers::retention::{self, Kept};
use crate::workers::{Handles, Workers};
use anyhow::anyhow;
use doors::Doors;
use holdfast_runtime::Compiler;
use parking_lot::Mutex;
use reload::Reloader;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(super) use cluster::{alter, cluster_of, unsafe_in_production};
pub(super) use settings::to_sign;

/// The longest time for the workers to put down what they are doing.
const WORKERS_STOP_MAX: Duration = Duration::from_secs(10);

/// Between two times that keys' uses are written down.
const USES_WRITTEN_EVERY: Duration = Duration::from_secs(5);

/// The longest time for what is in the audit log to be carried into the store. The rest waits on
/// the disk for the next start.
const AUDITOR_STOP_MAX: Duration = Duration::from_secs(5);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answers the main listener.
    Api,
    /// Drives Kubo nodes.
    Worker,
    /// Compares what should be pinned with what is.
    Reconciler,
    /// Rates usage.
    Billing,
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    app: App,
    /// Carries the audit log into the store.
    auditor: Auditor,
    reloader: Arc<Reloader>,
    workers: Crew,
    /// Takes invoices to payment plugins, if this process does.
    collecting: Option<AbortOnDropHandle<()>>,
    /// The main listener, if this process has it.
    main: Option<Serving>,
    /// The listener of IPFS Cluster's interface, if this process has it.
    cluster: Option<Serving>,
    ops: Serving,
    /// Ends the watching of files and plugins, the writing down of keys' uses, the hearing of other
    /// processes' nodes, and the trimming of the feed.
    watching: [AbortOnDropHandle<()>; 5],
}

/// The workers, while there are some.
type Crew = Arc<Mutex<Option<Workers>>>;

/// A listener at work. Dropped, it ends at once.
#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    task: AbortOnDropHandle<bool>,
}

impl Serving {
    async fn end(self) -> bool {
        self.stop.cancel();
        self.task.await.unwrap_or(false)
    }
}

/// Ends a listener if there is one; says whether all calls ended in time.
async fn ended(serving: Option<Serving>) -> bool {
    match serving {
        Some(serving) => serving.end().await,
        None => true,
    }
}

/// A listener that answers that the host is starting. Dropped, it ends at once.
struct Waiting {
    over: CancellationToken,
    task: AbortOnDropHandle<Listener>,
}

impl Waiting {
    fn begin(listener: Listener, tls: Option<Arc<rustls::ServerConfig>>, bounds: Bounds) -> Self {
        let over = CancellationToken::new();
        let waiting = listener.serve_meanwhile(api::starting(), tls, bounds, over.clone());
        Self {
            over,
            task: AbortOnDropHandle::new(tokio::spawn(waiting)),
        }
    }

    /// The listener, for the whole host to answer at.
    async fn end(self) -> Result<Listener, tokio::task::JoinError> {
        self.over.cancel();
        self.task.await
    }
}

/// What a configuration's values alone do not show: whether the keys, certificates and levels that
/// it names can be used.
#[must_use]
pub fn inspect(config: &Config) -> Vec<Complaint> {
    let mut complaints = identity::issuers(&config.auth).err().unwrap_or_default();
    complaints.extend(identity::identity(config).err().into_iter().flatten());
    complaints.extend(tls::read(&config.server).err());
    complaints.extend(tls::read_cluster(&config.cluster).err());
    complaints.extend(tls::authorities(&config.cluster).err());
    complaints.extend(telemetry::filter(&config.log).err());
    complaints.extend(auditing::check(config));
    complaints.extend(cluster::check(config));
    complaints
}

impl Host {
    /// Starts everything that `roles` name; everything at all if they name nothing. While a
    /// cluster cannot be reached, it is tried again and again, the listeners say so, and this
    /// future waits; dropping it ends everything.
    ///
    /// # Errors
    /// What cannot be had: a port, a directory, a store. Nothing is left running then.
    pub async fn start(
        live: Arc<Live>,
        roles: &[Role],
        clock: Clock,
        telemetry: Option<Telemetry>,
    ) -> Result<Self, anyhow::Error> {
        Self::begin(live, roles, clock, telemetry, Compiler::InProcess).await
    }

    /// The same for the program itself, which compiles plugins in processes of its own kind.
    pub(super) async fn start_as_program(
        live: Arc<Live>,
        roles: &[Role],
        telemetry: Telemetry,
    ) -> Result<Self, anyhow::Error> {
        let compiler = super::plugins::compiler()?;
        Self::begin(live, roles, Clock::System, Some(telemetry), compiler).await
    }

    async fn begin(
        live: Arc<Live>,
        roles: &[Role],
        clock: Clock,
        telemetry: Option<Telemetry>,
        compiler: Compiler,
    ) -> Result<Self, anyhow::Error> {
        let config = live.get();
        let does = |role: Role| roles.is_empty() || roles.contains(&role);
        // The addresses come first: a second host on this machine ends here, before it touches
        // data.
        let ops = Listener::bind(config.ops.listen, "ops.listen").await?;
        let main = match does(Role::Api) {
            true => Some(Listener::bind(config.server.listen, "server.listen").await?),
            false => None,
        };
        let plugins = open::plugins(&live, compiler).await?;
        let config = live.get();
        let certificate = tls::read(&config.server).map_err(failure)?;
        let certificate = certificate.map(|first| Arc::new(Certificate::new(first)));
        let tls = certificate.clone().map(tls::server_config).transpose()?;
        let (metrics, stop) = (Metrics::new()?, CancellationToken::new());
        let health = Health::starting(stop.clone());
        let ops = serve_desk(ops, &live, &health, &metrics);
        let doors = Doors::bind(&config, main, tls, stop).await?;

        let opened = open::open(&live, plugins, &clock, &health).await?;
        let (config, app) = (live.get(), opened.app);
        let issuers = identity::issuers(&config.auth).map_err(|all| failure(one(all)))?;
        let identity = Arc::clone(&app.identity);
        let authenticator = Authenticator::new(app.store.clone(), clock, identity, issuers)?;
        let auditor = auditing::start(&config, &app)?;
        let work_metrics = WorkMetrics::new()?;
        let api_metrics = ApiMetrics::new(work_metrics.kubo.clone())?;
        register(&metrics, &app, &authenticator, &api_metrics, &work_metrics)?;
        let (workers, kubo): (Crew, _) = (Arc::default(), work_metrics.kubo.clone());
        let (feed_kept, trimming) = trim(&config, &app, &work_metrics);
        if does(Role::Worker) || does(Role::Reconciler) {
            let tuning = settings::tuning(&config);
            *workers.lock() = Some(Workers::spawn(Handles::from(&app), tuning, work_metrics)?);
        }
        let collecting = match does(Role::Billing) {
            true => Some(collect(&config, &app, &metrics).await?),
            false => None,
        };
        let reloader = Arc::new(Reloader::new(live, &app, metrics));
        let certificate = certificate.as_ref();
        reloader.subscribe_all(&authenticator, certificate, &workers, feed_kept, telemetry);
        reloader.subscribe_store(&app.store, opened.cluster);
        let behind = doors::Behind {
            app: &app,
            authenticator: &authenticator,
            api: &api_metrics,
            kubo,
            reloader: &reloader,
        };
        let (main, cluster) = doors.open(&config, behind).await?;
        // Not before they are open: whoever hears that the host is ready calls at once.
        health.begin(parts(&app, &workers));
        let writing = tokio::spawn(write_uses(authenticator));
        let watching = beside(&reloader, [writing, trimming, hear(&app)]);
        let host = Self {
            app,
            auditor,
            reloader,
            workers,
            collecting,
            main,
            cluster,
            ops,
            watching,
        };
        host.announce();
        host.record_start().await?;
        Ok(host)
    }

    /// Where the main listener listens, if this process has it.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.main.as_ref().map(|main| main.address)
    }

    /// Where IPFS Cluster's interface is, if this process has it.
    #[must_use]
    pub fn cluster_address(&self) -> Option<SocketAddr> {
        self.cluster.as_ref().map(|cluster| cluster.address)
    }

    /// Where the ops listener listens.
    #[must_use]
    pub const fn ops_address(&self) -> SocketAddr {
        self.ops.address
    }

    /// Reads configuration and policies again, and is over when they are in force; what is wrong
    /// with them is logged, and the former ones stay. It goes on when nobody waits for it.
    pub fn reload(&self) -> impl Future<Output = ()> + Send + use<> {
        let reloader = Arc::clone(&self.reloader);
        // Reading files, compiling policies and trying a cluster is no work for a thread that
        // answers.
        let task = tokio::task::spawn_blocking(move || reloader.reload());
        async move {
            // It has logged what there is to say.
            let _ = task.await;
        }
    }

    /// Tells the audit log that the host is there.
    async fn record_start(&self) -> Result<(), AuditError> {
        let version = env!("CARGO_PKG_VERSION");
        let policies = self.app.gate.revision().0;
        let what = format!("the host started: version {version}, policies {policies}");
        let event = Event::of_host(self.app.clock.now(), Outcome::Allow, what);
        self.app.audit.record(event).await
    }

    /// Ends everything: calls first, then the work behind them, then what both stand on. Says
    /// whether all ended in time and by itself.
    pub async fn stop(self) -> bool {
        let Self {
            app,
            auditor,
            reloader: _,
            workers,
            collecting,
            main,
            cluster,
            ops,
            watching,
        } = self;
        drop(watching);
        // An attempt that is under way is made again by the next start, by the same key.
        drop(collecting);
        let (main, cluster) = tokio::join!(ended(main), ended(cluster));
        let mut all = main && cluster;
        let workers = workers.lock().take();
        if let Some(workers) = workers {
            all &= workers.stop(WORKERS_STOP_MAX).await;
        }
        let stops = Event::of_host(app.clock.now(), Outcome::Allow, "the host stops");
        all &= is_well("the audit log", app.audit.record(stops).await);
        all &= is_well("the audit log", app.audit.close().await);
        // What it does not carry in time waits for the next start.
        auditor.end(AUDITOR_STOP_MAX).await;
        all &= is_well("the store", app.store.close().await);
        // Last, so that probes see to the end that the host is stopping.
        all & ops.end().await
    }

    fn announce(&self) {
        let main = self
            .address()
            .map(|address| address.to_string())
            .unwrap_or_default();
        let policies = self.app.gate.revision();
        tracing::info!(
            listen = %main,
            ops = %self.ops_address(),
            cluster = self.cluster_address().map(tracing::field::display),
            policies = %policies.0,
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
    }
}

/// Whether something closed well.
fn is_well<E: std::fmt::Display>(what: &str, closed: Result<(), E>) -> bool {
    closed
        .inspect_err(|error| tracing::error!(%error, "{what} did not close well"))
        .is_ok()
}

/// One of several complaints: the rest come up once it is mended, or in `config check` together.
fn one(complaints: Vec<Complaint>) -> Complaint {
    let mut complaints = complaints.into_iter();
    complaints
        .next()
        .unwrap_or_else(|| Complaint::new("", "is refused", "run `holdfast config check`"))
}

fn failure(complaint: Complaint) -> anyhow::Error {
    let Complaint { key, wrong, write } = complaint;
    anyhow!("{key}: {wrong}; {write}")
}

fn register(
    metrics: &Metrics,
    app: &App,
    authenticator: &Authenticator,
    api: &ApiMetrics,
    work: &WorkMetrics,
) -> Result<(), prometheus::Error> {
    metrics.register(app.store.metrics())?;
    metrics.register(app.gate.metrics())?;
    metrics.register(app.plugins.metrics())?;
    metrics.register(app.audit.metrics())?;
    metrics.register(authenticator.metrics())?;
    metrics.register(api.collectors())?;
    metrics.register(work.collectors())
}

/// Opens the queue of payments and has it worked on.
async fn collect(
    config: &Config,
    app: &App,
    metrics: &Metrics,
) -> anyhow::Result<AbortOnDropHandle<()>> {
    let counts = CollectMetrics::new()?;
    metrics.register(counts.collectors())?;
    let (dir, clock) = (config.general.data.join("payments"), app.clock.clone());
    let opening = tokio::task::spawn_blocking(move || Collecting::open(&dir, clock, counts));
    let working = opening.await??.run(app.plugins.clone(), app.aside.clone());
    Ok(AbortOnDropHandle::new(tokio::spawn(working)))
}

/// Has the change feed trimmed, whatever the roles are: no other process may be there to do it.
fn trim(config: &Config, app: &App, metrics: &WorkMetrics) -> (Kept, JoinHandle<()>) {
    let kept = Kept::new(settings::feed_kept(config));
    let trimming = retention::run(app.store.clone(), kept.clone(), metrics.clone());
    (kept, tokio::spawn(trimming))
}

/// Hears which nodes other processes of the same store drive, whatever the roles are: who only
/// answers calls tells of them too.
fn hear(app: &App) -> JoinHandle<()> {
    let hearing = others::follow(app.store.clone(), app.peers.clone(), app.clock.clone());
    tokio::spawn(hearing)
}

/// What goes on beside the calls until the host ends.
fn beside(
    reloader: &Arc<Reloader>,
    [writing, trimming, hearing]: [JoinHandle<()>; 3],
) -> [AbortOnDropHandle<()>; 5] {
    let (files, plugins) = (reloader.watch(), reloader.follow_plugins());
    [files, plugins, writing, trimming, hearing].map(AbortOnDropHandle::new)
}

/// Writes down now and then when keys were last used.
async fn write_uses(authenticator: Authenticator) {
    loop {
        tokio::time::sleep(USES_WRITTEN_EVERY).await;
        authenticator.write_uses().await;
    }
}

/// What health is asked of.
fn parts(app: &App, workers: &Crew) -> Parts {
    let workers = Arc::clone(workers);
    Parts {
        store: app.store.clone(),
        gate: Arc::clone(&app.gate),
        audit: app.audit.clone(),
        others: Arc::new(move || of_workers(workers.lock().as_ref())),
    }
}

/// Answers those who run the host.
fn serve_desk(listener: Listener, live: &Arc<Live>, health: &Health, metrics: &Metrics) -> Serving {
    let desk = desk::router(health.clone(), metrics.clone(), Profiler::of(live));
    let bounds = settings::ops_bounds(&live.get());
    serve(listener, desk, None, bounds, CancellationToken::new())
}

fn serve(
    listener: Listener,
    router: axum::Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    bounds: Bounds,
    stop: CancellationToken,
) -> Serving {
    let address = listener.address();
    let task = tokio::spawn(listener.serve(router, tls, bounds, stop.clone()));
    Serving {
        address,
        stop,
        task: AbortOnDropHandle::new(task),
    }
}

/// How the workers and the nodes they drive fare.
fn of_workers(workers: Option<&Workers>) -> Vec<(&'static str, Check)> {
    let Some(workers) = workers else {
        return Vec::new();
    };
    let status = workers.status();
    let crew = match status.running {
        true => Check::well(None),
        false => Check::ill("a worker has ended; restart the host and report what its log says"),
    };
    let down: Vec<&str> = status
        .nodes
        .iter()
        .filter(|node| !node.healthy)
        .map(|node| node.api.as_ref())
        .collect();
    let kubo = if status.nodes.is_empty() {
        Check::degraded("no node has answered yet; pins are taken and wait")
    } else if down.is_empty() {
        Check::well(None)
    } else {
        Check::degraded(format!(
            "{} does not answer; its pins wait",
            down.join(", ")
        ))
    };
    vec![("workers", crew), ("kubo", kubo)]
}
