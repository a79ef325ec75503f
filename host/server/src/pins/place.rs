//! Placing: which peers are to hold a pin.
//!
//! The verb looks at what is wanted and at what is there, and writes the difference: doing it twice
//! changes nothing, and doing it late is as good as doing it in time.

use super::nodes;
use holdfast_model::action::DriveWork;
use holdfast_model::{
    Cid, PeerId, Pin, PinType, Placement, PlacementState, RequestStatus, StoredPin, UnixMillis,
};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Store, StoreError};
use sha2::{Digest, Sha256};

/// Times that a row may change under our hands before we let the next round do it.
const CONFLICTS_MAX: usize = 5;

/// Requests looked at in one read.
const PAGE_ROWS: u32 = 256;

/// The peers that pins can be placed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Those that are known.
    pub peers: Vec<PeerId>,
    /// Whether that is surely all of them; only then is a placement elsewhere forgotten, unless
    /// another process has driven the node lately ([`nodes`]).
    pub complete: bool,
}

/// Why a pin is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody changed something: a request that waits starts a pin that was given up anew.
    Change,
    /// A round that looks at everything.
    Round,
}

/// What placing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// Peers that have something to do now.
    pub changed: Vec<PeerId>,
    /// Whether anybody wants the pin.
    pub wanted: bool,
}

/// Writes what each peer is to do about a pin: begin, begin again, or let go.
///
/// # Errors
/// The store's; `Conflict` if the rows never stood still.
pub async fn place(
    store: &Store,
    permit: &Permit<DriveWork>,
    cid: &Cid,
    fleet: &Fleet,
    occasion: Occasion,
    now: UnixMillis,
) -> Result<Placed, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match once(store, permit, cid, fleet, occasion, now).await {
            Err(StoreError::Conflict(_)) if tries < CONFLICTS_MAX => {}
            other => return other,
        }
    }
}

/// Lets go of a pin that a peer holds and of which nothing is known here.
///
/// # Errors
/// The store's.
pub async fn let_go(
    store: &Store,
    _permit: &Permit<DriveWork>,
    cid: &Cid,
    peer: &PeerId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let stray = fresh(cid, peer, PlacementState::UnpinQueued, now);
    match store.put_placement(stray, Expect::Absent).await {
        Err(StoreError::Conflict(_)) => Ok(()),
        other => other.map(drop),
    }
}

async fn once(
    store: &Store,
    _permit: &Permit<DriveWork>,
    cid: &Cid,
    fleet: &Fleet,
    occasion: Occasion,
    now: UnixMillis,
) -> Result<Placed, StoreError> {
    let stored = store.pin(cid).await?;
    let placements = store.placements_of_pin(cid).await?;
    let wanted = stored.as_ref().filter(|stored| is_placed(stored));
    let targets = wanted.map_or_else(Vec::new, |stored| choose(&stored.pin, &placements, fleet));
    let mut placed = Placed {
        changed: Vec::new(),
        wanted: wanted.is_some(),
    };
    for placement in &placements {
        if !targets.contains(&placement.peer) {
            if release(store, placement, fleet, now).await? {
                placed.changed.push(placement.peer);
            }
        } else if is_to_begin_again(store, placement, occasion).await? {
            let again = fresh(cid, &placement.peer, PlacementState::PinQueued, now);
            let expect = Expect::Version(placement.version);
            store.put_placement(again, expect).await?;
            placed.changed.push(placement.peer);
        }
    }
    for peer in &targets {
        if !placements.iter().any(|placement| placement.peer == *peer) {
            let new = fresh(cid, peer, PlacementState::PinQueued, now);
            store.put_placement(new, Expect::Absent).await?;
            placed.changed.push(*peer);
        }
    }
    if let Some(stored) = wanted {
        allocate(store, stored, targets, fleet).await?;
    }
    Ok(placed)
}

/// Whether a pin is one that peers hold. A meta pin only names the shards that are.
fn is_placed(stored: &StoredPin) -> bool {
    stored.is_wanted() && stored.pin.pin_type != PinType::Meta
}

