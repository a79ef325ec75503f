//! Opens what everything stands on. A cluster that is not there yet is waited for.

use super::cluster::{self, cluster_of};
use super::{failure, settings};
use crate::app::App;
use crate::aside::Aside;
use crate::clock::Clock;
use crate::config::{Config, Live, StoreKind};
use crate::identity::{self, FirstKey};
use crate::ops::audit::{Audit, AuditSettings, Event, Kind, Outcome};
use crate::ops::health::Health;
use crate::policies::{Archive, Policies};
use crate::workers::peers::Peers;
use crate::workers::tuning::Retry;
use anyhow::{Context, anyhow, bail};
use holdfast_model::action::Resource;
use holdfast_model::{Action, UnixMillis};
use holdfast_policy::{Gate, system_principal};
use holdfast_runtime::{
    Compiler, JobsConfig, PluginInfo, PluginKind, Plugins, PluginsConfig, Trust,
};
use holdfast_store::{CqlSettings, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How a file is listed that was not taken in.
const REFUSED: &str = "refused";

/// What is said of the first key, which has a name and an account of its own.
const FIRST_KEY_MADE: &str = "the first administrator's key was made; it opens default/admin";

/// What everything stands on.
pub(super) struct Opened {
    pub(super) app: App,
    /// What the cluster was opened with, if there is one.
    pub(super) cluster: Option<CqlSettings>,
}

/// Opens it. Returns when it is there, however long that takes.
pub(super) async fn open(
    live: &Live,
    plugins: Arc<Plugins>,
    clock: &Clock,
    health: &Health,
) -> anyhow::Result<Opened> {
    let config = live.get();
    let audit = match config.audit.enabled {
        true => Audit::open(AuditSettings {
            path: config.audit_path(),
            rotate_bytes: config.audit.rotate_bytes.0,
            backlog_bytes: config.audit.backlog_bytes.0,
        })?,
        false => Audit::off(),
    };
    let gate = Arc::new(Gate::open_with(settings::gate(&config))?);
    let (store, cluster) = store(live, clock, health, &audit).await?;
    let identity = identity::identity(&config).map_err(|all| failure(super::one(all)))?;
    let config = live.get();
    let peers = Peers::open(
        &config.kubo.api,
        settings::delegates(&config),
        Some(config.general.data.join("peers.json")),
    );
    Ok(Opened {
        app: App {
            policies: Policies::new(store.clone(), Arc::clone(&gate), clock.clone())
                .proved_by(config.policies.solver.as_deref())
                .kept_in(Archive::new(config.policies_kept_dir())),
            store,
            gate,
            plugins,
            aside: Aside::start().context("no threads for what takes long")?,
            clock: clock.clone(),
            audit,
            identity: Arc::new(identity),
            peers,
        },
        cluster,
    })
}

/// Whose plugins are taken.
fn trust(config: &Config) -> Trust {
    let keys = &config.plugins.trusted_keys;
    Trust {
        keys: BTreeMap::from([
            (PluginKind::Authorizer, keys.authorizer.clone()),
            (PluginKind::Pricing, keys.pricing.clone()),
            (PluginKind::Payment, keys.payment.clone()),
            (PluginKind::Config, keys.config.clone()),
        ]),
        is_required: config.plugins.require_signatures,
    }
}

/// Makes the data directory, opens the plugins, and asks those that configure what they say to the
/// configuration. An answer that is wrong, or none, ends the start: a host that was to be guarded
/// is not started unguarded.
pub(super) async fn plugins(live: &Arc<Live>, compiler: Compiler) -> anyhow::Result<Arc<Plugins>> {
    let config = live.get();
    let data = &config.general.data;
    std::fs::create_dir_all(data).with_context(|| {
        format!(
            "the data directory {} cannot be made; set `data`",
            data.display()
        )
    })?;
    let wanted = PluginsConfig {
        dir: config.plugins_dir(),
        cache: Some(data.join("plugins-cache")),
        state: Some(data.join("plugins-state")),
        compiler,
        memory_bytes: config.plugins.memory_bytes.0,
        trust: trust(&config),
        jobs: JobsConfig {
            environment: Arc::new(live.environment().clone()),
            trusted_roots: config.plugins.trusted_roots.clone(),
            connections: config.plugins.egress_connections.count(),
            resolver: None,
        },
    };
    let live = Arc::clone(live);
    // Compiling and asking take long enough to be kept from the threads that answer.
    let opening = tokio::task::spawn_blocking(move || {
        let plugins = Arc::new(Plugins::open(wanted)?);
        is_guarded(&plugins.list(), &config.plugins.required)?;
        live.consult(Arc::clone(&plugins))
            .map_err(|problems| anyhow!("the configuration cannot be used\n{problems}"))?;
        Ok(plugins)
    });
    opening.await?
}

/// Whether all those serve that are named, and every plugin in the folder that configures. What
/// cannot be read has no kind: only its name tells that it is missed.
fn is_guarded(infos: &[PluginInfo], required: &[String]) -> anyhow::Result<()> {
    let serves = |name: &str| {
        let of_name = infos.iter().filter(|info| info.name == name);
        of_name
            .flat_map(|info| &info.generations)
            .any(|generation| matches!(generation.state.as_str(), "live" | "open" | "standby"))
    };
    let why = |name: &str| {
        let refused = infos
            .iter()
            .find(|info| info.name == name && info.state == REFUSED);
        match refused.and_then(|info| info.error.clone()) {
            Some(why) => why,
            None => "nothing in the plugins folder serves under that name".to_owned(),
        }
    };
    if let Some(name) = required.iter().find(|name| !serves(name)) {
        bail!("plugin {name}, which plugins.required names: {}", why(name));
    }
    let mut configures = infos
        .iter()
        .filter(|i| i.kind == PluginKind::Config.as_str());
    if let Some(info) = configures.find(|info| info.state == REFUSED && !serves(&info.name)) {
        bail!("config plugin {}: {}", info.name, why(&info.name));
    }
    Ok(())
}

/// Opens the store. A cluster that time may mend is tried again, each time with the configuration
/// as it is then, so that a wrong address needs no restart.
async fn store(
    live: &Live,
    clock: &Clock,
    health: &Health,
    audit: &Audit,
) -> anyhow::Result<(Store, Option<CqlSettings>)> {
    let mut attempt = 1;
    loop {
        let config = live.get();
        let error = match attempt_at(&config, clock, audit).await {
            Ok(opened) => return Ok(opened),
            Err(error) if may_pass(&config, &error) => error,
            Err(error) => return Err(error),
        };
        let wait = pause(&config, attempt);
        let contact_points = config.store.cql.contact_points.join(",");
        tracing::warn!(
            attempt,
            contact_points,
            next_try_ms = wait.as_millis(),
            %error,
            "the store is not there yet; calls are answered 503 until it is"
        );
        health.waits_for(format!(
            "{error} (attempt {attempt}, the next one in {} ms)",
            wait.as_millis()
        ));
        tokio::time::sleep(wait).await;
        attempt += 1;
        if let Err(problems) = live.reload() {
            super::reload::log_refused(&problems);
        }
    }
}

async fn attempt_at(
    config: &Config,
    clock: &Clock,
    audit: &Audit,
) -> anyhow::Result<(Store, Option<CqlSettings>)> {
    let cluster = cluster_of(config).map_err(failure)?;
    let store = match (&cluster, config.store.kind) {
        (Some(settings), _) => {
            if config.general.production {
                cluster::must_be_safe(settings).await?;
            }
            Store::cql(settings.clone()).await?
        }
        (None, StoreKind::Memory) => Store::memory(),
        (None, _) => Store::embedded(&config.store_dir()).await?,
    };
    if let Err(error) = first_key(config, &store, clock, audit).await {
        store.close().await?;
        return Err(error);
    }
    Ok((store, cluster))
}

/// Whether waiting may help: the cluster does not answer, or not well enough. A refused login, a
/// schema of a newer release and the like stay as they are.
fn may_pass<'e>(config: &Config, error: &'e anyhow::Error) -> bool {
    let of_store =
        |cause: &'e (dyn std::error::Error + 'static)| cause.downcast_ref::<StoreError>();
    let is_passing = match error.chain().find_map(of_store) {
        // What would fail again just so.
        Some(StoreError::Open { .. }) | None => false,
        Some(error) => error.kind().is_transient(),
    };
    config.store.kind == StoreKind::Cql && is_passing
}

