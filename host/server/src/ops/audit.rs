//! The audit log: every decision, in a queue on the disk and from there in chains in the store.
//!
//! Callers put a small value into a bounded queue and go on; one thread turns the values into
//! lines, writes them and syncs the file. When the disk does not take them, they are kept, the
//! queue fills, callers wait, and readiness says why: nothing is dropped.
//!
//! The file is a queue too: the *auditor* ([`Auditor`]) reads it behind its end and enters its
//! lines into the tenants' chains in the store. What it has not carried is bounded in bytes, and
//! beyond that callers wait just so.
//!
//! What an administrator changes is an *intent* in the queue before it is done, and an outcome
//! after: [`Audit::record_durably`]. A start that finds the one without the other says so.
//!
//! What a crash can cost: `kill -9` the last [`WRITE_EVERY`] of lines, loss of power the last
//! [`SYNC_EVERY`]. [`Audit::record_in_file`] waits until the former cannot, so that no change is
//! answered that a killed host has not written down; [`Audit::record_durably`] until neither can.

mod carried;
mod carry;
mod cloud;
mod cursor;
mod direct;
mod file;
mod intents;
mod line;
mod lock;
mod metrics;
mod notary;
mod spool;
mod writer;

pub(crate) use carried::hex;
pub use carry::{Auditor, AuditorSettings};
pub use cloud::{CloudEvent, Exported};
pub use direct::{EnterError, enter};
pub(crate) use line::POLICIES_MAX;
pub use line::{Event, Kind, Outcome};
pub use notary::{
    HOST_CHAIN, Notary, NotaryError, Note, anchor_checkpoint, chain_name, sign_chain,
};

use cursor::Cursor;
use holdfast_model::ErrorKind;
use intents::Open;
use lock::Lock;
use metrics::Metrics;
use parking_lot::{Condvar, Mutex};
use prometheus::core::Collector;
use spool::Spool;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Events that wait to be written. At some 300 bytes each this is 5 MiB, and a third of a second of
/// the most calls one process answers.
const QUEUE_MAX: usize = 16_384;

/// How often the queue is emptied when nobody is in a hurry. Waking the thread for each event would
/// cost more than all the rest of recording it.
pub const WRITE_EVERY: Duration = Duration::from_millis(10);

/// How often the file is synced when nobody is in a hurry: a sync competes with the store's own.
pub const SYNC_EVERY: Duration = Duration::from_millis(200);

/// Where the log is and how it grows.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The file.
    pub path: PathBuf,
    /// Bytes after which it is renamed and a new one begun.
    pub rotate_bytes: u64,
    /// Bytes that may wait for the store.
    pub backlog_bytes: u64,
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened.
    #[error(
        "the audit log {path} cannot be opened: {source}; make its folder writable or set audit.path"
    )]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "the audit log {path} is in use by another process, which has locked {lock}; stop that \
         one, or set another `data` (another audit.path, if it is set) for this one"
    )]
    InUse {
        /// The file.
        path: String,
        /// The file beside it that is locked.
        lock: String,
    },
    /// A thread or a metric could not be made.
    #[error("the audit log cannot be started: {0}")]
    Start(String),
    /// The file takes no lines.
    #[error("the audit log cannot be written: {0}; free space on its disk")]
    Write(String),
    /// The store is too far behind.
    #[error(
        "the audit log waits for the store: more of it is not carried there yet than \
         audit.backlog_bytes allows; mend the store, or allow more"
    )]
    Behind,
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
}

impl AuditError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Open { .. }
            | Self::InUse { .. }
            | Self::Write(_)
            | Self::Behind
            | Self::Closed => ErrorKind::Unavailable,
            Self::Start(_) => ErrorKind::Internal,
        }
    }
}

/// The handle. Cheap to clone; the log is closed when the last is dropped.
#[derive(Clone)]
pub struct Audit {
    /// Without it nothing is recorded: the operator has switched the log off.
    shared: Option<Arc<Handle>>,
}

