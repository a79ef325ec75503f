//! How often a conditional write is tried against others that write the same row, and how long it
//! waits in between.

use crate::error::StoreError;
use std::time::Duration;
use tokio::time::sleep;

/// Attempts at one change. Writers of one process wait for one another, so this many are lost only
/// to as many other processes.
const ATTEMPTS_MAX: u32 = 12;

/// The first pause, about one round of Paxos; each is twice as long, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Attempts at a change of one row.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    attempts: u32,
}

impl Pace {
    /// Waits before the next attempt.
    ///
    /// # Errors
    /// When there have been enough; `what` names the row.
    pub(crate) async fn wait(&mut self, what: &str) -> Result<(), StoreError> {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS_MAX {
            return Err(StoreError::Unavailable {
                doing: format!("write the {what}"),
                source: std::io::Error::other(format!(
                    "others were faster {ATTEMPTS_MAX} times; try again"
                )),
            });
        }
        let longest = PAUSE_MIN.saturating_mul(1 << self.attempts.min(16));
        let longest = u64::try_from(longest.min(PAUSE_MAX).as_micros()).unwrap_or(u64::MAX);
        sleep(Duration::from_micros(rand::random_range(0..=longest))).await;
        Ok(())
    }
}
