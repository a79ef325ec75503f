//! The one door to the driver: what a call may take, what its errors mean, what is counted.
//!
//! A call enters the queue, is sent, and is sent again as the table in `retry` says, all within its
//! deadline. The driver is asked for one attempt at a time: it knows no pauses, no budget, and not
//! what an unknown outcome is, and second attempts beside the first are cheaper without it.

mod change;
mod course;
mod failure;
mod gauges;
mod history;
mod metrics;
mod nodes;
mod pages;
mod queue;
mod retry;
mod ring;
mod route;
mod sent;
mod speculation;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use self::change::{one_change, rest_of_change};
pub(crate) use self::history::Listener;
pub(crate) use self::metrics::CallMetrics;
pub(crate) use self::nodes::Nodes;
pub(crate) use self::pages::{PageRows, WalkRows};
pub(crate) use self::queue::Queue;
pub(crate) use self::retry::Budget;
pub(crate) use self::route::Route;
pub use self::trace::{Trace, TraceEvent};
pub(crate) use self::trace::{fetch, recording, spawn};

use self::course::Course;
use self::failure::Heard;
use self::gauges::Gauges;
use self::history::History;
use self::sent::{Answer, Rows, Sent, Single};
use self::speculation::Patience;
use super::connect::Connected;
use super::home::Home;
use super::statement::{Class, Statement};
use crate::Result;
use crate::error::StoreError;
use arc_swap::ArcSwap;
use futures_util::stream::BoxStream;
use prometheus::core::Collector;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::Row;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

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
    /// The condition did not hold, and nothing of this call was applied.
    Refused,
    /// The condition does not hold now, and nobody has said what an earlier attempt of the same
    /// call came to. If a serial read finds the operation's own id in the row, it was applied; if
    /// not, it may have been, and overwritten since: then its caller must hear that nobody knows.
    Doubted,
}

/// Sends statements to the cluster.
#[derive(Debug)]
pub(crate) struct Calls {
    door: Arc<Door>,
}

/// What all calls go through; pages that are read ahead hold on to it.
#[derive(Debug)]
struct Door {
    connected: ArcSwap<Connected>,
    metrics: CallMetrics,
}

impl Calls {
    pub(crate) fn new(connected: Connected) -> Self {
        Self {
            door: Arc::new(Door {
                connected: ArcSwap::from_pointee(connected),
                metrics: CallMetrics::new(),
            }),
        }
    }

    /// What new calls are sent through.
    pub(crate) fn connected(&self) -> Arc<Connected> {
        self.door.connected.load_full()
    }

    /// Sends new calls through another session. Calls under way end on the old one, which goes when
    /// the last of them has.
    pub(crate) fn swap(&self, connected: Connected) {
        self.door.connected.store(Arc::new(connected));
    }

    /// What is counted here.
    pub(crate) fn metrics(&self) -> &CallMetrics {
        &self.door.metrics
    }

    /// Every metric, to be registered where metrics are gathered.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let mut all = self.door.metrics.collectors();
        all.push(Box::new(Gauges::new(Arc::downgrade(&self.door))));
        all
    }

    /// All rows of a short answer.
    pub(crate) async fn rows<R: OwnedRow>(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<Vec<R>> {
        let answer = self.door.send(statement, home, &Single(&values)).await?;
        let rows = answer.into_rows(statement)?;
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
        let answer = self.door.send(statement, home, &Single(&values)).await?;
        let rows = answer.into_rows(statement)?;
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
        let sent = Single(&values);
        self.door.send(statement, home, &sent).await.map(drop)
    }

    /// Plain writes of one statement into one partition, as unlogged batches.
    pub(crate) async fn write_all<V: SerializeRow>(
        &self,
        statement: Statement,
        home: Home,
        rows: &[V],
    ) -> Result<()> {
        for rows in rows.chunks(BATCH_ROWS_MAX) {
            match rows {
                [row] => self.door.send(statement, home, &Single(row)).await?,
                rows => self.door.send(statement, home, &Rows(rows)).await?,
            };
        }
        Ok(())
    }

    /// A conditional write. An unknown outcome is settled by repeating the identical statement;
    /// `StoreError::Unsettled` if that did not help within the deadline.
    pub(crate) async fn condition(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<Cas> {
        self.decide(statement, home, &Single(&values)).await
    }

    /// Conditional writes of one statement into one partition, as one batch: all of them are
    /// written or none. Otherwise as [`Self::condition`].
    pub(crate) async fn conditions<V: SerializeRow>(
        &self,
        statement: Statement,
        home: Home,
        rows: &[V],
    ) -> Result<Cas> {
        match rows {
            [row] => self.decide(statement, home, &Single(row)).await,
            rows => self.decide(statement, home, &Rows(rows)).await,
        }
    }

    async fn decide(&self, statement: Statement, home: Home, sent: &impl Sent) -> Result<Cas> {
        let answer = self.door.send(statement, home, sent).await;
        if let Err(StoreError::Unsettled { .. }) = &answer {
            self.door.metrics.unknown(statement);
        }
        let answer = answer?;
        let was_unsettled = answer.was_unsettled;
        let cas = cas(statement, &answer.into_rows(statement)?)?;
        self.door.metrics.decided(statement, cas, was_unsettled);
        Ok(match cas {
            Cas::Refused if was_unsettled => Cas::Doubted,
            cas => cas,
        })
    }

    /// Rows of a long answer, page by page; the next page is fetched while one is being read.
    pub(crate) async fn stream<R: OwnedRow + Send + 'static>(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<BoxStream<'static, Result<R>>> {
        let walk = WalkRows::default();
        self.stream_of(&walk, statement, home, values).await
    }

    /// As [`Self::stream`], of a part of a walk.
    pub(crate) async fn stream_of<R: OwnedRow + Send + 'static>(
        &self,
        walk: &WalkRows,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Result<BoxStream<'static, Result<R>>> {
        let connected = self.connected();
        let prepared = connected.statement(home, statement)?.clone();
        let bound = prepared.bind(&values).map_err(|e| strange(statement, &e))?;
        let door = Arc::clone(&self.door);
        pages::read(door, statement, home, bound, walk.clone()).await
    }
}

