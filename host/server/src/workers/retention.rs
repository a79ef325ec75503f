//! Trims the change feed: entries go when the placement worker has read them and they lie farther
//! behind the head than the operator wants for those who follow from outside.
//!
//! Every host does it, whatever its role: a store that only cluster nodes use may have no worker at
//! all. One would be enough; several do no harm, since trimming twice changes nothing.
//!
//! A store whose workers have gone for good is not kept from it either: what they have not read
//! goes when it is twice as old as the rest may be (`UNREAD_KEPT`). One that comes back after that
//! reads all pins once.
//!
//! On CQL the feed's cursors are times and what is kept is an age. The embedded feed knows no
//! times: there it is a number of steps.

use super::metrics::WorkMetrics;
use super::placement;
use holdfast_model::Cursor;
use holdfast_store::{Retention, Store, StoreError};
use std::time::Duration;
use tokio::sync::watch;

const WORKER: &str = "retention";

/// How often the feed is trimmed. Nobody keeps less than an hour of it.
const EVERY: Duration = Duration::from_secs(60);

/// How many times as much is kept for workers that have not read it.
const UNREAD_KEPT: u32 = 2;

/// How much is kept, as it may be changed while the host runs.
pub type Kept = watch::Sender<Retention>;

/// Trims at once, then again and again, and whenever `kept` changes. What it is about when it is
/// dropped, the next one does.
pub async fn run(store: Store, kept: Kept, metrics: WorkMetrics) {
    let mut changes = kept.subscribe();
    loop {
        let now = *changes.borrow_and_update();
        if let Err(error) = round(&store, now).await {
            metrics.failures.with_label_values(&[WORKER]).inc();
            tracing::error!(
                kind = %error.kind(),
                %error,
                "the change feed could not be trimmed; it will be tried again"
            );
        }
        tokio::select! {
            // It cannot end: `kept` is held here.
            _ = changes.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn round(store: &Store, kept: Retention) -> Result<(), StoreError> {
    let outdated = store.outdated(kept);
    let upto = match store.follower(placement::FOLLOWER).await? {
        // No worker has ever placed a pin here, and perhaps none ever will. The first one that
        // does finds the feed trimmed and reads all pins once.
        Cursor::START => outdated,
        read => outdated.min(read.max(store.outdated(unread(kept)))),
    };
    if upto > Cursor::START {
        store.trim_changes(upto).await?;
    }
    Ok(())
}

/// How much is kept that placement has not read.
fn unread(kept: Retention) -> Retention {
    Retention {
        age: kept.age.saturating_mul(UNREAD_KEPT),
        steps: kept.steps.saturating_mul(u64::from(UNREAD_KEPT)),
    }
}
