//! The change feed: entries in the order of time, written ahead of the changes that they announce.
//!
//! Whoever changes pins takes a [`Ticket`] first. Its entry is in the feed when the ticket is
//! handed out, but nobody reads past it before the ticket is done ([`super::writers`] says how the
//! others know): so a change that was made has its entry, whatever happens in between, and an entry
//! that is read has its change. A process that dies between the two costs a needless look at a pin.

mod follow;
mod metrics;
mod page;
mod tail;
mod ticket;
mod trim;

pub(crate) use ticket::Ticket;

use super::cache::PinCache;
use super::calls::Calls;
use super::clock::Clock;
use super::home::{Home, Params};
use super::statement::Statement;
use super::writers::{Row, Standing, Timing, Told};
use crate::Result;
use crate::error::StoreError;
use holdfast_model::{Cid, Cursor};
use metrics::FeedMetrics;
use parking_lot::Mutex;
use prometheus::core::Collector;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tail::Tail;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

/// The whole feed lives in the first home: a reader needs all of it, so spreading it would only
/// make it depend on every datacenter.
const HOME: Home = Home(0);

/// The one partition of the tables that have few rows.
const ZERO: i8 = 0;

/// A slot of the feed is 2^29 microseconds, nine minutes: at 10,000 changes a second and four
/// shards a partition has 1.3 million entries, some 60 MB.
const SLOT_BITS: u32 = 29;

/// How long an announcement waits for the cluster to hear this process again.
const STANDING_WAIT: Duration = Duration::from_secs(5);

/// The feed, as this process writes and reads it.
#[derive(Debug)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What bounds the feed.
#[derive(Debug)]
pub(crate) struct Ends {
    /// Entries up to this have been forgotten.
    pub(crate) floor: u64,
    /// Slots that may have entries.
    pub(crate) slots: BTreeSet<u64>,
}

#[derive(Debug)]
struct Shared {
    calls: Arc<Calls>,
    clock: Arc<Clock>,
    shards: u16,
    timing: Timing,
    standing: Mutex<Standing>,
    /// Held during a beat; whether they have ended for good.
    beats_ended: AsyncMutex<bool>,
    /// Whether nobody here announces anything any more.
    is_closed: AtomicBool,
    /// Beats that were heard: for who waits for the next one.
    heard: watch::Sender<u64>,
    /// Slots below this have been noted by this process as having entries.
    slot_noted: Mutex<Option<u64>>,
    tail: AsyncMutex<Tail>,
    news: Notify,
    head: watch::Sender<Cursor>,
    /// What must forget the pins that others change.
    cache: Arc<PinCache>,
    metrics: FeedMetrics,
}

impl Feed {
    /// Joins the writers and finds the feed's end.
    pub(crate) async fn open(
        calls: Arc<Calls>,
        clock: Arc<Clock>,
        cache: Arc<PinCache>,
        params: &Params,
        timing: Timing,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            calls,
            clock,
            shards: params.feed_shards.max(1),
            standing: Mutex::new(Standing::new(Uuid::new_v4(), timing.clone())),
            timing,
            beats_ended: AsyncMutex::new(false),
            is_closed: AtomicBool::new(false),
            heard: watch::Sender::new(0),
            slot_noted: Mutex::new(None),
            tail: AsyncMutex::default(),
            news: Notify::new(),
            head: watch::Sender::new(Cursor::START),
            cache,
            metrics: FeedMetrics::new(),
        });
        // First of all, so that what is told does not lie behind what the others have reached.
        let told = shared.read_writers().await?;
        told.reached_without(None)
            .for_each(|at| shared.clock.observe(at));
        shared.beat().await?;
        shared.begin_tail().await?;
        let tasks = vec![
            tokio::spawn(Arc::clone(&shared).beat_on()),
            tokio::spawn(Arc::clone(&shared).follow_on()),
        ];
        Ok(Self {
            shared,
            tasks: Mutex::new(tasks),
        })
    }

    /// The newest entry that can be read, as it moves.
    pub(crate) fn head(&self) -> watch::Receiver<Cursor> {
        self.shared.head.subscribe()
    }

    /// What is counted here.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        self.shared.metrics.collectors()
    }

    /// Whether the others have heard this process lately: beats are written and read by quorum.
    pub(crate) fn is_heard(&self) -> bool {
        self.shared.is_in_good_standing()
    }

    /// Whether no other process uses the store, as far as this one knows.
    pub(crate) fn is_alone(&self) -> bool {
        self.shared.standing.lock().others_alive() == 0
    }

    /// Where the feed begins, and in which slots it may have entries.
    pub(crate) async fn ends(&self) -> Result<Ends> {
        let told = self.shared.read_writers().await?;
        let mut slots = BTreeSet::new();
        loop {
            let from = slots.last().map_or(0, |last| last + 1);
            let more = self.shared.slots(from, slot_of(u64::MAX)).await?;
            if more.is_empty() {
                break;
            }
            slots.extend(more);
        }
        Ok(Ends {
            floor: told.floor,
            slots,
        })
    }

    /// Waits for what is under way, and leaves the writers. Nothing may be announced any more.
    pub(crate) async fn close(&self) {
        let linger = self.shared.timing.linger;
        let is_idle = timeout(linger, self.shared.idle()).await.is_ok();
        let mut ended = self.shared.beats_ended.lock().await;
        if !std::mem::replace(&mut *ended, true) && is_idle {
            // Otherwise the row stays, and the others wait until they give it up.
            if let Err(error) = self.shared.leave().await {
                tracing::warn!(%error, "this process stays among the feed's writers for a while");
            }
        }
        self.end_tasks();
    }

    fn end_tasks(&self) {
        self.shared.is_closed.store(true, Ordering::Release);
        self.shared.heard.send_modify(|_| {});
        self.tasks.lock().drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end_tasks();
    }
}

