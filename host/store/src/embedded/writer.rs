//! The one thread that writes: it takes what waits, commits it as a group, and answers.
//!
//! A failed write is not retried on the same database: fjall refuses further writes after one,
//! since nobody knows what the journal then holds. Reads go on. With the next write (at most once
//! in [`MEND_PAUSE`], after the disk has taken a probe) the database is opened again, and if the
//! failed group turns out to have reached the journal after all, it is undone before anybody sees
//! it: its callers were told that it had failed.

use super::draft::{Draft, Write, commit};
use super::files::Directory;
use super::table::Tables;
use super::{Shared, Standing};
use crate::Result;
use crate::error::StoreError;
use crate::row::Numbers;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Operations of one group at most: some 4,000 rows, a commit of a few milliseconds. Larger groups
/// gain nothing on the fsync that they share and let the first in wait longer.
pub(super) const GROUP_OPERATIONS_MAX: usize = 512;

/// Bytes of the disk that are not written to: fjall needs room to write tables out and to merge
/// them, or else it could not even remove what was deleted.
const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// Time between two attempts to open a failed database again: each costs a probe of the disk.
const MEND_PAUSE: Duration = Duration::from_millis(500);

/// What waits for the writer.
pub(super) enum Message {
    /// An operation.
    Write(Box<dyn Operation>),
    /// The store is to be closed.
    Close(oneshot::Sender<()>),
}

/// What an operation takes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// All: it looks into the database beside the draft and so must have no group before it.
    Alone,
    /// As much as so many.
    Counts(usize),
}

