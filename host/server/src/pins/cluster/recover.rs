//! Recovering: what has failed is due at once, with all its attempts before it.

use holdfast_model::action::WritePins;
use holdfast_model::{Cid, PeerId, Placement, PlacementState, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Store, StoreError};

/// What was queued again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// The peers that have something to do now.
    pub peers: Vec<PeerId>,
}

/// Queues anew what has failed on the peers of a pin, and on those that `lost` it although they
/// had it. What goes well is left alone.
///
/// # Errors
/// The store's.
pub async fn recover(
    store: &Store,
    permit: &Permit<WritePins>,
    cid: &Cid,
    lost: &[PeerId],
    now: UnixMillis,
) -> Result<Again, StoreError> {
    let mut again = Again::default();
    for placement in store.placements_of_pin(cid).await? {
        let is_lost = placement.state == PlacementState::Pinned && lost.contains(&placement.peer);
        if (is_lost || has_failed(&placement)) && repair(store, permit, &placement, now).await? {
            again.peers.push(placement.peer);
        }
    }
    Ok(again)
}

/// Queues one placement anew; says whether it was still what the caller saw.
///
/// # Errors
/// The store's.
async fn repair(
    store: &Store,
    _permit: &Permit<WritePins>,
    placement: &Placement,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let queued = Placement {
        state: match placement.state {
            PlacementState::UnpinQueued => PlacementState::UnpinQueued,
            _ => PlacementState::PinQueued,
        },
        due: Some(now),
        attempts: 0,
        error: None,
        updated: now,
        ..placement.clone()
    };
    let expect = Expect::Version(placement.version);
    match store.put_placement(queued, expect).await {
        Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => Ok(false),
        other => other.map(|_| true),
    }
}

/// Has every peer of a pin begin from the beginning: it is to be held otherwise than it was.
pub(super) async fn begin_anew(
    store: &Store,
    permit: &Permit<WritePins>,
    cid: &Cid,
    now: UnixMillis,
) -> Result<(), StoreError> {
    for placement in store.placements_of_pin(cid).await? {
        if placement.state != PlacementState::UnpinQueued {
            repair(store, permit, &placement, now).await?;
        }
    }
    Ok(())
}

/// Whether a placement waits because something went wrong.
#[must_use]
pub fn has_failed(placement: &Placement) -> bool {
    match placement.state {
        PlacementState::PinError => true,
        PlacementState::PinQueued | PlacementState::UnpinQueued => placement.attempts > 0,
        PlacementState::Pinning | PlacementState::Pinned => false,
    }
}
