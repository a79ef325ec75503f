//! The embedded store: fjall in a directory, one writer, group commit.
//!
//! **Writes** go to one thread ([`writer`]). It takes what waits, runs each operation against the
//! database and a draft of what those before it wrote ([`draft`]), commits everything as one fjall
//! batch with one fsync, and then answers all of them. Reading, checking and writing are therefore
//! serial, so conditions need no locks, and sixty-four callers share one fsync. An operation whose
//! condition does not hold answers its error and adds nothing; a group that cannot be committed
//! answers `Unavailable` to all of it.
//!
//! **Reads** go straight to fjall on the calling task: they take no lock that a commit holds. A
//! point read sees what is durable; a read of several rows uses a snapshot. Reads that may walk far
//! run where blocking is allowed.
//!
//! # Layout
//!
//! One fjall keyspace for each table ([`table`]); the directory is described in [`files`]. A value
//! is a version byte and a row in postcard's encoding ([`row`]); an index's value is drawn here.
//! `!t` is an instant complemented, so that newer ones sort first; `name 0` is a name with a zero
//! byte.
//!
//! ```text
//! table            key                                      value
//! meta             "numbers"                                commit, sequence, head, trimmed
//! meta             "follower/" name                         cursor
//! pins             cid                                      version, requests, by_cluster, expires, api.Pin
//! pin_expiry       | expire_at 8 | cid |                    –  (by_cluster only)
//! requests         id 16                                    the request
//! listing          account 0 | !created 8 |                 | status 1 | id 16 |
//! account_pins     account 0 | cid | !created 8 |           id 16
//! pin_requests     cid | id 16 |                            –
//! request_expiry   | expires 8 | id 16 |                    –
//! accounts         account                                  counts by status, newest created, last mark
//! marks            account 0 | at 8 |                       usage mark
//! placements       cid | peer                               the placement
//! peer_placements  peer | cid                               –
//! due              peer | due 8 | cid                       –
//! feed             cursor 8                                 cid
//! tenants          tenant                                   the tenant
//! keys             hash 32                                  the key: found by one read on every call
//! key_ids          id                                       hash 32
//! tenant_keys      tenant 0 | id                            hash 32
//! records          kind 0 owner 0 | id                      version, expires, JSON
//! record_expiry    | expires 8 | kind 0 owner 0 id          –
//! audit            tenant 0 | seq 8                         the entry
//! audit_heads      tenant 0                                 seq, hash
//! audit_checkpoints tenant 0 | segment 8                    version, the checkpoint
//! ```
//!
//! - A page filtered by status reads no row that it does not answer: the status is in `listing`.
//!   `account_pins` exists because clients ask for a CID before each pin (Kubo does), and a popular
//!   CID has many requests of other accounts in `pin_requests`.
//! - Feed cursors, pin versions and placement versions are drawn from one `sequence`, so none is
//!   ever
//!   used again, and the feed has gaps.
//! - `head` is told to followers only after the commit that moved it.

mod audit;
mod calls;
mod check;
mod draft;
mod files;
mod key;
mod keys;
mod listing;
mod pins;
mod placements;
mod read;
mod records;
mod requests;
mod table;
mod writer;

use crate::Result;
use crate::error::StoreError;
use crate::metrics::StoreMetrics;
use draft::Draft;
use files::Directory;
use holdfast_model::Cursor;
use parking_lot::RwLock;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use table::Tables;
use tokio::sync::{mpsc, oneshot, watch};
use writer::{Message, Operation, Share, Writer};

/// Operations that may wait for the writer: eight full groups, some tens of milliseconds of work.
/// Whoever comes later waits outside, where it costs no memory of the store's.
const QUEUE_OPERATIONS_MAX: usize = 4_096;

/// How long a caller waits for a place in the queue: a disk that needs longer for eight groups is
/// better told of than waited for.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long the store may take to show that it can write, before it counts as unable to: fjall
/// stands still for as long as it cannot write its tables out.
const PING_WAIT_MAX: Duration = Duration::from_secs(10);

/// Rows that a read answers on the calling task. More of them take long enough (about 2 µs each) to
/// be noticed by the tasks that wait behind it.
const SHORT_READ_ROWS: u32 = 100;

