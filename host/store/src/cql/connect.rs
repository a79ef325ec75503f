//! The session with the cluster: how it is made, and every statement prepared on it.

mod profile;
mod samples;
mod tls;
mod why;

use self::profile::Profiles;
use self::samples::Samples;
use super::calls::{Budget, Listener, Nodes, Queue};
use super::home::Home;
use super::settings::{Compression, CqlSettings, Pool};
use super::statement::{Class, Statement};
use crate::Result;
use crate::error::StoreError;
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::client::PoolSize;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Statements that are being prepared at the same time: enough to hide the way there and back, few
/// enough not to look like an attack.
const PREPARED_AT_ONCE: usize = 16;

/// The whole time of a conditional write has room for so many attempts: an answer that is lost
/// leaves time to ask again, and servers give up on contention within about a second.
const CONDITION_ATTEMPTS: u32 = 3;

/// The same for reads and plain writes, which are sent to a second replica anyway.
const ATTEMPTS: u32 = 2;

/// How often, and after how long each time, a trace is looked for: servers write it behind.
const TRACE_LOOKS: NonZeroU32 = NonZeroU32::new(40).unwrap();
const TRACE_PAUSE: Duration = Duration::from_millis(50);

/// Where the rack is set that [`unknown_rack`] is about.
const RACK_KEY: &str = "store.cql.local_rack";

/// A session with everything prepared for each home datacenter, and what is counted for it.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) session: Arc<Session>,
    pub(crate) settings: CqlSettings,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) queue: Queue,
    pub(crate) budget: Budget,
    pub(crate) samples: Samples,
    homes: Vec<String>,
    /// By home, then by [`Statement`] in the order of its declaration.
    prepared: Vec<Vec<PreparedStatement>>,
}

/// Logs in. The keyspace need not exist yet.
pub(crate) async fn session(settings: &CqlSettings) -> Result<Session> {
    let builder = builder(settings).await?;
    match timeout(settings.timeouts.session, builder.build()).await {
        Ok(Ok(session)) => {
            check_datacenters(&session, settings, &settings.homes())?;
            Ok(session)
        }
        Ok(Err(error)) => Err(why::not_connected(settings, &error)),
        Err(_) => Err(unreachable(settings, "no answer in time")),
    }
}

/// Everything that the driver is told, and the certificates as they are on the disk now.
pub(crate) async fn builder(settings: &CqlSettings) -> Result<SessionBuilder> {
    let times = &settings.timeouts;
    let connections = &settings.connections;
    let compression = match connections.compression {
        Compression::None => None,
        Compression::Lz4 => Some(scylla::client::Compression::Lz4),
        Compression::Snappy => Some(scylla::client::Compression::Snappy),
    };
    let pool = match connections.pool {
        Pool::PerShard(connections) => PoolSize::PerShard(connections),
        Pool::PerNode(connections) => PoolSize::PerHost(connections),
    };
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .prefer_datacenter(settings.local_datacenter.clone())
        .pool_size(pool)
        .disallow_shard_aware_port(!connections.shard_aware_port)
        .compression(compression)
        .write_coalescing(connections.write_coalescing)
        .local_ip_address(connections.local_address)
        .connection_timeout(times.connect)
        .keepalive_interval(times.keepalive)
        .keepalive_timeout(times.keepalive)
        .schema_agreement_timeout(times.schema)
        // The schema's runner waits for agreement itself, once a migration.
        .auto_await_schema_agreement(false)
        .tracing_info_fetch_attempts(TRACE_LOOKS)
        .tracing_info_fetch_interval(TRACE_PAUSE)
        // How the keyspace is replicated, and no more: without it the driver knows no key's
        // replicas, and every call would take a way round.
        .fetch_schema_metadata(true)
        .fetch_full_schema_metadata(false)
        .keyspaces_to_fetch([settings.keyspace.clone()])
        .driver_config_reporting(false);
    if let Some(login) = &settings.login {
        builder = builder.user(&login.username, &login.password);
    }
    if let Some(files) = &settings.tls {
        builder = builder.tls_context(Some(tls::configuration(files).await?));
    }
    Ok(builder)
}

impl Connected {
    /// Enters the keyspace and prepares every statement for every home.
    pub(crate) async fn prepare(
        session: Session,
        settings: &CqlSettings,
        homes: &[String],
    ) -> Result<Self> {
        check_datacenters(&session, settings, homes)?;
        if let Some(why) = unknown_rack(&session, settings) {
            tracing::warn!("{RACK_KEY} has no effect: {why}");
        }
        let unusable = |error: String| unreachable(settings, &error);
        let keyspace = session.use_keyspace(&settings.keyspace, true);
        match timeout(settings.timeouts.prepare, keyspace).await {
            Ok(done) => done.map_err(|e| unusable(e.to_string()))?,
            Err(_) => return Err(unusable("no answer in time".to_owned())),
        }
        // Only ScyllaDB's nodes tell of shards.
        let state = session.get_cluster_state();
        let is_scylla = state.get_nodes_info().iter().any(|n| n.sharder().is_some());
        // The session may be older than the keyspace, and would learn of it a minute later.
        match timeout(settings.timeouts.prepare, session.refresh_metadata()).await {
            Ok(done) => done.map_err(|e| unusable(e.to_string()))?,
            Err(_) => return Err(unusable("no answer in time".to_owned())),
        }
        let preparing = stream::iter(Statement::ALL)
            .map(|statement| session.prepare(statement.text_for(is_scylla).into_owned()))
            .buffered(PREPARED_AT_ONCE)
            .try_collect();
        let plain: Vec<PreparedStatement> =
            match timeout(settings.timeouts.prepare, preparing).await {
                Ok(prepared) => prepared.map_err(|e| unusable(e.to_string()))?,
                Err(_) => return Err(unusable("statements took too long to prepare".to_owned())),
            };
        let flow = &settings.flow;
        let nodes = Arc::new(Nodes::new(flow.node_in_flight));
        let of_home = |home: &String| prepare_for(home, settings, &nodes, &plain);
        let prepared = homes.iter().map(of_home).collect();
        // No more than all nodes together may have under way.
        let known = session.get_cluster_state().get_nodes_info().len().max(1);
        let in_flight = flow
            .in_flight
            .min(flow.node_in_flight.saturating_mul(known));
        Ok(Self {
            session: Arc::new(session),
            settings: settings.clone(),
            nodes,
            queue: Queue::new(in_flight, flow.queue, flow.stream_pages),
            budget: Budget::new(flow.retry_percent),
            samples: Samples::new(flow.trace_one_in),
            homes: homes.to_vec(),
            prepared,
        })
    }

