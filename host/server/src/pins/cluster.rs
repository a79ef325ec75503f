//! Pinning as IPFS Cluster's peers do it: replication factors, allocations, updates, removal.
//!
//! The rules are those of IPFS Cluster (`cluster.go`: `pin`, `PinUpdate`, `Unpin`), with two
//! differences: what is read and what is written belong together, so two who pin the same at once
//! follow one upon the other; and what is refused changes nothing. Authorizer components are not
//! asked: they judge what accounts ask for, and a cluster's pin is no account's.

mod recover;
mod unpin;

pub use recover::{Again, has_failed, recover};
pub use unpin::{removed_with, unpin};

use super::place::{self, Fleet};
use holdfast_model::action::WritePins;
use holdfast_model::pin::MaxDepth;
use holdfast_model::{
    Cid, ErrorKind, Invalid, PeerId, Pin, PinOptions, PinType, StoredPin, UnixMillis,
};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Store, StoreError};

/// Times that a pin may change under our hands before the caller is told.
const CONFLICTS_MAX: usize = 8;

/// What a cluster's client asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is to be pinned.
    pub cid: Cid,
    /// How deep.
    pub max_depth: MaxDepth,
    /// All else.
    pub options: PinOptions,
}

/// What holds where a wish says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Copies below which a pin is not whole; -1 for one on every peer.
    pub replication_min: i32,
    /// Copies at most; -1 for one on every peer.
    pub replication_max: i32,
}

/// The peers that a wish can be placed on.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// All that are known.
    pub known: Vec<PeerId>,
    /// Those that answer.
    pub healthy: Vec<PeerId>,
}

/// Why a cluster's wish is not fulfilled. The words are IPFS Cluster's where it has some.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The CID is not pinned.
    #[error("pin is not part of the pinset")]
    NotPinned,
    /// Some option cannot be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A recursive pin cannot become a direct one.
    #[error(
        "cannot repin a CID which is already pinned in recursive mode (new pin is pinned as direct). Unpin it first."
    )]
    Deeper,
    /// What is there is of sharded content.
    #[error(
        "cannot repin CID with different tracking method, clear state with pin rm to proceed. New: pin. Was: {0}"
    )]
    OtherType(&'static str),
    /// A part of sharded content cannot go alone.
    #[error("cannot unpin a {0} directly. Unpin content root CID instead")]
    Part(&'static str),
    /// Only plain pins can be updated.
    #[error("this pin type cannot be updated")]
    NotUpdatable,
    /// There are too few peers.
    #[error(
        "not enough peers to allocate CID. Needed at least: {needed}. Wanted at most: {wanted}. Valid candidates: {found}"
    )]
    TooFewPeers {
        /// Copies that must be.
        needed: i32,
        /// Copies that may be.
        wanted: i32,
        /// Peers that answer.
        found: usize,
    },
    /// Accounts want it, and pay for it.
    #[error(
        "{0} pin requests of accounts want this CID; it goes when they are deleted through the Pinning Service API"
    )]
    WantedByAccounts(u64),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClusterError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotPinned => ErrorKind::NotFound,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Deeper
            | Self::OtherType(_)
            | Self::Part(_)
            | Self::NotUpdatable
            | Self::TooFewPeers { .. }
            | Self::WantedByAccounts(_) => ErrorKind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Pins, or changes how something is pinned. With `pin_update` the new pin is what the named one
/// is, but for its name and its last day.
///
/// # Errors
/// The wish cannot be, or the store fails. Nothing has changed then.
pub async fn pin(
    store: &Store,
    permit: &Permit<WritePins>,
    wish: &Wish,
    defaults: Defaults,
    candidates: &Candidates,
    now: UnixMillis,
) -> Result<Pin, ClusterError> {
    if wish.options.expire_at.is_some_and(|day| day <= now) {
        return Err(Invalid::new("expire-at", "lies before current time").into());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let existing = store.pin(&wish.cid).await?;
        let made = match wish.options.pin_update {
            Some(from) if from != wish.cid => updated(store, wish, from, now).await?,
            _ => {
                let existing = existing.as_ref();
                fresh(store, wish, defaults, candidates, existing, now).await?
            }
        };
        let expect = existing
            .as_ref()
            .map_or(Expect::Absent, |stored| Expect::Version(stored.version));
        match store.put_pin(made.clone(), expect).await {
            Err(StoreError::Conflict(_)) if tries < CONFLICTS_MAX => {}
            Err(other) => return Err(other.into()),
            Ok(_) => {
                let was = existing.map(|stored| stored.pin.max_depth);
                if was.is_some_and(|was| was.is_direct() != made.max_depth.is_direct()) {
                    // Peers hold it in the other depth, and nothing else would tell them.
                    recover::begin_anew(store, permit, &made.cid, now).await?;
                }
                return Ok(made);
            }
        }
    }
}

