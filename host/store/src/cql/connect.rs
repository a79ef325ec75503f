//! The session with the cluster: how it is made, and every statement prepared on it.

use super::home::Home;
use super::settings::{CqlSettings, Level, Serial};
use super::statement::{Class, Statement};
use crate::Result;
use crate::error::StoreError;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use std::sync::Arc;
use tokio::time::timeout;

/// A session with everything prepared for each home datacenter.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) session: Session,
    /// By home, then by [`Statement`] in the order of its declaration.
    prepared: Vec<Vec<PreparedStatement>>,
}

/// Logs in. The keyspace need not exist yet.
pub(crate) async fn session(settings: &CqlSettings) -> Result<Session> {
    let times = &settings.timeouts;
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .prefer_datacenter(settings.local_datacenter.clone())
        .connection_timeout(times.connect)
        .keepalive_interval(times.keepalive)
        .keepalive_timeout(times.keepalive)
        .schema_agreement_timeout(times.schema)
        // The schema's runner waits for agreement itself, once a migration.
        .auto_await_schema_agreement(false)
        .fetch_schema_metadata(false)
        .driver_config_reporting(false);
    if let Some(login) = &settings.login {
        builder = builder.user(&login.username, &login.password);
    }
    match timeout(times.session, builder.build()).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(unreachable(settings, &error.to_string())),
        Err(_) => Err(unreachable(settings, "no answer in time")),
    }
}

impl Connected {
    /// Enters the keyspace and prepares every statement for every home.
    pub(crate) async fn prepare(
        session: Session,
        settings: &CqlSettings,
        homes: &[String],
    ) -> Result<Self> {
        let unusable = |error: String| unreachable(settings, &error);
        let keyspace = session.use_keyspace(&settings.keyspace, true);
        match timeout(settings.timeouts.prepare, keyspace).await {
            Ok(done) => done.map_err(|e| unusable(e.to_string()))?,
            Err(_) => return Err(unusable("no answer in time".to_owned())),
        }
        let mut plain = Vec::with_capacity(Statement::ALL.len());
        for statement in Statement::ALL {
            let preparing = session.prepare(statement.text());
            let prepared = match timeout(settings.timeouts.prepare, preparing).await {
                Ok(prepared) => prepared.map_err(|e| unusable(e.to_string()))?,
                Err(_) => return Err(unusable("no answer in time".to_owned())),
            };
            plain.push((*statement, prepared));
        }
        let prepared = homes
            .iter()
            .map(|home| prepare_for(home, settings, &plain))
            .collect();
        Ok(Self { session, prepared })
    }

    /// A statement as it is sent for keys of a home.
    pub(crate) fn statement(&self, home: Home, which: Statement) -> Result<&PreparedStatement> {
        let of_home = self.prepared.get(usize::from(home.0));
        let found = of_home.and_then(|all| all.get(which as usize));
        found.ok_or_else(|| StoreError::Corrupt(format!("no home {} is known", home.0)))
    }
}

fn prepare_for(
    home: &str,
    settings: &CqlSettings,
    plain: &[(Statement, PreparedStatement)],
) -> Vec<PreparedStatement> {
    let of_class = |class| profile(home, settings, class).into_handle();
    let read = of_class(Class::Read);
    let serial = of_class(Class::SerialRead);
    let write = of_class(Class::Write);
    let condition = of_class(Class::Condition);
    let stream = of_class(Class::Stream);
    let mut all = Vec::with_capacity(plain.len());
    for (statement, prepared) in plain {
        let mut prepared = prepared.clone();
        let handle = match statement.class() {
            Class::Read => &read,
            Class::SerialRead => &serial,
            Class::Write => &write,
            Class::Condition => &condition,
            Class::Stream => &stream,
        };
        prepared.set_execution_profile_handle(Some(handle.clone()));
        prepared.set_is_idempotent(statement.class() != Class::Condition);
        all.push(prepared);
    }
    all
}

fn profile(home: &str, settings: &CqlSettings, class: Class) -> ExecutionProfile {
    let levels = &settings.consistency;
    let times = &settings.timeouts;
    let (level, time) = match class {
        Class::Read | Class::SerialRead => (levels.read, times.read),
        Class::Write => (levels.write, times.write),
        Class::Condition => (levels.write, times.condition),
        Class::Stream => (levels.stream, times.page),
    };
    let reads = matches!(class, Class::Read | Class::Stream);
    let policy = DefaultPolicy::builder()
        .prefer_datacenter(home.to_owned())
        .token_aware(true)
        .permit_dc_failover(reads && levels.remote_reads)
        .build();
    let consistency = match class {
        Class::SerialRead => serial_as_plain(levels.serial),
        _ => plain_level(level),
    };
    let mut profile = ExecutionProfile::builder()
        .consistency(consistency)
        .serial_consistency(Some(serial_level(levels.serial)))
        .request_timeout(Some(time))
        .load_balancing_policy(policy)
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()));
    if let (Class::Read | Class::Write, Some(after)) = (class, settings.flow.speculate_after) {
        let policy = SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: after,
        };
        profile = profile.speculative_execution_policy(Some(Arc::new(policy)));
    }
    profile.build()
}

const fn plain_level(level: Level) -> Consistency {
    match level {
        Level::LocalOne => Consistency::LocalOne,
        Level::LocalQuorum => Consistency::LocalQuorum,
        Level::Quorum => Consistency::Quorum,
    }
}

const fn serial_as_plain(serial: Serial) -> Consistency {
    match serial {
        Serial::Local => Consistency::LocalSerial,
        Serial::Global => Consistency::Serial,
    }
}

const fn serial_level(serial: Serial) -> SerialConsistency {
    match serial {
        Serial::Local => SerialConsistency::LocalSerial,
        Serial::Global => SerialConsistency::Serial,
    }
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