/// What all clones of a handle are.
struct Handle(Arc<Shared>);

impl Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What callers and the writing thread share.
struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes callers that wait for room.
    room: Notify,
    progress: watch::Sender<Progress>,
    spool: Arc<Spool>,
    /// Who signs the chains, once the auditor is at work.
    notary: OnceLock<Arc<Notary>>,
    /// Held by the writer and the auditor, so that it goes with their work and not with this.
    lock: Weak<Lock>,
    metrics: Metrics,
}

impl Shared {
    /// Takes nothing more, and has the writer end once it has written what there is.
    fn close(&self) {
        self.queue.lock().closed = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }
}

#[derive(Default)]
struct Queue {
    events: Vec<Event>,
    /// Events ever put in.
    recorded: u64,
    hurry: Hurry,
    closed: bool,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Hurry {
    #[default]
    None,
    /// That the file is written to: what a killed process cannot lose.
    Write,
    /// That the file is synced.
    Sync,
}

/// How far the writer is.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Events that are in the file.
    written: u64,
    /// Events that are in the file and synced.
    durable: u64,
    /// Why the file takes no lines now.
    failing: Option<Failing>,
    closed: bool,
}

/// Why the file takes no lines.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failing {
    /// The system does not.
    Disk(Arc<str>),
    /// Too much of it is not in the store yet.
    Behind,
}

impl Failing {
    fn to_error(&self) -> AuditError {
        match self {
            Self::Disk(why) => AuditError::Write(why.to_string()),
            Self::Behind => AuditError::Behind,
        }
    }
}

impl From<std::io::Error> for Failing {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(Arc::from(error.to_string()))
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit")
            .field("on", &self.shared.is_some())
            .finish()
    }
}