/// The peers that are to hold a pin: all, or as many as it asks for. Those that hold it already
/// come first, so that a pin does not wander, then those that it names; rendezvous hashing spreads
/// the rest.
pub(super) fn choose(pin: &Pin, placements: &[Placement], fleet: &Fleet) -> Vec<PeerId> {
    let copies = pin.options.replication_factor_max;
    let Some(copies) = usize::try_from(copies).ok().filter(|copies| *copies > 0) else {
        return fleet.peers.clone();
    };
    let holds = |peer: &PeerId| {
        let kept = |p: &&Placement| p.peer == *peer && p.state != PlacementState::UnpinQueued;
        placements.iter().any(|p| kept(&p))
    };
    let mut ranked: Vec<_> = fleet
        .peers
        .iter()
        .map(|peer| {
            let named = pin.allocations.contains(peer);
            (!holds(peer), !named, weight(&pin.cid, peer), *peer)
        })
        .collect();
    ranked.sort_unstable();
    ranked
        .into_iter()
        .take(copies)
        .map(|(.., peer)| peer)
        .collect()
}

/// Rendezvous hashing: each pair of pin and peer has a weight that never changes.
fn weight(cid: &Cid, peer: &PeerId) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(cid.to_bytes());
    hash.update(peer.to_bytes());
    hash.finalize().into()
}

/// Has a peer let go of a pin, and says whether it was to be told. A peer that is surely gone is
/// forgotten: nobody could ever tell it.
async fn release(
    store: &Store,
    placement: &Placement,
    fleet: &Fleet,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let (cid, peer) = (&placement.cid, &placement.peer);
    let expect = Expect::Version(placement.version);
    if !fleet.peers.contains(peer) {
        if fleet.complete && !nodes::is_driven(store, peer, now).await? {
            store.delete_placement(cid, peer, expect).await?;
        }
        return Ok(false);
    }
    if placement.state == PlacementState::UnpinQueued {
        return Ok(false);
    }
    let release = fresh(cid, peer, PlacementState::UnpinQueued, now);
    store.put_placement(release, expect).await?;
    Ok(true)
}

/// Whether a placement that is wanted must start from the beginning: it was being let go, or was
/// given up and has been asked for again.
async fn is_to_begin_again(
    store: &Store,
    placement: &Placement,
    occasion: Occasion,
) -> Result<bool, StoreError> {
    match (placement.state, occasion) {
        (PlacementState::UnpinQueued, _) => Ok(true),
        (PlacementState::PinError, Occasion::Change) => somebody_waits(store, &placement.cid).await,
        _ => Ok(false),
    }
}

async fn somebody_waits(store: &Store, cid: &Cid) -> Result<bool, StoreError> {
    let mut after = None;
    loop {
        let mut page = store
            .requests_of_pin(cid, after.as_ref(), PAGE_ROWS)
            .await?;
        if page
            .iter()
            .any(|request| request.status == RequestStatus::Queued)
        {
            return Ok(true);
        }
        after = page.pop();
        if after.is_none() {
            return Ok(false);
        }
    }
}

/// A placement at its beginning.
///
/// Letting go is due since ever: it comes before all pinning, which may wait long for content, and
/// it cancels what is under way.
fn fresh(cid: &Cid, peer: &PeerId, state: PlacementState, now: UnixMillis) -> Placement {
    let due = match state {
        PlacementState::UnpinQueued => UnixMillis::EPOCH,
        _ => now,
    };
    Placement {
        cid: *cid,
        peer: *peer,
        state,
        due: Some(due),
        attempts: 0,
        error: None,
        dag_size: None,
        updated: now,
        version: 0,
    }
}

/// Writes the chosen peers into the pin; none when it is on all. Allocations that name peers of
/// somebody else's cluster are left to whoever wrote them.
async fn allocate(
    store: &Store,
    stored: &StoredPin,
    mut targets: Vec<PeerId>,
    fleet: &Fleet,
) -> Result<(), StoreError> {
    let has = &stored.pin.allocations;
    if stored.by_cluster && has.iter().any(|peer| !fleet.peers.contains(peer)) {
        return Ok(());
    }
    if stored.pin.options.replication_factor_max <= 0 {
        targets.clear();
    }
    targets.sort_unstable();
    let mut sorted = has.clone();
    sorted.sort_unstable();
    if sorted != targets {
        let cid = &stored.pin.cid;
        store.allocate_pin(cid, stored.version, targets).await?;
    }
    Ok(())
}
