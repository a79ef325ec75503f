//! The one door to the driver: what a call may take, what its errors mean, what is counted.

use super::connect::Connected;
use super::home::Home;
use super::statement::Statement;
use crate::Result;
use crate::error::StoreError;
use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::value::Row;
use std::sync::Arc;

/// Rows of one unlogged batch: well under the size at which servers warn.
const BATCH_ROWS_MAX: usize = 64;

/// A row that keeps nothing of the answer's frame.
pub(crate) trait OwnedRow: for<'f, 'm> DeserializeRow<'f, 'm> {}
impl<T> OwnedRow for T where T: for<'f, 'm> DeserializeRow<'f, 'm> {}

/// What a conditional write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cas {
    /// It was written.
    Applied,
    /// The condition did not hold. An earlier attempt of the same call may have been applied all
    /// the same: read the row serially and look for the operation's own id in it.
    Refused,
}

/// Sends statements to the cluster.
#[derive(Debug)]
pub(crate) struct Calls {
    connected: ArcSwap<Connected>,
}

impl Calls {
    pub(crate) fn new(connected: Connected) -> Self {
        Self {
            connected: ArcSwap::from_pointee(connected),
        }
    }

    /// All rows of a short answer.
    pub(crate) async fn rows<R: OwnedRow>(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<Vec<R>> {
        let answer = self.send(statement, home, &values).await?;
        let rows = answer
            .into_rows_result()
            .map_err(|e| strange(statement, &e))?;
        let typed = rows.rows::<R>().map_err(|e| strange(statement, &e))?;
        typed
            .map(|row| row.map_err(|e| strange(statement, &e)))
            .collect()
    }

    /// The only row of an answer, if there is one.
    pub(crate) async fn row<R: OwnedRow>(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<Option<R>> {
        let answer = self.send(statement, home, &values).await?;
        let rows = answer
            .into_rows_result()
            .map_err(|e| strange(statement, &e))?;
        rows.maybe_first_row::<R>()
            .map_err(|e| strange(statement, &e))
    }

    /// A plain write. Its timestamp is among the values, so it is repeated as it stands.
    pub(crate) async fn write(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<()> {
        self.send(statement, home, &values).await.map(drop)
    }

    /// Plain writes of one statement into one partition, as unlogged batches.
    pub(crate) async fn write_all<V: SerializeRow>(
        &self,
        statement: Statement,
        home: Home,
        rows: &[V],
    ) -> Result<()> {
        if let [row] = rows {
            return self.write(statement, home, row).await;
        }
        let connected = self.connected.load_full();
        let prepared = connected.statement(home, statement)?;
        for rows in rows.chunks(BATCH_ROWS_MAX) {
            let mut batch = Batch::new(BatchType::Unlogged);
            batch.set_is_idempotent(true);
            batch.set_execution_profile_handle(prepared.get_execution_profile_handle().cloned());
            for _ in rows {
                batch.append_statement(prepared.clone());
            }
            let sent = connected
                .session
                .batch(&batch, rows.iter().collect::<Vec<_>>());
            sent.await.map_err(|e| failed(statement, &e))?;
        }
        Ok(())
    }

    /// A conditional write. An unknown outcome is settled by repeating the identical statement.
    pub(crate) async fn condition(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<Cas> {
        let answer = self.send(statement, home, &values).await?;
        let rows = answer
            .into_rows_result()
            .map_err(|e| strange(statement, &e))?;
        // Cassandra answers one column if the condition held and more if not, ScyllaDB always all.
        let place = rows
            .column_specs()
            .get_by_name("[applied]")
            .map(|(at, _)| at);
        let row = rows
            .first_row::<Row>()
            .map_err(|e| strange(statement, &e))?;
        let applied = place.and_then(|at| row.columns.get(at)?.as_ref()?.as_boolean());
        match applied {
            Some(true) => Ok(Cas::Applied),
            Some(false) => Ok(Cas::Refused),
            None => Err(strange(statement, &"the answer has no [applied]")),
        }
    }

    /// Rows of a long answer, page by page.
    pub(crate) async fn stream<R: OwnedRow + Send + 'static>(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<BoxStream<'static, Result<R>>> {
        let connected = self.connected.load_full();
        let prepared = connected.statement(home, statement)?.clone();
        let pages = connected.session.execute_iter(prepared, values).await;
        let pages = pages.map_err(|e| strange(statement, &e))?;
        let rows = pages
            .rows_stream::<R>()
            .map_err(|e| strange(statement, &e))?;
        let rows = rows.map(move |row| row.map_err(|e| strange(statement, &e)));
        Ok(rows.boxed())
    }

    async fn send(
        &self,
        statement: Statement,
        home: Home,
        values: &impl SerializeRow,
    ) -> Result<QueryResult> {
        let connected: Arc<Connected> = self.connected.load_full();
        let prepared = connected.statement(home, statement)?;
        let sent = connected.session.execute_unpaged(prepared, values).await;
        sent.map_err(|e| failed(statement, &e))
    }
}

fn failed(statement: Statement, error: &ExecutionError) -> StoreError {
    StoreError::Unavailable {
        doing: format!("run {}", statement.label()),
        source: std::io::Error::other(error.to_string()),
    }
}

fn strange(statement: Statement, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the answer to {}: {error}", statement.label()))
}