/// The embedded store. Clones share it; it is closed by `close`, or in the
/// background once the last clone is gone.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Message>,
    /// [`QUEUE_WAIT_MAX`], but for tests.
    queue_wait: Duration,
}

struct Shared {
    standing: RwLock<Standing>,
    head: watch::Sender<Cursor>,
    metrics: StoreMetrics,
}

/// Whether there is a database to read from.
enum Standing {
    Open(Tables),
    /// It failed, and could not be opened again so far.
    Failed,
    Closed,
}

impl Embedded {
    pub(crate) async fn open(dir: &Path) -> Result<Self> {
        let path = dir.to_owned();
        let open = move || {
            let directory = Directory::take(&path)?;
            let (tables, numbers) = directory.open()?;
            Ok((directory, tables, numbers))
        };
        let (directory, tables, numbers) = blocking(open).await?;
        let shared = Arc::new(Shared {
            standing: RwLock::new(Standing::Open(tables)),
            head: watch::Sender::new(numbers.head()),
            metrics: StoreMetrics::new(),
        });
        let (queue, waiting) = mpsc::channel(QUEUE_OPERATIONS_MAX);
        let writer = Writer::new(shared.clone(), directory, waiting, numbers);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(|source| StoreError::Unavailable {
                doing: "start its writer thread".into(),
                source,
            })?;
        Ok(Self {
            shared,
            queue,
            queue_wait: QUEUE_WAIT_MAX,
        })
    }

    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error means that the writer is gone, and everything with it.
            let _ = closed.await;
        }
    }

    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    pub(crate) fn head(&self) -> watch::Receiver<Cursor> {
        self.shared.head.subscribe()
    }

    /// Reads on the calling task: for what is short.
    fn read<T>(&self, read: impl FnOnce(&Tables) -> Result<T>) -> Result<T> {
        self.shared.read(read)
    }

    /// Reads where blocking is allowed: for what may walk far.
    async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tables) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        blocking(move || shared.read(read)).await
    }

    /// Reads a page of so many rows, wherever that is best done.
    async fn read_page<T: Send + 'static>(
        &self,
        rows: u32,
        read: impl FnOnce(&Tables) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if rows <= SHORT_READ_ROWS {
            return self.read(read);
        }
        self.scan(read).await
    }

    // None of these is an `async fn`: each would hold its operation anew, and whoever waits for a
    // write would take several times its memory.

    /// Has the writer run an operation in its next group.
    fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Draft<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> {
        self.submit(Share::Counts(1), operation)
    }

    /// Has the writer run an operation in a group of its own.
    fn write_alone<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Draft<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> {
        self.submit(Share::Alone, operation)
    }

    fn submit<T: Send + 'static>(
        &self,
        share: Share,
        operation: impl FnOnce(&mut Draft<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> {
        let sent = self.send(share, operation);
        async { wait_for(sent.await?).await }
    }

    /// Puts an operation into the writer's queue, behind what waits there; the answer comes once it
    /// is durable.
    fn send<T: Send + 'static>(
        &self,
        share: Share,
        operation: impl FnOnce(&mut Draft<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<Answer<T>>> {
        let (caller, answer) = oneshot::channel();
        let message = Message::Write(Box::new(Asked {
            share,
            operation: Some(operation),
            answer: None,
            caller,
        }));
        async move {
            let place = tokio::time::timeout(self.queue_wait, self.queue.reserve())
                .await
                .map_err(|_| StoreError::Overloaded)?
                .map_err(|_| StoreError::Closed)?;
            place.send(message);
            Ok(answer)
        }
    }
}

async fn wait_for<T>(answer: Answer<T>) -> Result<T> {
    answer.await.map_err(|_| StoreError::Closed)?
}

/// What an operation in the queue will come to.
type Answer<T> = oneshot::Receiver<Result<T>>;

/// An operation, and the caller who waits for it.
struct Asked<O, T> {
    share: Share,
    operation: Option<O>,
    answer: Option<Result<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<O, T> Operation for Asked<O, T>
where
    O: FnOnce(&mut Draft<'_>) -> Result<T> + Send,
    T: Send,
{
    fn share(&self) -> Share {
        self.share
    }

    fn run(&mut self, draft: &mut Draft<'_>) {
        self.answer = self
            .operation
            .take()
            .map(|operation| draft.attempt(operation));
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let answer = match failure {
            Some(failure) => Err(failure),
            None => self.answer.unwrap_or(Err(StoreError::Closed)),
        };
        // A caller who has gone away has given up on the answer, not on the write.
        let _ = self.caller.send(answer);
    }
}

impl Shared {
    fn read<T>(&self, read: impl FnOnce(&Tables) -> Result<T>) -> Result<T> {
        match &*self.standing.read() {
            Standing::Open(tables) => read(tables),
            Standing::Failed => Err(StoreError::Unavailable {
                doing: "read".into(),
                source: io::Error::other(
                    "the database failed; it is opened again once the disk works",
                ),
            }),
            Standing::Closed => Err(StoreError::Closed),
        }
    }

    /// Tells followers where the feed ends, once that is durable.
    fn announce(&self, head: Cursor) {
        self.head
            .send_if_modified(|seen| std::mem::replace(seen, head) != head);
    }

    fn note_queue(&self, queue: &mpsc::Receiver<Message>) {
        let waiting = i64::try_from(queue.len()).unwrap_or(i64::MAX);
        self.metrics.queue().set(waiting);
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    // The task can only be lost to a panic, or to a runtime that shuts down.
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(StoreError::Corrupt(format!("a read was abandoned: {e}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expect, PinEntry, PinStep};
    use holdfast_model::Cid;
    use std::collections::VecDeque;

    #[tokio::test]
    async fn a_full_queue_is_waited_for_and_then_told_of() {
        let (embedded, mut waiting) = without_writer(1, Duration::from_millis(20));
        let first = tokio::spawn({
            let embedded = embedded.clone();
            async move { embedded.ping().await }
        });
        while embedded.queue.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = embedded.ping().await;
        assert!(
            matches!(refused, Err(StoreError::Overloaded)),
            "{refused:?}"
        );
        // Nobody answers the first one any more: its writer is gone.
        drop(waiting.recv().await);
        assert!(matches!(first.await.unwrap(), Err(StoreError::Closed)));
    }

    #[tokio::test]
    async fn parts_of_a_large_call_are_sent_as_they_are_made_and_few_at_once() {
        const PART: usize = writer::GROUP_OPERATIONS_MAX;
        let (embedded, mut waiting) = without_writer(QUEUE_OPERATIONS_MAX, QUEUE_WAIT_MAX);
        let entries = (0..5 * PART + 1).map(|_| PinEntry {
            step: PinStep::Delete(Cid::parse("bafkqaaa").unwrap()),
            expect: Expect::Any,
        });
        let entries = entries.collect();
        let call = tokio::spawn(async move { embedded.change_pins(entries).await });
        let mut counts = Vec::new();
        let mut under_way = VecDeque::new();
        while counts.len() < 6 {
            let Some(Message::Write(operation)) = waiting.recv().await else {
                panic!("the call waits for what it has not sent");
            };
            let Share::Counts(count) = operation.share() else {
                panic!("a part takes no group for itself");
            };
            counts.push(count);
            under_way.push_back(operation);
            if under_way.len() == 4 {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                assert!(waiting.is_empty(), "more than four parts are under way");
                under_way.pop_front().unwrap().answer(None);
            }
        }
        assert_eq!(counts, [PART, PART, PART, PART, PART, 1]);
        drop(under_way);
        let answers = call.await.unwrap();
        assert_eq!(answers.len(), 5 * PART + 1);
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Err(StoreError::Closed)))
        );
    }

    fn without_writer(places: usize, queue_wait: Duration) -> (Embedded, mpsc::Receiver<Message>) {
        let (queue, waiting) = mpsc::channel(places);
        let embedded = Embedded {
            shared: Arc::new(Shared {
                standing: RwLock::new(Standing::Failed),
                head: watch::Sender::new(Cursor::START),
                metrics: StoreMetrics::new(),
            }),
            queue,
            queue_wait,
        };
        (embedded, waiting)
    }
}
