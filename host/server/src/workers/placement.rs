//! Follows the change feed and places pins: what is wanted is queued on its peers, what is not is
//! let go there.
//!
//! The follower's cursor is saved after a batch has been dealt with, so a crash repeats some of it;
//! placing is idempotent. As long as no node has ever been seen there is nothing to place on, and
//! the feed waits.

use super::crew::{Crew, PAUSE, WorkError, together};
use super::reconcile::Asked;
use crate::pins::place::{Fleet, Occasion, place};
use holdfast_model::action::DriveWork;
use holdfast_model::{Change, Cid};
use holdfast_policy::Permit;
use holdfast_store::StoreError;
use std::collections::HashSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The name under which the store keeps how far placement has read.
pub(super) const FOLLOWER: &str = "placement";

/// Changes read at once; a crash repeats so many at most.
const BATCH_ROWS: u32 = 256;

/// Pins placed at once: enough to share a group commit.
const PLACED_AT_ONCE: usize = 32;

/// The feed is looked at so often even if nothing moves: in production others write it too.
const LOOK: Duration = Duration::from_secs(1);

/// Places until `stop`.
pub(super) async fn run(crew: Crew, stop: CancellationToken) {
    let mut head = crew.store.head();
    let mut fleet_changes = crew.peers.changes();
    loop {
        head.borrow_and_update();
        fleet_changes.borrow_and_update();
        let pause = match batch(&crew).await {
            Ok(more) if more => continue,
            Ok(_) => LOOK,
            Err(error) => {
                crew.failed(FOLLOWER, &error);
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = head.changed() => {}
            _ = fleet_changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Deals with one batch of changes; says whether there may be more.
async fn batch(crew: &Crew) -> Result<bool, WorkError> {
    let fleet = crew.fleet();
    let cursor = crew.store.follower(FOLLOWER).await?;
    let lag = crew.store.head().borrow().0.saturating_sub(cursor.0);
    crew.metrics
        .feed_lag
        .set(i64::try_from(lag).unwrap_or(i64::MAX));
    if fleet.peers.is_empty() {
        return Ok(false);
    }
    let changes = match crew.store.changes(cursor, BATCH_ROWS).await {
        Err(StoreError::CursorTooOld { oldest }) => {
            // The first worker of a store that others filled finds it so: see `retention`.
            tracing::warn!(
                ?cursor,
                ?oldest,
                "the change feed was trimmed before placement read it; all pins are read once"
            );
            let is_read = Asked::and_wait(&crew.rounds).await;
            if is_read {
                crew.store.save_follower(FOLLOWER, oldest).await?;
            }
            return Ok(is_read);
        }
        other => other?,
    };
    let Some(last) = changes.last() else {
        return Ok(false);
    };
    let permit = crew.permit(FOLLOWER)?;
    place_all(crew, &permit, &changes, &fleet).await?;
    crew.store.save_follower(FOLLOWER, last.cursor).await?;
    Ok(true)
}

async fn place_all(
    crew: &Crew,
    permit: &Permit<DriveWork>,
    changes: &[Change],
    fleet: &Fleet,
) -> Result<(), WorkError> {
    let each: HashSet<Cid> = changes.iter().map(|change| change.cid).collect();
    let work = each.into_iter().map(|cid| one(crew, permit, cid, fleet));
    together(work.collect(), PLACED_AT_ONCE).await
}

/// Places one pin and tells its requests where it stands: one that is new may want what is pinned
/// already.
async fn one(
    crew: &Crew,
    permit: &Permit<DriveWork>,
    cid: Cid,
    fleet: &Fleet,
) -> Result<(), WorkError> {
    let placed = place(
        &crew.store,
        permit,
        &cid,
        fleet,
        Occasion::Change,
        crew.now(),
    )
    .await;
    let settled = match placed {
        Ok(placed) => {
            crew.bells.ring(&placed.changed);
            crew.settle(permit, &cid, None).await
        }
        Err(error) => Err(error),
    };
    match settled {
        // A row that cannot be read must not hold up all that comes after it.
        Err(error) if !error.kind().is_transient() && !matches!(error, StoreError::Conflict(_)) => {
            crew.failed(FOLLOWER, &error.into());
            Ok(())
        }
        other => Ok(other?),
    }
}
