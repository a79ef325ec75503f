//! What is put in place while the host runs.

use super::cluster::{self, cluster_of};
use super::{Crew, settings};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Commit, Complaint, Live, Problems, watch};
use crate::identity::{self, Authenticator};
use crate::ops::audit::{Audit, Event, Outcome};
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::{self, Telemetry};
use crate::ops::tls::{self, Certificate};
use crate::workers::retention::Kept;
use holdfast_policy::Gate;
use holdfast_runtime::{PluginInfo, PluginKind, Plugins};
use holdfast_store::{Candidate, Cql, CqlSettings, Store, StoreError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Looks at the plugins, one each second, after which those that configure are asked again.
const LOOKS_PER_ASKING: u32 = 60;

/// Reads configuration and policies again.
#[derive(Debug)]
pub(super) struct Reloader {
    live: Arc<Live>,
    gate: Arc<Gate>,
    plugins: Arc<Plugins>,
    /// Who is told of what is put in place without a call.
    audit: Audit,
    clock: Clock,
    metrics: Metrics,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    pub(super) fn new(live: Arc<Live>, app: &App, metrics: Metrics) -> Self {
        Self {
            live,
            gate: Arc::clone(&app.gate),
            plugins: Arc::clone(&app.plugins),
            audit: app.audit.clone(),
            clock: app.clock.clone(),
            metrics,
            one_at_a_time: Mutex::default(),
        }
    }

    /// Has the listener of IPFS Cluster's interface told of another certificate.
    pub(super) fn subscribe_cluster(&self, certificate: &Arc<Certificate>) {
        let certificate = Arc::clone(certificate);
        self.live.subscribe(Box::new(move |config| {
            let next = tls::read_cluster(&config.cluster)?;
            let certificate = Arc::clone(&certificate);
            Ok(Box::new(move || {
                if let Some(next) = next {
                    certificate.replace(next);
                }
            }) as Commit)
        }));
    }

    /// Has every part told of a new configuration that can take one.
    pub(super) fn subscribe_all(
        &self,
        authenticator: &Authenticator,
        certificate: Option<&Arc<Certificate>>,
        workers: &Crew,
        feed_kept: Kept,
        telemetry: Option<Telemetry>,
    ) {
        let authenticator = authenticator.clone();
        self.live.subscribe(Box::new(move |config| {
            let issuers = identity::issuers(&config.auth);
            let issuers = issuers.map_err(super::one)?;
            let authenticator = authenticator.clone();
            Ok(Box::new(move || authenticator.replace_issuers(issuers)) as Commit)
        }));
        if let Some(certificate) = certificate.map(Arc::clone) {
            self.live.subscribe(Box::new(move |config| {
                let next = tls::read(&config.server)?;
                let certificate = Arc::clone(&certificate);
                Ok(Box::new(move || {
                    if let Some(next) = next {
                        certificate.replace(next);
                    }
                }) as Commit)
            }));
        }
        let workers = Arc::clone(workers);
        self.live.subscribe(Box::new(move |config| {
            let tuning = settings::tuning(config);
            let workers = Arc::clone(&workers);
            Ok(Box::new(move || {
                if let Some(workers) = workers.lock().as_ref() {
                    workers.retune(tuning);
                }
            }) as Commit)
        }));
        self.subscribe_feed(feed_kept);
        if let Some(telemetry) = telemetry {
            self.live.subscribe(Box::new(move |config| {
                let level = telemetry::filter(&config.log)?;
                let telemetry = telemetry.clone();
                Ok(Box::new(move || telemetry.set(level)) as Commit)
            }));
        }
    }

    /// Has the feed's trimmer told of how much is to be kept.
    fn subscribe_feed(&self, kept: Kept) {
        self.live.subscribe(Box::new(move |config| {
            let (next, kept) = (settings::feed_kept(config), kept.clone());
            Ok(Box::new(move || {
                kept.send_if_modified(|now| std::mem::replace(now, next) != next);
            }) as Commit)
        }));
    }

    /// Has the store go over to another session when anything about the cluster changes: its
    /// settings, the files that they name. The new one is proven before anybody else switches, and
    /// nobody switches if it is not.
    pub(super) fn subscribe_store(&self, store: &Store, opened: Option<CqlSettings>) {
        let (Store::Cql(cql), Some(opened)) = (store.clone(), opened) else {
            return;
        };
        let in_force = Arc::new(Mutex::new(InForce::of(opened)));
        let runtime = Handle::current();
        self.live.subscribe(Box::new(move |config| {
            let Some(wanted) = cluster_of(config)? else {
                return Ok(Box::new(|| {}) as Commit);
            };
            let wanted = in_force.lock().next(wanted);
            if wanted == *in_force.lock() {
                return Ok(Box::new(|| {}) as Commit);
            }
            let settings = wanted.settings.clone();
            let candidate = runtime.block_on(prove(&cql, settings, config.general.production))?;
            let (cql, in_force) = (cql.clone(), Arc::clone(&in_force));
            Ok(Box::new(move || {
                cql.install(candidate);
                *in_force.lock() = wanted;
            }) as Commit)
        }));
    }

    /// Reads everything again. What is wrong is logged, and what was good stays in force.
    pub(super) fn reload(&self) {
        let _one = self.one_at_a_time.lock();
        self.read(true);
        let before = self.gate.revision();
        match self.gate.reload() {
            Ok(revision) if revision != before => {
                tracing::info!(revision = %revision.0, "policies replaced");
                let (before, now) = (before.0, revision.0);
                let what = format!("policies {now} decide in the place of {before}");
                self.record(Outcome::Allow, what);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "policies refused, the former ones stay");
                self.record(
                    Outcome::Error,
                    "policies were refused, the former ones stay",
                );
            }
        }
    }

    /// Tells the audit log of something that no call did. For threads that may wait.
    fn record(&self, outcome: Outcome, what: impl Into<String>) {
        let event = Event::of_host(self.clock.now(), outcome, what);
        if let Err(error) = Handle::current().block_on(self.audit.record(event)) {
            tracing::error!(%error, "what the host did is not in the audit log");
        }
    }

    /// Reads the configuration again. What nobody asked for is told only if something changes.
    fn read(&self, is_asked: bool) {
        match self.live.reload() {
            Ok(changes) if changes.is_empty() && !is_asked => {}
            Ok(changes) => {
                self.metrics.count_reload(true);
                let keys: Vec<String> = changes.into_iter().map(|change| change.key).collect();
                tracing::info!(changed = ?keys, "configuration read again");
                let what = format!(
                    "the configuration was read again; changed: {}",
                    keys.join(", ")
                );
                self.record(Outcome::Allow, what);
                let waiting = self.live.waiting_for_restart();
                if !waiting.is_empty() {
                    tracing::warn!(keys = ?waiting, "these settings count after a restart only");
                }
            }
            Err(problems) => {
                self.metrics.count_reload(false);
                log_refused(&problems);
                let keys: Vec<&str> = problems.problems.iter().map(|one| &*one.key).collect();
                let what = format!("a configuration was refused: {}", keys.join(", "));
                self.record(Outcome::Error, what);
            }
        }
    }

    /// Reads the configuration again when its plugins are other ones, and now and then while there
    /// are any: what they read from tells nobody when it changes.
    pub(super) fn follow_plugins(self: &Arc<Self>) -> JoinHandle<()> {
        let reloader = Arc::clone(self);
        tokio::spawn(async move {
            let (mut seen, mut asked) = (reloader.config_plugins(), 0);
            let mut serving = reloader.serving();
            loop {
                tokio::time::sleep(watch::LOOK_EVERY).await;
                let serves = reloader.serving();
                reloader.tell_of_plugins(&serving, &serves).await;
                serving = serves;
                let now = reloader.config_plugins();
                asked += 1;
                if now == seen && (now.is_empty() || asked < LOOKS_PER_ASKING) {
                    continue;
                }
                (seen, asked) = (now, 0);
                let reloader = Arc::clone(&reloader);
                let reading = tokio::task::spawn_blocking(move || {
                    let _one = reloader.one_at_a_time.lock();
                    reloader.read(false);
                });
                // It has logged what there is to say.
                let _ = reading.await;
            }
        })
    }

    /// What serves under which name: a rule, a call, or the folder may have put it there.
    fn serving(&self) -> BTreeMap<String, (String, u64)> {
        let infos = self.plugins.list().into_iter();
        let infos = infos.filter(|info| info.state != "refused");
        infos
            .map(|info| (info.name, (info.digest, info.generation)))
            .collect()
    }

    async fn tell_of_plugins(
        &self,
        before: &BTreeMap<String, (String, u64)>,
        now: &BTreeMap<String, (String, u64)>,
    ) {
        let came = now
            .iter()
            .filter(|(name, serves)| before.get(*name) != Some(serves));
        let came = came.map(|(name, (digest, generation))| {
            format!("plugin {name}: generation {generation} serves, digest {digest}")
        });
        let went = before.keys().filter(|name| !now.contains_key(*name));
        let went = went.map(|name| format!("plugin {name} is gone"));
        for what in came.chain(went) {
            let event = Event::of_host(self.clock.now(), Outcome::Allow, what);
            if let Err(error) = self.audit.record(event).await {
                tracing::error!(%error, "a change of plugins is not in the audit log");
            }
        }
    }

    /// The config plugins that are live: name and generation.
    fn config_plugins(&self) -> Vec<(String, u64)> {
        let is_live =
            |info: &PluginInfo| info.kind == PluginKind::Config.as_str() && info.state != "refused";
        let infos = self.plugins.list().into_iter().filter(is_live);
        infos.map(|info| (info.name, info.generation)).collect()
    }

    /// Reloads whenever a file changes that configuration or policies were read from.
    pub(super) fn watch(self: &Arc<Self>) -> JoinHandle<()> {
        let (looking, changing) = (Arc::clone(self), Arc::clone(self));
        tokio::spawn(watch::watch(
            self.live.first_look(),
            move || looking.live.files(),
            move || {
                let reloader = Arc::clone(&changing);
                // Reading files and compiling policies is no work for a thread that answers.
                tokio::task::spawn_blocking(move || reloader.reload());
            },
        ))
    }
}

