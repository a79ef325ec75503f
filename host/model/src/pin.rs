//! Pins: cluster state, one for each full CID, as IPFS Cluster keeps it (`api.Pin`).
//!
//! A pin lives while a pin request or a cluster node wants it. Its protobuf form (`proto`) is byte
//! for byte what IPFS Cluster writes, its JSON form (`json`) what IPFS Cluster answers for a pin
//! that it has stored: times in whole seconds, `mode` derived from `max_depth`.

pub mod export;
mod json;
mod proto;

pub use json::{PinReader, PinWriter};

use crate::cid::Cid;
use crate::error::Invalid;
use crate::peer::{Origin, PeerId};
use crate::time::UnixMillis;
use std::collections::BTreeMap;

/// What a pin is of. Only `Data` pins are made through the Pinning Service API; the others belong
/// to sharded content in IPFS Cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum PinType {
    /// Not told; IPFS Cluster's zero value.
    #[default]
    Bad,
    /// A plain pin.
    Data,
    /// The root of sharded content.
    Meta,
    /// The DAG that links the shards.
    ClusterDag,
    /// One shard.
    Shard,
}

impl PinType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Bad,
        Self::Data,
        Self::Meta,
        Self::ClusterDag,
        Self::Shard,
    ];

    /// The name in IPFS Cluster's JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "bad-type",
            Self::Data => "pin",
            Self::Meta => "meta-pin",
            Self::ClusterDag => "clusterdag-pin",
            Self::Shard => "shard-pin",
        }
    }

    /// Parses the name.
    ///
    /// # Errors
    /// Any other text; `all` too, which IPFS Cluster uses in filters only.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Invalid::new(
                "type",
                format!("{name:?} is no pin type; write one of {known}"),
            )
        })
    }
}

/// How deep a pin reaches below its root: -1 all the way (recursive), 0 the root block only
/// (direct), 1 a shard and its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MaxDepth(pub i32);

impl MaxDepth {
    /// Everything below the root.
    pub const RECURSIVE: Self = Self(-1);
    /// The root block only.
    pub const DIRECT: Self = Self(0);

    /// Whether only the root block is pinned. Every depth but 0 counts as recursive, as in IPFS
    /// Cluster (`api.PinDepth.ToPinMode`).
    #[must_use]
    pub const fn is_direct(self) -> bool {
        self.0 == 0
    }

    /// The depth as IPFS Cluster's `mode`.
    #[must_use]
    pub const fn mode(self) -> &'static str {
        if self.is_direct() {
            "direct"
        } else {
            "recursive"
        }
    }

    /// The depth that a `mode` means.
    ///
    /// # Errors
    /// Any other text than `recursive` and `direct`.
    pub fn of_mode(mode: &str) -> Result<Self, Invalid> {
        match mode {
            "recursive" => Ok(Self::RECURSIVE),
            "direct" => Ok(Self::DIRECT),
            _ => Err(Invalid::new(
                "mode",
                format!("{mode:?} is no pin mode; write recursive or direct"),
            )),
        }
    }
}

/// What can be chosen for a pin (`api.PinOptions`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PinOptions {
    /// Copies below which the cluster must mend; 0 the cluster's default, -1 on every peer.
    pub replication_factor_min: i32,
    /// Copies at most; 0 and -1 as above.
    pub replication_factor_max: i32,
    /// A name for people; not unique.
    pub name: String,
    /// Bytes of a shard when content is added in shards.
    pub shard_size: u64,
    /// Peers asked for by the caller. Never stored.
    pub user_allocations: Vec<PeerId>,
    /// When it is to go; stored in whole seconds.
    pub expire_at: Option<UnixMillis>,
    /// Free pairs.
    pub metadata: BTreeMap<String, String>,
    /// The pin whose content this one mostly shares.
    pub pin_update: Option<Cid>,
    /// Where the content can be had.
    pub origins: Vec<Origin>,
}

/// A pin (`api.Pin`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What is pinned, and the pin's key.
    pub cid: Cid,
    /// What it is of.
    pub pin_type: PinType,
    /// The peers it is placed on; empty when it is on all.
    pub allocations: Vec<PeerId>,
    /// How deep it reaches.
    pub max_depth: MaxDepth,
    /// For sharded content: the pin it belongs to.
    pub reference: Option<Cid>,
    /// When it was pinned; stored in whole seconds.
    pub timestamp: Option<UnixMillis>,
    /// What was chosen for it.
    pub options: PinOptions,
}

impl Pin {
    /// A recursive pin of plain content with everything else at its default.
    #[must_use]
    pub fn recursive(cid: Cid, timestamp: UnixMillis) -> Self {
        Self {
            cid,
            pin_type: PinType::Data,
            allocations: Vec::new(),
            max_depth: MaxDepth::RECURSIVE,
            reference: None,
            timestamp: Some(timestamp),
            options: PinOptions::default(),
        }
    }

    /// The pin as it reads once it has been stored: times in whole seconds, of which the epoch is
    /// none, and without the peers that the caller asked for.
    #[must_use]
    pub fn into_stored(self) -> Self {
        let whole = |instant: UnixMillis| match instant.as_seconds() {
            0 => None,
            seconds => Some(UnixMillis::from_seconds(seconds)),
        };
        Self {
            timestamp: self.timestamp.and_then(whole),
            options: PinOptions {
                expire_at: self.options.expire_at.and_then(whole),
                user_allocations: Vec::new(),
                ..self.options
            },
            ..self
        }
    }

    /// About how many bytes it is, for bounds of memory: the sum of what may be long. It is written
    /// in no form to know that, since lists of millions of pins ask.
    #[must_use]
    pub fn weight(&self) -> usize {
        let options = &self.options;
        let pairs = options.metadata.iter();
        let pairs: usize = pairs.map(|(key, value)| key.len() + value.len()).sum();
        let origins: usize = options.origins.iter().map(Origin::weight).sum();
        let peers = self.allocations.len() + options.user_allocations.len();
        size_of::<Self>() + options.name.len() + pairs + origins + peers * size_of::<PeerId>()
    }
}

/// A pin as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPin {
    /// The pin.
    pub pin: Pin,
    /// Grows at each change and is never used again for this CID, not after a removal either;
    /// conditional updates name the one they saw.
    pub version: u64,
    /// How many pin requests want it; from 1,000 on, that many or more.
    pub requests: u64,
    /// Whether a cluster node put it, and so wants it whatever the requests do.
    pub by_cluster: bool,
}

impl StoredPin {
    /// Whether anybody still wants it.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.by_cluster || self.requests > 0
    }
}
