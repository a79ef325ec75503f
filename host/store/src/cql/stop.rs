//! How the work of a process ends: in good order, or, in tests, in the middle of a step.

use super::Shared;
use super::draft::BUCKET_ROWS;
use crate::Result;
use crate::error::StoreError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Between two sweeps of one process. What a crash left behind is found by its account's next
/// reader or writer anyway; the sweep is for accounts that nobody asks for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Where a test may have a process die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The intent is noted, the account's head has not moved.
    Intended,
    /// The head has moved, nothing has been applied.
    Moved,
    /// The rows of requests are written, the pins are not in line with them.
    Written,
    /// Everything is applied; the intent is still there.
    Touched,
    /// A placement's row in the queue of what is due is written, the placement is not.
    PlacementQueued,
    /// The placement is written, the peer's row is not.
    PlacementWritten,
    /// The peer's row is written; what no longer holds is still in the queue.
    PlacementFollowed,
    /// The entry that tells when a pin expires is written, the pin is not.
    PinAnnounced,
    /// The pin is written; the entry of when it was to expire is still there.
    PinWritten,
    /// A key's hash is claimed, nothing else is written.
    KeyClaimed,
    /// All but the key itself is written.
    KeyPrepared,
}

/// Whether, and how, the work ends.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    /// Where a test wants the process to die.
    wanted: Mutex<Option<Stop>>,
    ended: AtomicBool,
    sweeper: Mutex<Option<JoinHandle<()>>>,
    /// Rows of a bucket, where a test wants fewer.
    bucket_rows: AtomicU64,
}

impl Shared {
    /// Dies here, if a test wants it so.
    pub(super) fn stop(&self, at: Stop) -> Result<()> {
        if *self.stops.wanted.lock() == Some(at) {
            self.stops.ended.store(true, Ordering::Release);
        }
        if self.stops.wanted.lock().is_some() && self.is_ended() {
            return Err(StoreError::Closed);
        }
        Ok(())
    }

    /// Rows of one bucket of an account's list.
    pub(super) fn bucket_rows(&self) -> u64 {
        match self.stops.bucket_rows.load(Ordering::Relaxed) {
            0 => BUCKET_ROWS,
            fewer => fewer,
        }
    }

    /// Whether what is repeated until it succeeds is to be given up.
    pub(super) fn is_ended(&self) -> bool {
        self.stops.ended.load(Ordering::Acquire)
    }

    /// Has what crashes leave behind looked for, from now on.
    pub(super) fn start_sweeping(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        let sweeping = async move {
            loop {
                let longest = u64::try_from(SWEEP_EVERY.as_millis()).unwrap_or(u64::MAX);
                let pause = rand::random_range(longest / 2..=longest);
                sleep(Duration::from_millis(pause)).await;
                let Some(shared) = weak.upgrade() else {
                    return;
                };
                match shared.sweep().await {
                    Ok(swept) if swept.applied + swept.dropped > 0 => {
                        let (applied, dropped) = (swept.applied, swept.dropped);
                        tracing::info!(applied, dropped, "finished what crashes left behind");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "cannot look for unfinished changes"),
                }
                if let Err(error) = shared.look_at_schema().await {
                    tracing::debug!(%error, "cannot look how far the schema is");
                }
            }
        };
        *self.stops.sweeper.lock() = Some(tokio::spawn(sweeping));
    }

    /// Finishes the changes that were accepted, for so long; what is left then, others finish from
    /// its intents.
    pub(super) async fn finish_changes(&self, patience: Duration) {
        if let Some(sweeper) = self.stops.sweeper.lock().take() {
            sweeper.abort();
        }
        let finished = async {
            self.accounts.close().await;
            self.pins.close().await;
        };
        if timeout(patience, finished).await.is_err() {
            tracing::warn!("changes of accounts are left for other processes to finish");
        }
        self.stops.ended.store(true, Ordering::Release);
    }
}

#[cfg(any(test, feature = "contract"))]
impl super::Cql {
    /// Has this process die at a step of its next change of an account: for tests.
    pub fn die_at(&self, at: Stop) {
        *self.shared.stops.wanted.lock() = Some(at);
    }

    /// Has an account's list lie in smaller buckets: for tests, before the first request.
    pub fn make_buckets_of(&self, rows: u64) {
        let bucket_rows = &self.shared.stops.bucket_rows;
        bucket_rows.store(rows, Ordering::Relaxed);
    }

    /// Keeps pins that were lately read for as long as nobody says that they have changed: for
    /// tests.
    pub fn keep_pins_until_told(&self) {
        self.shared.cache.keep_for(u64::MAX);
    }

    /// Finishes or drops what crashes have left behind, if it is of that age: for tests, which do
    /// not wait until the sweep looks at it by itself.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub async fn sweep_older_than(&self, age: Duration) -> Result<super::intent::Swept> {
        let micros = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        self.shared.sweep_older_than(micros).await
    }
}
