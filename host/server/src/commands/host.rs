//! The whole host: every part made once, in the order in which it needs the others, and ended in
//! the opposite one.

mod reload;
mod settings;

use crate::api::{self, ApiMetrics};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Complaint, Config, Live, StoreKind};
use crate::identity::{self, Authenticator};
use crate::ops::audit::{Audit, AuditSettings};
use crate::ops::desk;
use crate::ops::health::{Check, Health};
use crate::ops::listen::{Bounds, Listener};
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::{self, Telemetry};
use crate::ops::tls::{self, Certificate};
use crate::workers::metrics::WorkMetrics;
use crate::workers::peers::Peers;
use crate::workers::{Handles, Workers};
use anyhow::{Context, anyhow};
use holdfast_policy::Gate;
use holdfast_runtime::{Plugins, PluginsConfig};
use holdfast_store::Store;
use parking_lot::Mutex;
use reload::Reloader;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest time for the workers to put down what they are doing.
const WORKERS_STOP_MAX: Duration = Duration::from_secs(10);

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
    reloader: Arc<Reloader>,
    workers: Crew,
    /// The main listener, if this process has it.
    main: Option<Serving>,
    ops: Serving,
    /// Ends the watching of files.
    watching: tokio_util::task::AbortOnDropHandle<()>,
}

/// The workers, while there are some.
type Crew = Arc<Mutex<Option<Workers>>>;

/// A listener at work.
#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<bool>,
}

impl Serving {
    async fn end(self) -> bool {
        self.stop.cancel();
        self.task.await.unwrap_or(false)
    }
}

/// What a configuration's values alone do not show: whether the keys, certificates and levels that
/// it names can be used.
#[must_use]
pub fn inspect(config: &Config) -> Vec<Complaint> {
    let mut complaints = identity::issuers(&config.auth).err().unwrap_or_default();
    complaints.extend(tls::read(&config.server).err());
    complaints.extend(telemetry::filter(&config.log).err());
    complaints
}

impl Host {
    /// Starts everything that `roles` name; everything at all if they name nothing.
    ///
    /// # Errors
    /// What cannot be had: a port, a directory, a store. Nothing is left running then.
    pub async fn start(
        live: Arc<Live>,
        roles: &[Role],
        clock: Clock,
        telemetry: Option<Telemetry>,
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
        let app = open(&config, clock.clone()).await?;
        let issuers = identity::issuers(&config.auth).map_err(|all| failure(one(all)))?;
        let authenticator = Authenticator::new(app.store.clone(), clock, issuers)?;
        let (metrics, api_metrics, work_metrics) =
            (Metrics::new()?, ApiMetrics::new()?, WorkMetrics::new()?);
        register(&metrics, &app, &authenticator, &api_metrics, &work_metrics)?;
        let workers: Crew = Arc::default();
        if does(Role::Worker) || does(Role::Reconciler) {
            let tuning = settings::tuning(&config);
            *workers.lock() = Some(Workers::spawn(Handles::from(&app), tuning, work_metrics)?);
        }
        let certificate = tls::read(&config.server).map_err(failure)?;
        let certificate = certificate.map(|first| Arc::new(Certificate::new(first)));
        let stop = CancellationToken::new();
        let ops = serve_ops(&app, &workers, metrics.clone(), ops, &config, &stop);
        let reloader = Arc::new(Reloader::new(live, Arc::clone(&app.gate), metrics));
        reloader.subscribe_all(&authenticator, certificate.as_ref(), &workers, telemetry);
        let main = match main {
            Some(listener) => {
                let router = api::router(
                    app.clone(),
                    authenticator,
                    settings::edge(&config),
                    &api_metrics,
                );
                let tls = certificate.map(tls::server_config).transpose()?;
                let bounds = settings::bounds(&config);
                Some(serve(listener, router, tls, bounds, stop))
            }
            None => None,
        };
        let watching = tokio_util::task::AbortOnDropHandle::new(reloader.watch());
        let host = Self {
            app,
            reloader,
            workers,
            main,
            ops,
            watching,
        };
        host.announce();
        Ok(host)
    }