/// One caller's operation.
pub(super) trait Operation: Send {
    /// What it takes of its group.
    fn share(&self) -> Share;
    /// Checks its conditions and writes to the draft.
    fn run(&mut self, draft: &mut Draft<'_>);
    /// Tells the caller: its own answer, or why the group failed.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

impl Share {
    const fn count(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Counts(count) => count,
        }
    }

    /// Whether it may join a group that has room for so many.
    const fn fits(self, room: usize) -> bool {
        match self {
            Self::Alone => false,
            Self::Counts(count) => count <= room,
        }
    }

    /// What is left of a group's room after it; nothing if nobody else may join.
    const fn rest(room: usize, share: Self) -> Option<usize> {
        match share {
            Self::Alone => None,
            Self::Counts(count) => match room.saturating_sub(count) {
                0 => None,
                left => Some(left),
            },
        }
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    directory: Directory,
    queue: mpsc::Receiver<Message>,
    numbers: Numbers,
    failure: Option<Failure>,
}

/// Why the database takes no writes.
struct Failure {
    cause: Cause,
    /// The group that failed, backwards. `None` if not even that could be read.
    undo: Option<Undo>,
    mend_at: Instant,
}

/// An I/O error that can be told to many callers.
#[derive(Clone)]
struct Cause {
    doing: String,
    kind: io::ErrorKind,
    text: String,
}

#[derive(Clone)]
struct Undo {
    commit: u64,
    rows: Vec<Write>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        directory: Directory,
        queue: mpsc::Receiver<Message>,
        numbers: Numbers,
    ) -> Self {
        Self {
            shared,
            directory,
            queue,
            numbers,
            failure: None,
        }
    }

    /// Serves until the store is closed or nobody holds it any more.
    pub(super) fn run(mut self) {
        let mut closing = Vec::new();
        let mut next = None;
        while let Some(message) = next.take().or_else(|| self.receive()) {
            match message {
                Message::Write(first) => next = self.serve_group(first),
                Message::Close(done) => {
                    // Whoever comes later is refused; who waits already is served.
                    self.queue.close();
                    closing.push(done);
                }
            }
        }
        *self.shared.standing.write() = Standing::Closed;
        if self.failure.is_none() {
            self.directory.note_closed(self.numbers.commit);
        }
        // With it goes the lock: from here on the directory may be opened again.
        drop(self.directory);
        for done in closing {
            let _ = done.send(());
        }
    }

    fn receive(&mut self) -> Option<Message> {
        let message = self.queue.blocking_recv();
        self.shared.note_queue(&self.queue);
        message
    }

    /// Gathers and serves a group; answers the message that ended it.
    fn serve_group(&mut self, first: Box<dyn Operation>) -> Option<Message> {
        let mut room = Share::rest(GROUP_OPERATIONS_MAX, first.share());
        let mut group = vec![first];
        let mut next = None;
        while let Some(left) = room {
            match self.queue.try_recv() {
                Ok(Message::Write(operation)) if operation.share().fits(left) => {
                    room = Share::rest(left, operation.share());
                    group.push(operation);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let outcome = self.commit_group(&mut group);
        for operation in group {
            operation.answer(outcome.as_ref().err().map(Cause::error));
        }
        next
    }

    fn commit_group(&mut self, group: &mut [Box<dyn Operation>]) -> std::result::Result<(), Cause> {
        self.mend()?;
        let shared = self.shared.clone();
        let standing = shared.standing.read();
        let Standing::Open(tables) = &*standing else {
            return Err(Cause::closed());
        };
        check_space(&self.directory)?;
        let mut draft = Draft::new(tables, self.numbers);
        for operation in group.iter_mut() {
            operation.run(&mut draft);
        }
        if draft.is_empty() {
            return Ok(());
        }
        let (writes, numbers) = draft.into_writes().map_err(|e| self.cause(&e))?;
        let began = Instant::now();
        if let Err(error) = commit(tables, &writes) {
            let cause = self.cause(&tables.failed("write to", error));
            tracing::error!(cause = cause.text, "{}", cause.doing);
            self.failure = Some(Failure {
                cause: cause.clone(),
                undo: Undo::of(tables, numbers.commit, &writes).ok(),
                mend_at: Instant::now() + MEND_PAUSE,
            });
            return Err(cause);
        }
        let size = group.iter().map(|operation| operation.share().count());
        let size = u32::try_from(size.sum::<usize>()).unwrap_or(u32::MAX);
        self.shared.metrics.committed(size, began.elapsed());
        self.numbers = numbers;
        self.shared.announce(numbers.head());
        Ok(())
    }

    /// Opens a database that has failed again, if it is time.
    fn mend(&mut self) -> std::result::Result<(), Cause> {
        let Some(failure) = &mut self.failure else {
            return Ok(());
        };
        if Instant::now() < failure.mend_at {
            return Err(failure.cause.clone());
        }
        failure.mend_at = Instant::now() + MEND_PAUSE;
        let (cause, undo) = (failure.cause.clone(), failure.undo.clone());
        self.directory.probe().map_err(|_| cause)?;
        let reopened = self.reopen(undo.as_ref());
        match reopened {
            Ok(()) => {
                tracing::info!(path = %self.directory.path().display(), "the store can be written again");
                self.failure = None;
                Ok(())
            }
            Err(error) => {
                let cause = self.cause(&error);
                tracing::error!(cause = cause.text, "{}", cause.doing);
                Err(cause)
            }
        }
    }

    fn reopen(&self, undo: Option<&Undo>) -> Result<()> {
        let mut standing = self.shared.standing.write();
        // The old database must be gone, its threads and its lock with it, before it is opened
        // anew.
        *standing = Standing::Failed;
        let (tables, mut numbers) = self.directory.open()?;
        if let Some(undo) = undo.filter(|undo| undo.commit == numbers.commit) {
            undo.apply(&tables)?;
            numbers = self.numbers;
        }
        if numbers != self.numbers {
            return Err(StoreError::Corrupt(format!(
                "{} is at commit {} and was at {} before it failed; restart, then run `holdfast state check`",
                self.directory.path().display(),
                numbers.commit,
                self.numbers.commit
            )));
        }
        *standing = Standing::Open(tables);
        Ok(())
    }

    fn cause(&self, error: &StoreError) -> Cause {
        let (doing, kind, text) = match error {
            StoreError::Unavailable { doing, source } => {
                (doing.clone(), source.kind(), source.to_string())
            }
            other => {
                let doing = format!("write to {}", self.directory.path().display());
                (doing, io::ErrorKind::Other, other.to_string())
            }
        };
        Cause { doing, kind, text }
    }
}

impl Undo {
    /// Reads what a group that has failed would have changed, as it still is.
    fn of(tables: &Tables, commit: u64, writes: &[Write]) -> Result<Self> {
        let before = |(table, key, _): &Write| {
            let value = tables.get(*table, key)?;
            Ok((*table, key.clone(), value))
        };
        let rows = writes.iter().map(before).collect::<Result<_>>()?;
        Ok(Self { commit, rows })
    }

    /// Puts everything back, the numbers of the commit included.
    fn apply(&self, tables: &Tables) -> Result<()> {
        commit(tables, &self.rows).map_err(|e| tables.failed("write to", e))
    }
}

impl Cause {
    fn closed() -> Self {
        Self {
            doing: "write".into(),
            kind: io::ErrorKind::NotConnected,
            text: "the database is not open; mend the disk, it is then opened again".into(),
        }
    }

    fn error(&self) -> StoreError {
        StoreError::Unavailable {
            doing: self.doing.clone(),
            source: io::Error::new(self.kind, self.text.clone()),
        }
    }
}

/// Refuses writes while the disk is all but full: then nothing has failed yet, and writes work
/// again as soon as there is room.
fn check_space(directory: &Directory) -> std::result::Result<(), Cause> {
    match rustix::fs::statvfs(directory.path()) {
        Ok(disk) => check_free(
            directory.path(),
            disk.f_bavail.saturating_mul(disk.f_frsize),
        ),
        // Whatever keeps the system from telling will show in the write itself.
        Err(_) => Ok(()),
    }
}

fn check_free(path: &Path, free_bytes: u64) -> std::result::Result<(), Cause> {
    const MIB: u64 = 1024 * 1024;
    if free_bytes >= RESERVE_BYTES {
        return Ok(());
    }
    Err(Cause {
        doing: format!("write to {}", path.display()),
        kind: io::ErrorKind::StorageFull,
        text: format!(
            "the disk has {} MiB left and {} are kept in reserve; free some space",
            free_bytes / MIB,
            RESERVE_BYTES / MIB
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_not_written_to() {
        let path = Path::new("/data");
        assert!(check_free(path, RESERVE_BYTES).is_ok());
        let refused = check_free(path, RESERVE_BYTES - 1).map_err(|cause| cause.error());
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("/data") && text.contains("63 MiB left"),
            "{text}"
        );
    }
}