/// Cassandra answers one column if the condition held and more if not, ScyllaDB always all.
fn cas(statement: Statement, rows: &QueryRowsResult) -> Result<Cas> {
    let named = rows.column_specs().get_by_name("[applied]");
    let row = rows.first_row::<Row>();
    let row = row.map_err(|e| strange(statement, &e))?;
    let applied = named.and_then(|(at, _)| row.columns.get(at)?.as_ref()?.as_boolean());
    match applied {
        Some(true) => Ok(Cas::Applied),
        Some(false) => Ok(Cas::Refused),
        None => Err(strange(statement, &"the answer has no [applied]")),
    }
}

impl Door {
    /// Sends a statement until it is answered, or as often as makes sense.
    ///
    /// Boxed, and all that it takes in one box, the driver's kilobytes too: a call lies deep in
    /// what needs it, and every future around it is moved about whole until it runs.
    fn send<'a>(
        &'a self,
        statement: Statement,
        home: Home,
        sent: &'a impl Sent,
    ) -> Pin<Box<impl Future<Output = Result<Answer>>>> {
        Box::pin(history::recorded(self.rounds(statement, home, sent)))
    }

    async fn rounds(&self, statement: Statement, home: Home, sent: &impl Sent) -> Result<Answer> {
        let connected = self.connected.load_full();
        let mut now = Instant::now();
        let began = now;
        let (whole, share) = connected.times(statement.class());
        let mut deadline = began + whole;
        let place = match statement.class() {
            Class::Stream => connected.queue.enter_page().await,
            _ if statement.is_vital() => connected.queue.enter_vital(deadline).await,
            _ if change::has_begun() => connected.queue.enter_begun(deadline).await,
            _ => connected.queue.enter(deadline).await,
        };
        let _place = place.inspect_err(|_| self.metrics.turned_away(statement))?;
        match statement.class() {
            Class::Stream => {
                now = Instant::now();
                deadline = now + whole;
            }
            Class::Write | Class::Condition => change::writes(),
            Class::Read | Class::SerialRead => {}
        }
        connected.budget.earn();
        let prepared = connected.statement(home, statement)?;
        let traced = trace::wanted(&connected).then(|| trace::switched_on(prepared));
        let prepared = traced.as_ref().unwrap_or(prepared);
        let mut course = Course::new(statement, home, deadline);
        loop {
            let patience = Patience {
                second: connected
                    .speculates(statement.class())
                    .map(|after| now + after),
                until: deadline.min(now + share),
            };
            let heard = match self
                .round(&connected, prepared, &mut course, sent, patience)
                .await
            {
                Ok(mut answer) => {
                    answer.was_unsettled = course.is_unsettled();
                    self.answered(&connected, statement, home, &answer, began);
                    return Ok(answer);
                }
                Err(heard) => heard,
            };
            self.metrics.failed(statement, heard.failure);
            match course.next(&heard, &connected.budget) {
                Ok(pause) => {
                    tracing::debug!(statement = statement.label(), %heard, ?pause, "once more");
                    self.metrics.repeated(statement);
                    sleep(pause).await;
                    now = Instant::now();
                }
                Err(error) => {
                    let outcome = course.outcome(&heard);
                    self.metrics.ended(statement, outcome, began.elapsed());
                    return Err(error);
                }
            }
        }
    }

    /// One call to the driver, with everything that it did.
    async fn round(
        &self,
        connected: &Connected,
        prepared: &PreparedStatement,
        course: &mut Course,
        sent: &impl Sent,
        patience: Patience,
    ) -> std::result::Result<Answer, Heard> {
        let nodes = Arc::clone(&connected.nodes);
        history::begin(History::new(nodes, course.take_shun()));
        let (home, class) = (course.home(), course.statement().class());
        let sending = speculation::attempt(
            || sent.send(&connected.session, prepared),
            || connected.has_others(home, class),
            patience,
        );
        let answer = sending.await;
        let Some(mut history) = history::take() else {
            return Err(Heard::lost());
        };
        self.metrics.round(course.statement(), history.tally());
        let heard = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => history.failure().unwrap_or_else(|| Heard::call(&error)),
            None => {
                history.give_up();
                // Who never got to send anything has not been kept waiting for an answer.
                history.failure().unwrap_or_else(Heard::unsent)
            }
        };
        course.learn(history.into_shun(), &heard);
        Err(heard)
    }

    fn answered(
        &self,
        connected: &Connected,
        statement: Statement,
        home: Home,
        answer: &Answer,
        began: Instant,
    ) {
        let took = began.elapsed();
        self.metrics.answered(statement, took);
        if connected.settings.consistency.remote_reads {
            let node = answer.result.request_coordinator().node();
            if node.datacenter.as_deref() != connected.home_name(home) {
                self.metrics.remote_read();
            }
        }
        if let Some(id) = answer.result.tracing_id() {
            trace::answered(connected, statement, id, took);
        }
    }
}

fn strange(statement: Statement, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the answer to {}: {error}", statement.label()))
}
