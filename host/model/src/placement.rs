//! Where a pin lives: one row for each pin and peer, and how far that peer is with it.

use crate::cid::Cid;
use crate::peer::PeerId;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// How far a peer is with a pin. The names are IPFS Cluster's tracker statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementState {
    /// Wanted there, not begun (or to be tried again at `due`).
    PinQueued,
    /// The peer is fetching it.
    Pinning,
    /// The peer has it, whole.
    Pinned,
    /// Given up after too many failures; tried again only when asked, or much later.
    PinError,
    /// Not wanted there any more, not begun (or to be tried again at `due`).
    UnpinQueued,
}

impl PlacementState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PinQueued,
        Self::Pinning,
        Self::Pinned,
        Self::PinError,
        Self::UnpinQueued,
    ];

    /// The name in logs, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PinQueued => "pin_queued",
            Self::Pinning => "pinning",
            Self::Pinned => "pinned",
            Self::PinError => "pin_error",
            Self::UnpinQueued => "unpin_queued",
        }
    }
}

/// One pin on one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The pin.
    pub cid: Cid,
    /// The peer.
    pub peer: PeerId,
    /// How far it is.
    pub state: PlacementState,
    /// When somebody must look at it next; `None` when it is settled. Unsettled work is found by
    /// this, after a crash too.
    pub due: Option<UnixMillis>,
    /// Failures in a row.
    pub attempts: u32,
    /// What went wrong last.
    pub error: Option<String>,
    /// Bytes of the whole DAG, once known.
    pub dag_size: Option<u64>,
    /// When the row last changed.
    pub updated: UnixMillis,
    /// Grows at each change and is never used again for this pin and peer; the store sets it.
    pub version: u64,
}