/// The pin that a wish makes.
async fn fresh(
    store: &Store,
    wish: &Wish,
    defaults: Defaults,
    candidates: &Candidates,
    existing: Option<&StoredPin>,
    now: UnixMillis,
) -> Result<Pin, ClusterError> {
    let mut options = wish.options.clone();
    replication(&mut options, defaults)?;
    if let Some(StoredPin { pin, .. }) = existing {
        if pin.pin_type != PinType::Data {
            return Err(ClusterError::OtherType(pin.pin_type.as_str()));
        }
        if !pin.max_depth.is_direct() && wish.max_depth.is_direct() {
            return Err(ClusterError::Deeper);
        }
    }
    let mut pin = Pin {
        cid: wish.cid,
        pin_type: PinType::Data,
        allocations: options.user_allocations.clone(),
        max_depth: wish.max_depth,
        reference: None,
        timestamp: Some(now),
        options,
    };
    pin.allocations = allocations(store, &pin, candidates).await?;
    Ok(pin)
}

/// Puts the defaults where a factor is 0, and refuses pairs that cannot be.
fn replication(options: &mut PinOptions, defaults: Defaults) -> Result<(), Invalid> {
    if options.replication_factor_min == 0 {
        options.replication_factor_min = defaults.replication_min;
    }
    if options.replication_factor_max == 0 {
        options.replication_factor_max = defaults.replication_max;
    }
    let (min, max) = (
        options.replication_factor_min,
        options.replication_factor_max,
    );
    let wrong = |what: &str, why: &str| Err(Invalid::new(what, why));
    if min < -1 {
        return wrong("replication-min", "is below -1; -1 means every peer");
    }
    if max < -1 {
        return wrong("replication-max", "is below -1; -1 means every peer");
    }
    if (min == -1) != (max == -1) {
        let why = "and replication-max must both be -1 when one of them is";
        return wrong("replication-min", why);
    }
    if min > max {
        return wrong("replication-min", "is larger than replication-max");
    }
    Ok(())
}

/// The peers that are to hold a pin; none when all are. Who holds it already comes first, then who
/// is named in `allocations`, and of the rest those that answer.
async fn allocations(
    store: &Store,
    pin: &Pin,
    candidates: &Candidates,
) -> Result<Vec<PeerId>, ClusterError> {
    let (needed, wanted) = (
        pin.options.replication_factor_min,
        pin.options.replication_factor_max,
    );
    if wanted < 0 {
        return Ok(Vec::new());
    }
    let placements = store.placements_of_pin(&pin.cid).await?;
    let holds = |peer: &PeerId| placements.iter().any(|one| one.peer == *peer);
    let fleet = Fleet {
        peers: candidates
            .known
            .iter()
            .filter(|peer| candidates.healthy.contains(peer) || holds(peer))
            .copied()
            .collect(),
        complete: false,
    };
    let mut chosen = place::choose(pin, &placements, &fleet);
    if chosen.len() < usize::try_from(needed).unwrap_or(0) {
        return Err(ClusterError::TooFewPeers {
            needed,
            wanted,
            found: fleet.peers.len(),
        });
    }
    chosen.sort_unstable();
    Ok(chosen)
}

/// The pin that `from` becomes under another CID.
async fn updated(
    store: &Store,
    wish: &Wish,
    from: Cid,
    now: UnixMillis,
) -> Result<Pin, ClusterError> {
    let existing = store.pin(&from).await?.ok_or(ClusterError::NotPinned)?.pin;
    if existing.pin_type != PinType::Data {
        return Err(ClusterError::NotUpdatable);
    }
    let mut pin = Pin {
        cid: wish.cid,
        timestamp: Some(now),
        ..existing
    };
    pin.options.pin_update = Some(from);
    if !wish.options.name.is_empty() {
        pin.options.name.clone_from(&wish.options.name);
    }
    if wish.options.expire_at.is_some() {
        pin.options.expire_at = wish.options.expire_at;
    }
    Ok(pin)
}

#[cfg(test)]
mod tests;
