//! The thread that writes.

use super::file::LogFile;
use super::line::Line;
use super::{Event, Failing, Hurry, Progress, SYNC_EVERY, Shared, WRITE_EVERY};
use std::time::{Duration, Instant};

/// How long the writer waits after the system has refused a write: a full disk does not empty
/// itself faster.
const RETRY_AFTER: Duration = Duration::from_millis(500);

struct Writer<'a> {
    shared: &'a Shared,
    file: LogFile,
    /// Lines that the file has not taken yet.
    lines: Vec<u8>,
    /// Events in `lines`.
    pending: u64,
    /// Events in the file.
    written: u64,
    /// Events in the file and synced.
    durable: u64,
    synced_at: Instant,
    /// Names of lines: a half that no other process has, and a count.
    next_id: u128,
}

/// What there is to do.
struct Round {
    events: Vec<Event>,
    hurry: Hurry,
    closed: bool,
}

pub(super) fn run(shared: &Shared, file: LogFile) {
    let mut writer = Writer {
        shared,
        file,
        lines: Vec::new(),
        pending: 0,
        written: 0,
        durable: 0,
        synced_at: Instant::now(),
        next_id: u128::from(rand::random::<u64>()) << 64,
    };
    let mut events = Vec::new();
    let mut pause = WRITE_EVERY;
    loop {
        let round = wait(shared, events, pause, writer.pending == 0);
        events = round.events;
        writer.append(&mut events);
        let result = writer.write_and_sync(round.hurry == Hurry::Sync || round.closed);
        pause = match result {
            Ok(()) => WRITE_EVERY,
            Err(e) => {
                writer.report(e);
                RETRY_AFTER
            }
        };
        if round.closed && (pause == RETRY_AFTER || writer.is_idle()) {
            // Who hears that the log is closed may open it again.
            drop(writer);
            shared
                .progress
                .send_modify(|progress| progress.closed = true);
            return;
        }
    }
}

/// Sleeps until there is a reason not to, and takes what is in the queue if it `may` (while the
/// file takes no lines the queue must fill, or memory would). `empty` comes back as the next
/// queue, so that neither side allocates.
fn wait(shared: &Shared, empty: Vec<Event>, pause: Duration, may: bool) -> Round {
    let mut queue = shared.queue.lock();
    if queue.hurry == Hurry::None && !queue.closed {
        // Whether it was woken or the time is up makes no difference.
        let _ = shared.work.wait_for(&mut queue, pause);
    }
    let events = if may {
        std::mem::replace(&mut queue.events, empty)
    } else {
        empty
    };
    let hurry = std::mem::take(&mut queue.hurry);
    let closed = queue.closed;
    drop(queue);
    if !events.is_empty() {
        shared.room.notify_waiters();
    }
    Round {
        events,
        hurry,
        closed,
    }
}

impl Writer<'_> {
    fn append(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            let before = self.lines.len();
            self.next_id += 1;
            let line = Line {
                id: self.next_id,
                event: &event,
            };
            match serde_json::to_writer(&mut self.lines, &line) {
                Ok(()) => self.lines.push(b'\n'),
                Err(e) => {
                    self.lines.truncate(before);
                    tracing::error!(error = %e, "an audit event cannot be written as JSON");
                }
            }
            self.pending += 1;
        }
    }

    fn write_and_sync(&mut self, hurry: bool) -> Result<(), Failing> {
        if self.pending > 0 {
            if self.file.is_behind(self.lines.len()) {
                return Err(Failing::Behind);
            }
            self.file.write(&self.lines)?;
            self.lines.clear();
            self.written += self.pending;
            self.shared.metrics.written.inc_by(self.pending);
            self.pending = 0;
        }
        let due = self.synced_at.elapsed() >= SYNC_EVERY;
        if self.durable < self.written && (hurry || due) {
            // Who waits for the file alone does not wait for its disk.
            self.publish(None);
            self.file.sync()?;
            self.durable = self.written;
            self.synced_at = Instant::now();
        }
        self.publish(None);
        Ok(())
    }

    fn report(&self, why: Failing) {
        self.shared.metrics.failures.inc();
        let first = self.shared.progress.borrow().failing.is_none();
        if first {
            let error = why.to_error();
            tracing::error!(%error, "the audit log takes nothing now, so calls wait");
        }
        self.publish(Some(why));
    }

    fn publish(&self, failing: Option<Failing>) {
        let recorded = self.shared.queue.lock().recorded;
        let not_durable = i64::try_from(recorded.saturating_sub(self.durable)).unwrap_or(i64::MAX);
        self.shared.metrics.not_durable.set(not_durable);
        let backlog = i64::try_from(self.file.spool().backlog()).unwrap_or(i64::MAX);
        self.shared.metrics.backlog.set(backlog);
        let (written, durable) = (self.written, self.durable);
        self.shared.progress.send_if_modified(|progress| {
            let moved = (progress.written, progress.durable) != (written, durable)
                || progress.failing != failing;
            *progress = Progress {
                written,
                durable,
                failing,
                closed: progress.closed,
            };
            moved
        });
    }

    const fn is_idle(&self) -> bool {
        self.pending == 0 && self.durable == self.written
    }
}