fn pause(config: &Config, attempt: u32) -> Duration {
    let retry = Retry {
        attempts_max: u32::MAX,
        first: config.store.cql.retry_first.get(),
        longest: config.store.cql.retry_longest.get(),
    };
    Duration::from_millis(retry.wait_millis(attempt, rand::random_range(Retry::JITTER)))
}

/// Makes the first administrator's key on a store without keys, or says that nobody has one.
async fn first_key(
    config: &Config,
    store: &Store,
    clock: &Clock,
    audit: &Audit,
) -> anyhow::Result<()> {
    let Some(key) = &config.auth.bootstrap_admin_key else {
        if config.auth.issuers.0.is_empty() && store.tenants(None, 1).await?.is_empty() {
            tracing::warn!(
                "nobody can call yet: restart with HOLDFAST_BOOTSTRAP_ADMIN_KEY set to a new \
                 secret (`openssl rand -hex 32` makes one), which becomes the first \
                 administrator's key"
            );
        }
        return Ok(());
    };
    let now = clock.now();
    let first = FirstKey::new(key.reveal(), now)?;
    // So it is at every start but one, which is to cost one read.
    if first.is_made(store).await? {
        return Ok(());
    }
    let change = rand::random();
    let what = "the first administrator's key is about to be made";
    let intent = made_by_host(now, Kind::Intent(change), Outcome::Begun, what);
    audit.record_durably(intent).await?;
    let made = first.make(store).await;
    let (outcome, what) = match &made {
        Ok(true) => (Outcome::Allow, FIRST_KEY_MADE.to_owned()),
        Ok(false) => (Outcome::Deny, "the store has a key already".to_owned()),
        Err(error) => (Outcome::Error, error.to_string()),
    };
    let outcome = made_by_host(now, Kind::Outcome(change), outcome, what);
    audit.record_durably(outcome).await?;
    if made? {
        tracing::info!("{FIRST_KEY_MADE}");
    }
    Ok(())
}

/// A key that nobody asked for by a call.
fn made_by_host(at: UnixMillis, kind: Kind, outcome: Outcome, what: impl Into<String>) -> Event {
    Event {
        kind,
        principal: Some(system_principal("bootstrap")),
        action: Some(Action::CreateKey),
        resource: Some(Resource::Host),
        ..Event::of_host(at, outcome, what)
    }
}