/// What the store's session was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InForce {
    settings: CqlSettings,
    /// What the files held: a renewed certificate has the same name.
    files: Vec<Option<Vec<u8>>>,
}

impl InForce {
    fn of(settings: CqlSettings) -> Self {
        let tls = settings.tls.iter().flat_map(|tls| {
            let client = tls.client.iter().flat_map(|(cert, key)| [cert, key]);
            std::iter::once(&tls.ca).chain(client)
        });
        let files = tls.map(|file| std::fs::read(file).ok()).collect();
        Self { settings, files }
    }

    /// What is to be in force next. What is fixed while the store is open stays, and counts after a
    /// restart, as `Live` says.
    fn next(&self, mut wanted: CqlSettings) -> Self {
        let now = &self.settings;
        wanted.keyspace.clone_from(&now.keyspace);
        wanted.replication.clone_from(&now.replication);
        wanted.layout.clone_from(&now.layout);
        wanted.schema.clone_from(&now.schema);
        wanted.timeouts.lease = now.timeouts.lease;
        wanted.consistency.serial = now.consistency.serial;
        Self::of(wanted)
    }
}

/// Makes a session with other settings and looks whether it can be used.
async fn prove(
    cql: &Cql,
    settings: CqlSettings,
    is_production: bool,
) -> Result<Candidate, Complaint> {
    let refused = |why: String| {
        let write = "mend the cluster or the settings; `holdfast doctor` says which";
        Complaint::new("store.cql", why, write)
    };
    if is_production {
        let safe = cluster::must_be_safe(&settings).await;
        safe.map_err(|e| refused(format!("{e:#}")))?;
    }
    match cql.candidate(settings).await {
        Ok(candidate) => Ok(candidate),
        Err(StoreError::Invalid(invalid)) => Err(cluster::complaint(invalid)),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// Says what keeps a configuration from being used.
pub(super) fn log_refused(problems: &Problems) {
    for problem in &problems.problems {
        tracing::error!(
            place = %problem.origin,
            key = problem.key,
            mend = problem.write,
            "configuration refused, the former one stays: {}",
            problem.wrong
        );
    }
}