impl Audit {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// A file that cannot be opened or that another process has open, a thread that cannot be
    /// started.
    pub fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let path = settings.path.display().to_string();
        let file = file::LogFile::open(settings)?;
        let file = end_what_was_begun(file).map_err(|source| AuditError::Open { path, source })?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            room: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
            spool: Arc::clone(file.spool()),
            notary: OnceLock::new(),
            lock: Arc::downgrade(file.lock()),
            metrics: Metrics::new().map_err(|e| AuditError::Start(e.to_string()))?,
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer::run(&writer, file))
            .map_err(|e| AuditError::Start(e.to_string()))?;
        Ok(Self {
            shared: Some(Arc::new(Handle(shared))),
        })
    }

    /// A log that records nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self { shared: None }
    }

    /// Records a decision. Waits only while the queue is full.
    ///
    /// # Errors
    /// The log is closed.
    pub async fn record(&self, event: Event) -> Result<(), AuditError> {
        match self.offer(event) {
            Offered::Taken => Ok(()),
            Offered::Closed => Err(AuditError::Closed),
            Offered::Full(event) => self.record_when_there_is_room(event).await,
        }
    }

    /// Records a decision and waits until it is in the file, together with those of others: the
    /// death of this process cannot lose it then.
    ///
    /// # Errors
    /// The file takes no lines now (the event is kept and written later), or the log is closed.
    pub async fn record_in_file(&self, event: Event) -> Result<(), AuditError> {
        self.record(event).await?;
        self.reach(Hurry::Write).await
    }

    /// Records a decision and waits until it is on the disk, together with those of others.
    ///
    /// # Errors
    /// The file takes no lines now (the event is kept and written later), or the log is closed.
    pub async fn record_durably(&self, event: Event) -> Result<(), AuditError> {
        self.record(event).await?;
        self.flush().await
    }

    /// Waits until all that was recorded before is on the disk.
    ///
    /// # Errors
    /// As [`Audit::record_durably`].
    pub async fn flush(&self) -> Result<(), AuditError> {
        self.reach(Hurry::Sync).await
    }

    async fn reach(&self, goal: Hurry) -> Result<(), AuditError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let mut progress = shared.progress.subscribe();
        let wanted = {
            let mut queue = shared.queue.lock();
            queue.hurry = queue.hurry.max(goal);
            shared.work.notify_one();
            queue.recorded
        };
        loop {
            let seen = progress.borrow_and_update().clone();
            let reached = match goal {
                Hurry::None | Hurry::Write => seen.written,
                Hurry::Sync => seen.durable,
            };
            if reached >= wanted {
                return Ok(());
            }
            if let Some(why) = seen.failing {
                return Err(why.to_error());
            }
            if seen.closed || progress.changed().await.is_err() {
                return Err(AuditError::Closed);
            }
        }
    }

    /// Who signs the chains, once the auditor is at work.
    #[must_use]
    pub fn notary(&self) -> Option<Arc<Notary>> {
        self.shared.as_ref()?.notary.get().cloned()
    }

    /// Waits until all that was recorded before is in the store's chains.
    ///
    /// # Errors
    /// As [`Audit::record_durably`].
    pub async fn settle(&self) -> Result<(), AuditError> {
        self.flush().await?;
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let end = shared.spool.end();
        let mut carried = shared.spool.carried();
        let settled = carried.wait_for(|carried| *carried >= end).await;
        settled.map(drop).map_err(|_| AuditError::Closed)
    }

    /// Writes what was recorded and ends the thread. If no auditor is at work any more, the log is
    /// free then.
    ///
    /// # Errors
    /// As [`Audit::record_durably`].
    pub async fn close(&self) -> Result<(), AuditError> {
        let flushed = self.flush().await;
        if let Some(shared) = &self.shared {
            shared.close();
            let mut progress = shared.progress.subscribe();
            // Whoever tells of it lives as long as this does.
            let _ = progress.wait_for(|progress| progress.closed).await;
        }
        flushed
    }

    /// Whether the file takes lines now: readiness asks this.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self) -> Result<(), AuditError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let progress = shared.progress.borrow();
        match &progress.failing {
            Some(why) => Err(why.to_error()),
            None if progress.closed => Err(AuditError::Closed),
            None => Ok(()),
        }
    }

    /// What is to be registered.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        self.shared
            .as_ref()
            .map_or_else(Vec::new, |shared| shared.metrics.all())
    }

    async fn record_when_there_is_room(&self, event: Event) -> Result<(), AuditError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let mut event = event;
        loop {
            let mut room = std::pin::pin!(shared.room.notified());
            room.as_mut().enable();
            match self.offer(event) {
                Offered::Taken => return Ok(()),
                Offered::Closed => return Err(AuditError::Closed),
                Offered::Full(back) => event = back,
            }
            shared.metrics.waits.inc();
            room.await;
        }
    }

    fn offer(&self, event: Event) -> Offered {
        let Some(shared) = &self.shared else {
            return Offered::Taken;
        };
        let mut queue = shared.queue.lock();
        if queue.closed {
            return Offered::Closed;
        }
        if queue.events.len() >= QUEUE_MAX {
            return Offered::Full(event);
        }
        queue.events.push(event);
        queue.recorded += 1;
        if queue.events.len() == QUEUE_MAX / 2 {
            shared.work.notify_one();
        }
        Offered::Taken
    }
}

/// Writes down what a host left open that died.
fn end_what_was_begun(mut file: file::LogFile) -> std::io::Result<file::LogFile> {
    let spool = Arc::clone(file.spool());
    let cursor = Cursor::load(spool.cursor_path())?;
    let lines = Open::left_behind(cursor, &spool)?;
    if !lines.is_empty() {
        tracing::warn!("a host died while an administrator changed something; see the audit log");
        file.write(&lines)?;
        file.sync()?;
    }
    Ok(file)
}

#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made; a box would cost the hot path"
)]
enum Offered {
    Taken,
    Full(Event),
    Closed,
}
