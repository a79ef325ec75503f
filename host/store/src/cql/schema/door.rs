//! How the schema's few statements reach the cluster: each with a deadline, and all that change
//! tables through one node.

use super::super::calls::OwnedRow;
use super::SchemaError;
use scylla::client::session::Session;
use scylla::policies::load_balancing::{
    LoadBalancingPolicy, NodeIdentifier, SingleTargetLoadBalancingPolicy,
};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::Row;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often a read is tried before its failure counts.
const READ_ATTEMPTS: u32 = 5;

/// How often a conditional write is sent before its outcome stays unknown.
const CONDITION_ATTEMPTS: u32 = 5;

/// The wait after the first failure of either; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Asks for agreement this often. A node that was away a moment needs longer than one deadline.
const AGREEMENT_ATTEMPTS: u32 = 3;

/// The way to the cluster.
#[derive(Debug)]
pub(super) struct Door<'s> {
    session: &'s Session,
    /// The node that all changes go through, and that tells what there is. Nodes of Cassandra
    /// change their schema one by one and merge, so that two changes through one node are in order
    /// and two through two are not. All processes that see the same nodes take the same one.
    node: Option<Arc<dyn LoadBalancingPolicy>>,
    /// For one statement, whatever it is.
    limit: Duration,
}

impl<'s> Door<'s> {
    pub(super) fn new(session: &'s Session, limit: Duration) -> Self {
        let cluster = session.get_cluster_state();
        let connected = cluster
            .get_nodes_info()
            .iter()
            .filter(|node| node.is_connected());
        let node = connected.map(|node| node.host_id).min();
        Self {
            session,
            node: node
                .map(|id| SingleTargetLoadBalancingPolicy::new(NodeIdentifier::HostId(id), None)),
            limit,
        }
    }

    /// What this node says of itself and of the schema, at once and without asking others.
    pub(super) async fn own<R: OwnedRow>(
        &self,
        doing: &str,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, SchemaError> {
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::LocalOne);
        statement.set_load_balancing_policy(self.node.clone());
        self.rows(doing, statement, &values, SchemaError::may_pass)
            .await
    }

    /// Reads of our own tables what a majority here has.
    pub(super) async fn read<R: OwnedRow>(
        &self,
        doing: &str,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, SchemaError> {
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::LocalQuorum);
        self.rows(doing, statement, &values, may_pass_for_ours)
            .await
    }

    /// Reads a partition of ours and finishes what a conditional write has begun in it.
    pub(super) async fn read_serially<R: OwnedRow>(
        &self,
        doing: &str,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, SchemaError> {
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::Serial);
        self.rows(doing, statement, &values, may_pass_for_ours)
            .await
    }

    /// Writes if a condition holds, and answers whether it did. Every datacenter has the write when
    /// this answers, so that each can read it by itself. An outcome that is not known is settled by
    /// sending the same again: `false` may therefore mean that an earlier sending was the one.
    pub(super) async fn condition(
        &self,
        doing: &str,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<bool, SchemaError> {
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::EachQuorum);
        statement.set_serial_consistency(Some(SerialConsistency::Serial));
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            match self.send(doing, &statement, &values).await {
                Ok(answer) => return applied(doing, answer),
                Err(error) if attempt < CONDITION_ATTEMPTS && may_pass_for_ours(&error) => {
                    tracing::debug!(doing, %error, "sent once more");
                }
                Err(error) => return Err(error),
            }
            sleep(wait).await;
            wait *= 2;
            attempt += 1;
        }
    }

    /// Changes the schema. Not repeated: who asks looks at what there is, and asks again.
    pub(super) async fn define(&self, doing: &str, text: &str) -> Result<(), SchemaError> {
        let mut statement = Statement::new(text);
        statement.set_load_balancing_policy(self.node.clone());
        self.send(doing, &statement, &()).await.map(drop)
    }

    /// Waits until all nodes that are up have the same schema.
    pub(super) async fn agree(&self) -> Result<(), SchemaError> {
        let mut attempt = 1;
        loop {
            let error = match timeout(self.limit, self.session.await_schema_agreement()).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => SchemaError::Disagreement {
                    source: Box::new(error),
                },
                Err(_) => self.silent("agree on one schema"),
            };
            if attempt == AGREEMENT_ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, "waiting for the nodes to agree on one schema");
            sleep(FIRST_WAIT).await;
            attempt += 1;
        }
    }

    /// Lets the driver learn of a keyspace that was just made, for it routes by its replication.
    pub(super) async fn learn(&self) {
        let learned = timeout(self.limit, self.session.refresh_metadata()).await;
        if !matches!(learned, Ok(Ok(()))) {
            tracing::debug!("the driver learns of the keyspace later, by itself");
        }
    }

    async fn rows<R: OwnedRow>(
        &self,
        doing: &str,
        mut statement: Statement,
        values: &impl SerializeRow,
        may_pass: fn(&SchemaError) -> bool,
    ) -> Result<Vec<R>, SchemaError> {
        statement.set_is_idempotent(true);
        let odd = |why: String| SchemaError::Odd {
            doing: doing.to_owned(),
            why,
        };
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        let answer = loop {
            match self.send(doing, &statement, values).await {
                Ok(answer) => break answer,
                Err(error) if attempt < READ_ATTEMPTS && may_pass(&error) => (),
                Err(error) => return Err(error),
            }
            sleep(wait).await;
            wait *= 2;
            attempt += 1;
        };
        let rows = answer.into_rows_result().map_err(|e| odd(e.to_string()))?;
        let rows = rows.rows::<R>().map_err(|e| odd(e.to_string()))?;
        rows.map(|row| row.map_err(|e| odd(e.to_string())))
            .collect()
    }

    /// Preparing has no deadline in the driver, so the whole call gets one.
    async fn send(
        &self,
        doing: &str,
        statement: &Statement,
        values: &impl SerializeRow,
    ) -> Result<QueryResult, SchemaError> {
        let mut statement = statement.clone();
        statement.set_request_timeout(Some(self.limit));
        statement.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy::new())));
        match timeout(self.limit, self.session.query_unpaged(statement, values)).await {
            Ok(answer) => answer.map_err(|source| SchemaError::Refused {
                doing: doing.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(self.silent(doing)),
        }
    }

    fn silent(&self, doing: &str) -> SchemaError {
        SchemaError::Silent {
            doing: doing.to_owned(),
            limit: self.limit,
        }
    }
}

/// A node tells of a table that another process makes a moment before it can be used.
fn may_pass_for_ours(error: &SchemaError) -> bool {
    error.may_pass() || error.is_unknown_name()
}

/// The column `[applied]`: beside it Cassandra answers the row only where the condition did not
/// hold, ScyllaDB always.
fn applied(doing: &str, answer: QueryResult) -> Result<bool, SchemaError> {
    let odd = |why: String| SchemaError::Odd {
        doing: doing.to_owned(),
        why,
    };
    let rows = answer.into_rows_result().map_err(|e| odd(e.to_string()))?;
    let at = rows
        .column_specs()
        .get_by_name("[applied]")
        .map(|(at, _)| at);
    let row = rows.first_row::<Row>().map_err(|e| odd(e.to_string()))?;
    let applied = at.and_then(|at| row.columns.get(at)?.as_ref()?.as_boolean());
    applied.ok_or_else(|| odd("it has no column [applied]".to_owned()))
}
