//! The thread that follows the folder.

use crate::priority::step_back;
use crate::registry::{Look, Registry, Scan};
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After a change, the folder must be at rest for so long: a copy comes in many writes.
const SETTLE: Duration = Duration::from_millis(100);

/// In a folder that is never at rest, changes are taken in after so long.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// The folder is looked at so often in any case: network file systems report nothing.
const POLL: Duration = Duration::from_secs(30);

/// The same where the system cannot watch at all.
const POLL_UNWATCHED: Duration = Duration::from_secs(2);

enum Signal {
    Changed,
    Stop,
}

/// Follows the folder until dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to follow. If the system cannot watch, the folder is looked at every other second.
    pub(crate) fn start(dir: &Path, registry: Arc<Registry>) -> std::io::Result<Self> {
        let (signals, received) = channel();
        let watcher = watch(dir, signals.clone());
        let poll = match &watcher {
            Ok(_) => POLL,
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the plugins folder cannot be watched; it is looked at every two seconds");
                POLL_UNWATCHED
            }
        };
        let thread = std::thread::Builder::new()
            .name("plugin-watch".into())
            .spawn(move || {
                step_back();
                // It ends with the thread, not before.
                let _watcher = watcher;
                follow(&received, &registry, poll);
            })?;
        Ok(Self {
            signals,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If the thread is gone already, there is nobody to tell.
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows the plugins folder panicked");
        }
    }
}

fn watch(dir: &Path, signals: Sender<Signal>) -> notify::Result<impl Watcher + use<>> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let is_ours = event.as_ref().is_ok_and(|event| is_only_read(&event.kind));
        if !is_ours {
            // Nobody listens once the thread has ended.
            let _ = signals.send(Signal::Changed);
        }
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether an event tells of reading alone, as our own scans cause.
const fn is_only_read(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

fn follow(signals: &Receiver<Signal>, registry: &Registry, poll: Duration) {
    let mut patience = poll;
    loop {
        match signals.recv_timeout(patience) {
            Ok(Signal::Changed) => {
                if !settle(signals) {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        patience = match registry.scan(Look::Twice) {
            Scan::Settled => poll,
            Scan::Unsettled => SETTLE,
        };
    }
}

/// Waits until nothing has changed for a while; false if it is time to stop.
fn settle(signals: &Receiver<Signal>) -> bool {
    let start = Instant::now();
    while start.elapsed() < SETTLE_MAX {
        match signals.recv_timeout(SETTLE) {
            Ok(Signal::Changed) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}
