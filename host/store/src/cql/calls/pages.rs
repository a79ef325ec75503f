//! Long answers: one page is read while the next one is on its way.

use super::sent::{Answer, Page};
use super::{Door, OwnedRow, strange};
use crate::Result;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, try_unfold};
use scylla::response::PagingState;
use scylla::statement::bound::BoundStatement;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Where one stream has got to.
struct Reading<R> {
    door: Arc<Door>,
    statement: Statement,
    home: Home,
    bound: Arc<BoundStatement>,
    rows: std::vec::IntoIter<R>,
    /// The page that is on its way: none or one. Dropped, it is called off.
    ahead: JoinSet<Result<Answer>>,
}

/// Reads the first page, and answers with a stream of that and all others.
pub(super) async fn read<R: OwnedRow + Send + 'static>(
    door: Arc<Door>,
    statement: Statement,
    home: Home,
    bound: BoundStatement,
) -> Result<BoxStream<'static, Result<R>>> {
    let mut reading = Reading {
        door,
        statement,
        home,
        bound: Arc::new(bound),
        rows: Vec::new().into_iter(),
        ahead: JoinSet::new(),
    };
    reading.ask(PagingState::start());
    reading.arrive().await?;
    let stream = try_unfold(reading, |mut reading| async move {
        loop {
            if let Some(row) = reading.rows.next() {
                return Ok(Some((row, reading)));
            }
            if !reading.arrive().await? {
                return Ok(None);
            }
        }
    });
    Ok(stream.boxed())
}

impl<R: OwnedRow> Reading<R> {
    fn ask(&mut self, from: PagingState) {
        let (door, bound) = (Arc::clone(&self.door), Arc::clone(&self.bound));
        let (statement, home) = (self.statement, self.home);
        self.ahead.spawn(async move {
            let page = Page {
                bound: &bound,
                from,
            };
            door.send(statement, home, &page).await
        });
    }

    /// Waits for the page that is on its way; `false` if there is none.
    async fn arrive(&mut self) -> Result<bool> {
        let Some(page) = self.ahead.join_next().await else {
            return Ok(false);
        };
        let page = page.map_err(|e| strange(self.statement, &e))??;
        if let ControlFlow::Continue(from) = page.next.clone().into_paging_control_flow() {
            self.ask(from);
        }
        let rows = page.into_rows(self.statement)?;
        self.door.metrics.page(self.statement, rows.rows_num());
        let typed = rows.rows::<R>().map_err(|e| strange(self.statement, &e))?;
        let typed = typed.map(|row| row.map_err(|e| strange(self.statement, &e)));
        self.rows = typed.collect::<Result<Vec<_>>>()?.into_iter();
        Ok(true)
    }
}