impl Shared {
    /// Tells the others how far this process is, and hears from them.
    async fn beat(self: &Arc<Self>) -> Result<()> {
        let ended = self.beats_ended.lock().await;
        if *ended {
            return Err(StoreError::Closed);
        }
        let sent = self.clock.moment();
        let let_go = self.standing.lock().let_go(&sent);
        for (cids, is_again) in let_go {
            self.forget(&cids);
            tokio::spawn(Arc::clone(self).announce_left(cids, is_again));
        }
        let row = self.standing.lock().tell(&self.clock);
        let values = (
            ZERO,
            row.writer,
            signed(row.low),
            signed(row.reach),
            signed(row.wrote),
            signed(row.beat),
            signed(row.beat),
        );
        self.calls
            .write(Statement::WriterBeat, HOME, values)
            .await?;
        let asked = self.clock.moment();
        let told = self.read_writers().await?;
        let moments = (sent, asked, self.clock.moment());
        let heard = self.standing.lock().hear(&told, &row, moments, &self.clock);
        if heard.was_out {
            self.cache.forget_all();
        }
        self.show_own();
        self.note_news(&heard).await;
        self.heard.send_modify(|beats| *beats += 1);
        for row in &heard.dead {
            tracing::warn!(writer = %row.writer, "a process went without a word; its row is removed");
            self.remove(row).await?;
            self.metrics.given_up.inc();
        }
        drop(ended);
        Ok(())
    }

    async fn beat_on(self: Arc<Self>) {
        let mut ticks = interval(self.timing.beat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_heard = true;
        loop {
            ticks.tick().await;
            match self.beat().await {
                Ok(()) => {
                    was_heard = true;
                    self.metrics.beats.with_label_values(&["heard"]).inc();
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    self.metrics.beats.with_label_values(&["failed"]).inc();
                    if std::mem::replace(&mut was_heard, false) {
                        tracing::warn!(%error, "the change feed's other writers are not reached");
                    }
                }
            }
            self.show_standing();
        }
    }

    /// Whether the others surely wait for what this process has under way.
    fn is_in_good_standing(&self) -> bool {
        self.standing.lock().is_good(&self.clock.moment())
    }

    /// Waits until the others surely wait for what this process has under way.
    async fn good_standing(&self) -> Result<()> {
        let mut heard = self.heard.subscribe();
        while !self.is_in_good_standing() {
            if self.is_closed.load(Ordering::Acquire) || heard.changed().await.is_err() {
                return Err(StoreError::Closed);
            }
        }
        Ok(())
    }

    /// Waits until nothing is under way.
    async fn idle(&self) {
        let mut heard = self.heard.subscribe();
        while self.standing.lock().count_under_way() != (0, 0) {
            if heard.changed().await.is_err() {
                return;
            }
        }
    }

    async fn leave(&self) -> Result<()> {
        let row = self.standing.lock().tell(&self.clock);
        // Nothing here reads any further than this.
        let reach = self.clock.reached();
        self.remove(&Row { reach, ..row }).await
    }

    /// Removes a row as it was seen; if its process has written it since, it stays.
    async fn remove(&self, row: &Row) -> Result<()> {
        let reached = signed(row.reach);
        self.calls
            .write(Statement::ReachedWrite, HOME, (reached, reached, ZERO))
            .await?;
        let values = (signed(row.beat), ZERO, row.writer);
        self.calls.write(Statement::WriterTake, HOME, values).await
    }

    async fn read_writers(&self) -> Result<Told> {
        let mut told = Told::default();
        let rows: Vec<WriterColumns> = self
            .calls
            .rows(Statement::WritersRead, HOME, (ZERO,))
            .await?;
        for (writer, low, reach, wrote, beat, floor, reached) in rows {
            told.floor = unsigned(floor);
            told.reached = unsigned(reached);
            let Some(writer) = writer else {
                continue;
            };
            told.rows.push(Row {
                writer,
                low: unsigned(low),
                reach: unsigned(reach),
                wrote: unsigned(wrote),
                beat: unsigned(beat),
            });
        }
        Ok(told)
    }

    fn watermark(&self) -> u64 {
        self.standing.lock().watermark(&self.clock)
    }

    /// Moves the head over one's own entries that can be read now.
    fn show_own(&self) {
        let newest = self.standing.lock().newly_readable(&self.clock);
        newest.into_iter().for_each(|at| self.move_head(at));
    }

    fn move_head(&self, at: u64) {
        self.head.send_if_modified(|head| {
            let is_newer = at > head.0;
            head.0 = head.0.max(at);
            is_newer
        });
    }

    fn forget(&self, cids: &[Cid]) {
        cids.iter().for_each(|cid| self.cache.forget(cid));
    }

    fn shard(&self, at: u64) -> i32 {
        Params::shard(&at.to_be_bytes(), self.shards)
    }

    fn shards(&self) -> std::ops::Range<i32> {
        0..i32::from(u16::min(self.shards, i16::MAX.unsigned_abs()))
    }
}

type WriterColumns = (
    Option<Uuid>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

fn slot_of(at: u64) -> u64 {
    at >> SLOT_BITS
}

/// As CQL holds it. Stamps are microseconds since 1970 and far from its end.
fn signed(stamp: u64) -> i64 {
    i64::try_from(stamp).unwrap_or(i64::MAX)
}

fn unsigned(column: Option<i64>) -> u64 {
    column.map_or(0, |stamp| u64::try_from(stamp).unwrap_or(0))
}

#[cfg(test)]
mod tests;
