//! The ways in which a statement is sent.

use super::strange;
use crate::Result;
use crate::cql::statement::Statement;
use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::bound::BoundStatement;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// Something that can be sent, and sent again just as it is.
pub(crate) trait Sent {
    /// Sends it once.
    async fn send(
        &self,
        session: &Session,
        prepared: &PreparedStatement,
    ) -> std::result::Result<Answer, ExecutionError>;
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: QueryResult,
    /// Where the next page begins, if pages were asked for.
    pub(crate) next: PagingStateResponse,
    /// An earlier attempt was not answered and may have been applied.
    pub(crate) was_unsettled: bool,
}

impl Answer {
    fn whole(result: QueryResult) -> Self {
        Self {
            result,
            next: PagingStateResponse::NoMorePages,
            was_unsettled: false,
        }
    }

    pub(crate) fn into_rows(self, statement: Statement) -> Result<QueryRowsResult> {
        let rows = self.result.into_rows_result();
        rows.map_err(|e| strange(statement, &e))
    }
}

/// A statement with its values.
pub(crate) struct Single<'a, V>(pub(crate) &'a V);

impl<V: SerializeRow> Sent for Single<'_, V> {
    async fn send(
        &self,
        session: &Session,
        prepared: &PreparedStatement,
    ) -> std::result::Result<Answer, ExecutionError> {
        let answer = session.execute_unpaged(prepared, self.0).await;
        answer.map(Answer::whole)
    }
}

/// A statement with many rows of values, for one partition.
pub(crate) struct Rows<'a, V>(pub(crate) &'a [V]);

impl<V: SerializeRow> Sent for Rows<'_, V> {
    async fn send(
        &self,
        session: &Session,
        prepared: &PreparedStatement,
    ) -> std::result::Result<Answer, ExecutionError> {
        debug_assert!(
            is_one_partition(prepared, self.0),
            "an unlogged batch over partitions is written by halves"
        );
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(prepared.get_is_idempotent());
        batch.set_execution_profile_handle(prepared.get_execution_profile_handle().cloned());
        batch.set_tracing(prepared.get_tracing());
        batch.set_history_listener(Arc::new(super::Listener));
        for _ in self.0 {
            batch.append_statement(prepared.clone());
        }
        let rows: Vec<_> = self.0.iter().collect();
        session.batch(&batch, rows).await.map(Answer::whole)
    }
}

/// Whether all rows lie at one place of the ring.
fn is_one_partition(prepared: &PreparedStatement, rows: &[impl SerializeRow]) -> bool {
    let place = |row| prepared.calculate_token(row).ok().flatten();
    let mut places = rows.iter().map(place);
    let first = places.next().flatten();
    first.is_some() && places.all(|place| place == first)
}

/// One page of a statement that is already bound.
pub(crate) struct Page<'a> {
    pub(crate) bound: &'a BoundStatement,
    pub(crate) from: PagingState,
}

impl Sent for Page<'_> {
    async fn send(
        &self,
        session: &Session,
        _prepared: &PreparedStatement,
    ) -> std::result::Result<Answer, ExecutionError> {
        let page = session.execute_bound_single_page(self.bound, self.from.clone());
        let (result, next) = page.await?;
        Ok(Answer {
            result,
            next,
            was_unsettled: false,
        })
    }
}
