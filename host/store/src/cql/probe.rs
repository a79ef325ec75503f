//! A look at a cluster without opening a store in it: for `holdfast doctor`, and for what
//! production asks of a cluster before it trusts it with anything.

use super::connect;
use super::settings::CqlSettings;
use crate::Result;
use crate::error::StoreError;
use holdfast_model::UnixMillis;
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use scylla::value::{CqlTimestamp, CqlValue, Row};
use std::collections::BTreeMap;
use std::future::Future;
use tokio::time::timeout;

/// A login to a cluster, to look around.
#[derive(Debug)]
pub struct Probe {
    session: Session,
    settings: CqlSettings,
}

/// A node, as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenNode {
    /// Its datacenter, by name.
    pub datacenter: String,
    /// Where it listens.
    pub address: String,
    /// Its rack, by name.
    pub rack: String,
    /// Whether it could be connected to.
    pub is_connected: bool,
}

/// Whom the cluster takes us for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenRole {
    /// The cluster asks nobody who they are.
    Nobody,
    /// A role.
    Known {
        /// Its name.
        name: String,
        /// Whether it, or a role that it was granted, may do everything.
        is_superuser: bool,
    },
}

impl Probe {
    /// Logs in.
    ///
    /// # Errors
    /// A cluster that cannot be reached, or a login that is refused.
    pub async fn open(settings: CqlSettings) -> Result<Self> {
        let session = connect::session(&settings).await?;
        Ok(Self { session, settings })
    }

    /// The nodes, by datacenter.
    #[must_use]
    pub fn nodes(&self) -> Vec<SeenNode> {
        let cluster = self.session.get_cluster_state();
        let one = |node: &std::sync::Arc<scylla::cluster::Node>| SeenNode {
            datacenter: node.datacenter.clone().unwrap_or_default(),
            address: node.address.to_string(),
            rack: node.rack.clone().unwrap_or_default(),
            is_connected: node.is_connected(),
        };
        let mut nodes: Vec<_> = cluster.get_nodes_info().iter().map(one).collect();
        nodes.sort();
        nodes
    }

    /// Why no node is in `store.cql.local_rack`; nothing if one is, or none is set.
    #[must_use]
    pub fn unknown_rack(&self) -> Option<String> {
        connect::unknown_rack(&self.session, &self.settings)
    }

    /// The keyspace's replicas by datacenter; nothing if there is no such keyspace.
    ///
    /// # Errors
    /// No answer, or one that cannot be read.
    pub async fn replication(&self) -> Result<Option<BTreeMap<String, u16>>> {
        let query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let asked = self
            .session
            .query_unpaged(query, (&self.settings.keyspace,));
        let rows = self.ask("read the keyspace's replication", asked).await?;
        let row = rows.maybe_first_row::<(BTreeMap<String, String>,)>();
        let row = row.map_err(|e| odd("system_schema.keyspaces", &e))?;
        let count = |(name, text): (String, String)| {
            // Transient replicas are written as 3/1; only the first are whole.
            let whole = text.split('/').next().unwrap_or_default().parse().ok()?;
            (name != "class").then_some((name, whole))
        };
        Ok(row.map(|(options,)| options.into_iter().filter_map(count).collect()))
    }

    /// Whether the keyspace's writes go through the nodes' commit logs (`durable_writes`), so that
    /// a node that dies keeps them. So they will where there is no keyspace yet.
    ///
    /// # Errors
    /// No answer, or one that cannot be read.
    pub async fn logs_writes(&self) -> Result<bool> {
        let query = "SELECT durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let asked = self
            .session
            .query_unpaged(query, (&self.settings.keyspace,));
        let rows = self.ask("read how the keyspace is written", asked);
        let row = rows.await?.maybe_first_row::<(bool,)>();
        let row = row.map_err(|e| odd("system_schema.keyspaces", &e))?;
        Ok(row.is_none_or(|(logs,)| logs))
    }

    /// Whom the cluster takes us for.
    ///
    /// # Errors
    /// No answer, or one that cannot be read.
    pub async fn role(&self) -> Result<SeenRole> {
        let Some(login) = &self.settings.login else {
            return Ok(SeenRole::Nobody);
        };
        let name = login.username.replace('"', "\"\"");
        let query = format!("LIST ROLES OF \"{name}\"");
        let rows = match self.session.query_unpaged(query, ()).await {
            // "You have to be logged in and not anonymous": nobody is asked who they are.
            Err(error) if is_unauthorized(&error) => return Ok(SeenRole::Nobody),
            answer => self.ask("list the role", async { answer }).await?,
        };
        let place = rows.column_specs().get_by_name("super").map(|(at, _)| at);
        let typed = rows.rows::<Row>().map_err(|e| odd("LIST ROLES", &e))?;
        let mut is_superuser = false;
        for row in typed {
            let row = row.map_err(|e| odd("LIST ROLES", &e))?;
            let cell = place.and_then(|at| row.columns.get(at)?.as_ref());
            is_superuser |= cell.and_then(CqlValue::as_boolean).unwrap_or(false);
        }
        Ok(SeenRole::Known {
            name: login.username.clone(),
            is_superuser,
        })
    }

    /// What a node's clock shows.
    ///
    /// # Errors
    /// No answer, or one that cannot be read.
    pub async fn time(&self) -> Result<UnixMillis> {
        let query = "SELECT toTimestamp(now()) FROM system.local WHERE key = 'local'";
        let asked = self.session.query_unpaged(query, ());
        let rows = self.ask("ask for the time", asked).await?;
        let row = rows.first_row::<(CqlTimestamp,)>();
        let (CqlTimestamp(millis),) = row.map_err(|e| odd("toTimestamp(now())", &e))?;
        Ok(UnixMillis::new(u64::try_from(millis).unwrap_or(0)))
    }

    /// Goes through one round of a conditional write without writing anything: a serial read.
    ///
    /// # Errors
    /// Replicas that do not answer, or rights that are missing.
    pub async fn serial_read(&self) -> Result<()> {
        let keyspace = &self.settings.keyspace;
        let query = format!("SELECT value FROM \"{keyspace}\".store_params WHERE name = 'probe'");
        let mut statement = Statement::new(query);
        statement.set_consistency(match self.settings.consistency.serial {
            super::Serial::Local => Consistency::LocalSerial,
            super::Serial::Global => Consistency::Serial,
        });
        let asked = self.session.query_unpaged(statement, ());
        self.ask("read serially", asked).await.map(drop)
    }

    async fn ask(
        &self,
        doing: &str,
        asked: impl Future<
            Output = std::result::Result<
                scylla::response::query_result::QueryResult,
                ExecutionError,
            >,
        >,
    ) -> Result<QueryRowsResult> {
        let failed = |why: String| StoreError::Unavailable {
            doing: doing.to_owned(),
            source: std::io::Error::other(why),
        };
        let limit = self.settings.timeouts.condition;
        let answer = timeout(limit, asked).await;
        let answer = answer.map_err(|_| failed(format!("no answer in {limit:?}")))?;
        let answer = answer.map_err(|e| failed(e.to_string()))?;
        answer.into_rows_result().map_err(|e| odd(doing, &e))
    }
}

fn is_unauthorized(error: &ExecutionError) -> bool {
    let ExecutionError::LastAttemptError(RequestAttemptError::DbError(kind, _)) = error else {
        return false;
    };
    *kind == DbError::Unauthorized
}

fn odd(what: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the answer to {what}: {error}"))
}