    /// Where the main listener listens, if this process has it.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.main.as_ref().map(|main| main.address)
    }

    /// Where the ops listener listens.
    #[must_use]
    pub const fn ops_address(&self) -> SocketAddr {
        self.ops.address
    }

    /// Reads configuration and policies again; what is wrong with them is logged, and the former
    /// ones stay in force.
    pub fn reload(&self) {
        self.reloader.reload();
    }

    /// Ends everything: calls first, then the work behind them, then what both stand on. Says
    /// whether all ended in time and by itself.
    pub async fn stop(self) -> bool {
        let Self {
            app,
            reloader: _,
            workers,
            main,
            ops,
            watching,
        } = self;
        drop(watching);
        let mut all = match main {
            Some(main) => main.end().await,
            None => true,
        };
        let workers = workers.lock().take();
        if let Some(workers) = workers {
            all &= workers.stop(WORKERS_STOP_MAX).await;
        }
        for (what, closed) in [
            (
                "the audit log",
                app.audit.close().await.map_err(|e| e.to_string()),
            ),
            (
                "the store",
                app.store.close().await.map_err(|e| e.to_string()),
            ),
        ] {
            if let Err(error) = closed {
                tracing::error!(%error, "{what} did not close well");
                all = false;
            }
        }
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
            policies = %policies.0,
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
    }
}

/// Opens what everything stands on.
async fn open(config: &Config, clock: Clock) -> Result<App, anyhow::Error> {
    let data = &config.general.data;
    std::fs::create_dir_all(data).with_context(|| {
        format!(
            "the data directory {} cannot be made; set `data`",
            data.display()
        )
    })?;
    let audit = match config.audit.enabled {
        true => Audit::open(AuditSettings {
            path: config.audit_path(),
            rotate_bytes: config.audit.rotate_bytes.0,
        })?,
        false => Audit::off(),
    };
    let store = match config.store.kind {
        StoreKind::Memory => Store::memory(),
        StoreKind::Embedded => Store::embedded(&config.store_dir()).await?,
        StoreKind::Cql => return Err(anyhow!("the CQL store is not in this build yet")),
    };
    first_key(config, &store, &clock).await?;
    let gate = Gate::open(config.policies.dir.as_deref())?;
    let plugins = PluginsConfig {
        dir: config.plugins_dir(),
        cache: None,
    };
    // Compiling takes long enough to be kept from the threads that answer.
    let plugins = tokio::task::spawn_blocking(move || Plugins::open(plugins)).await??;
    let peers = Peers::open(
        &config.kubo.api,
        settings::delegates(config),
        Some(data.join("peers.json")),
    );
    Ok(App {
        store,
        gate: Arc::new(gate),
        plugins: Arc::new(plugins),
        clock,
        audit,
        peers,
    })
}

/// Makes the first administrator's key on an empty store, or says that nobody has one.
async fn first_key(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<()> {
    if let Some(key) = &config.auth.bootstrap_admin_key {
        if identity::bootstrap(store, key.reveal(), clock.now()).await? {
            tracing::info!("the first administrator's key was made; it opens default/admin");
        }
    } else if config.auth.issuers.0.is_empty() && store.tenants(None, 1).await?.is_empty() {
        tracing::warn!(
            "nobody can call yet: restart with HOLDFAST_BOOTSTRAP_ADMIN_KEY set to a new secret \
             (`openssl rand -hex 32` makes one), which becomes the first administrator's key"
        );
    }
    Ok(())
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

fn serve_ops(
    app: &App,
    workers: &Crew,
    metrics: Metrics,
    listener: Listener,
    config: &Config,
    stop: &CancellationToken,
) -> Serving {
    let workers = Arc::clone(workers);
    let health = Health {
        store: app.store.clone(),
        gate: Arc::clone(&app.gate),
        audit: app.audit.clone(),
        others: Arc::new(move || of_workers(workers.lock().as_ref())),
        // The main listener's: the host is stopping as soon as that one is.
        stop: stop.clone(),
    };
    let router = desk::router(health, metrics);
    serve(
        listener,
        router,
        None,
        settings::ops_bounds(config),
        CancellationToken::new(),
    )
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
        task,
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