    /// A statement as it is sent for keys of a home.
    pub(crate) fn statement(&self, home: Home, which: Statement) -> Result<&PreparedStatement> {
        let of_home = self.prepared.get(usize::from(home.0));
        let found = of_home.and_then(|all| all.get(which as usize));
        found.ok_or_else(|| StoreError::Corrupt(format!("no home {} is known", home.0)))
    }

    /// The datacenter of a home.
    pub(crate) fn home_name(&self, home: Home) -> Option<&str> {
        self.homes.get(usize::from(home.0)).map(String::as_str)
    }

    /// After how long a statement of a class is sent to a second node while the first is silent:
    /// what may be done twice, and is not read in order.
    pub(crate) fn speculates(&self, class: Class) -> Option<Duration> {
        match class {
            Class::Read | Class::Write => self.settings.flow.speculate_after,
            Class::SerialRead | Class::Condition | Class::Stream => None,
        }
    }

    /// Whether a statement can be sent to more nodes than one.
    pub(crate) fn has_others(&self, home: Home, class: Class) -> bool {
        let state = self.session.get_cluster_state();
        let home = self.home_name(home);
        let may_leave = profile::may_leave_home(class, &self.settings.consistency);
        let is_asked = |at: &Option<String>| may_leave || at.as_deref() == home;
        let nodes = state.get_nodes_info().iter();
        nodes.filter(|node| is_asked(&node.datacenter)).count() > 1
    }

    /// How long a call may take, and how long one attempt of it.
    pub(crate) fn times(&self, class: Class) -> (Duration, Duration) {
        let times = &self.settings.timeouts;
        match class {
            Class::Read | Class::SerialRead => (times.read, times.read / ATTEMPTS),
            Class::Write => (times.write, times.write / ATTEMPTS),
            Class::Condition => (times.condition, times.condition / CONDITION_ATTEMPTS),
            Class::Stream => (times.page, times.page / ATTEMPTS),
        }
    }
}

/// Why no node is in the rack that reads are to prefer; nothing if one is, or none was named. Reads
/// then go to any replica of the datacenter: slower, or dearer, and as right.
pub(crate) fn unknown_rack(session: &Session, settings: &CqlSettings) -> Option<String> {
    let (wanted, local) = (settings.local_rack.as_ref()?, &settings.local_datacenter);
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter();
    let near = nodes.filter(|node| node.datacenter.as_ref() == Some(local));
    let known: BTreeSet<_> = near.filter_map(|node| node.rack.clone()).collect();
    if known.contains(wanted) {
        return None;
    }
    let known: Vec<_> = known.into_iter().collect();
    let known = known.join(", ");
    Some(format!(
        "no node of {local} is in a rack {wanted:?}; the cluster reports {known}"
    ))
}

/// A key whose home does not exist could never be written; say so at once and not at the first.
fn check_datacenters(session: &Session, settings: &CqlSettings, homes: &[String]) -> Result<()> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter();
    let known: BTreeSet<_> = nodes.filter_map(|node| node.datacenter.clone()).collect();
    let local = ("store.cql.local_datacenter", &settings.local_datacenter);
    let homes = homes.iter().map(|home| ("store.cql.layout.homes", home));
    for (key, datacenter) in std::iter::once(local).chain(homes) {
        if !known.contains(datacenter) {
            let known: Vec<_> = known.into_iter().collect();
            return Err(StoreError::Open {
                path: key.to_owned(),
                why: format!(
                    "the cluster has no datacenter {datacenter:?}; it reports {}",
                    known.join(", ")
                ),
            });
        }
    }
    Ok(())
}

fn prepare_for(
    home: &str,
    settings: &CqlSettings,
    nodes: &Arc<Nodes>,
    plain: &[PreparedStatement],
) -> Vec<PreparedStatement> {
    let profiles = Profiles::new(home, settings, nodes);
    let listener = Arc::new(Listener);
    let mut all = Vec::with_capacity(plain.len());
    for (statement, prepared) in Statement::ALL.iter().zip(plain) {
        let mut prepared = prepared.clone();
        let class = statement.class();
        prepared.set_execution_profile_handle(Some(profiles.of(class).clone()));
        prepared.set_is_idempotent(class != Class::Condition);
        prepared.set_history_listener(listener.clone());
        // Columns are always named, so what they are cannot change under us. What a condition
        // answers depends on whether it held.
        prepared.set_use_cached_result_metadata(class != Class::Condition);
        all.push(prepared);
    }
    all
}

fn unreachable(settings: &CqlSettings, why: &str) -> StoreError {
    StoreError::Unavailable {
        doing: format!(
            "reach the cluster at {}",
            settings.contact_points.join(", ")
        ),
        source: std::io::Error::other(why.to_owned()),
    }
}
