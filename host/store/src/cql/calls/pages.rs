//! Long answers: one page is read while the next one is on its way.

use super::sent::{Answer, Page};
use super::{Door, OwnedRow, strange};
use crate::Result;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, try_unfold};
use parking_lot::Mutex;
use scylla::response::PagingState;
use scylla::statement::bound::BoundStatement;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Bytes that a page is to have: ScyllaDB ends one at 1 MiB by itself, Cassandra at a number of
/// rows alone, and of pins each may have 10 MiB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Rows of a page at most, however small they are.
const PAGE_ROWS_MAX: usize = 5_000;

/// How many more rows may be asked for than have come before.
const GROWTH: usize = 8;

/// How many rows to ask for.
///
/// Nobody tells how large rows are before they come. But they lie in the order of a hash, so those
/// that have come tell what the next will be like: a walk begins with a few and asks for more as
/// long as they fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRows(usize);

impl PageRows {
    /// So few that those of 10 MiB can be held too.
    pub(crate) const FIRST: Self = Self(4);

    pub(crate) const fn count(self) -> usize {
        self.0
    }

    /// How many after a page of so many rows and bytes. What it had not tells nothing: only rows
    /// that have come are a reason to ask for more.
    pub(crate) fn after(self, rows: usize, bytes: usize) -> Self {
        let most = rows.saturating_mul(GROWTH).max(self.0).min(PAGE_ROWS_MAX);
        let fitting = PAGE_BYTES.saturating_mul(rows.max(1)) / bytes.max(1);
        Self(fitting.clamp(1, most))
    }
}

/// How many rows to ask for in any of the streams that are parts of one walk: what one has seen,
/// the next one knows.
#[derive(Debug, Clone)]
pub(crate) struct WalkRows(Arc<Mutex<PageRows>>);

impl Default for WalkRows {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(PageRows::FIRST)))
    }
}

impl WalkRows {
    fn now(&self) -> PageRows {
        *self.0.lock()
    }

    fn came(&self, rows: usize, bytes: usize) {
        let mut now = self.0.lock();
        *now = now.after(rows, bytes);
    }
}

/// Where one stream has got to.
struct Reading<R> {
    door: Arc<Door>,
    statement: Statement,
    home: Home,
    bound: BoundStatement,
    most: WalkRows,
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
    most: WalkRows,
) -> Result<BoxStream<'static, Result<R>>> {
    let mut reading = Reading {
        door,
        statement,
        home,
        bound,
        most,
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
        let (door, mut bound) = (Arc::clone(&self.door), self.bound.clone());
        let (statement, home) = (self.statement, self.home);
        bound.set_page_size(i32::try_from(self.most.now().count()).unwrap_or(i32::MAX));
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
        let next = page.next.clone().into_paging_control_flow();
        let rows = page.into_rows(self.statement)?;
        self.most.came(rows.rows_num(), rows.rows_bytes_size());
        if let ControlFlow::Continue(from) = next {
            self.ask(from);
        }
        self.door.metrics.page(self.statement, rows.rows_num());
        let typed = rows.rows::<R>().map_err(|e| strange(self.statement, &e))?;
        let typed = typed.map(|row| row.map_err(|e| strange(self.statement, &e)));
        self.rows = typed.collect::<Result<Vec<_>>>()?.into_iter();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_large_rows_have_few_of_them() {
        const MIB: usize = 1024 * 1024;
        let mut most = PageRows::FIRST;
        let mut asked = Vec::new();
        for _ in 0..6 {
            asked.push(most.count());
            most = most.after(most.count(), most.count() * 300);
        }
        assert_eq!(asked, [4, 32, 256, 2_048, 5_000, 5_000]);
        most = most.after(5_000, 5_000 * 10 * MIB);
        assert_eq!(most.count(), 1);
        most = most.after(1, MIB);
        assert_eq!(most.count(), 4);
        // Of what has no rows nothing is known, and of what has few not much.
        assert_eq!(most.after(0, 0).count(), 4);
        assert_eq!(most.after(1, 300).count(), 8);
    }
}
