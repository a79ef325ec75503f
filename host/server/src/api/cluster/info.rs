//! How a pin fares on each peer, in IPFS Cluster's shape (`api.GlobalPinInfo`).

use super::filter::{Filter, Tracked};
use super::roster::{self, Roster};
use crate::workers::peers::Node;
use holdfast_model::{Cid, Origin, PeerId, PinType, Placement, StoredPin, UnixMillis};
use serde::Serialize;
use std::collections::BTreeMap;

/// Go's zero time: "not set" wherever IPFS Cluster writes a time.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A pin over all its peers.
#[derive(Debug, Serialize)]
pub(super) struct Info<'a> {
    cid: &'a Cid,
    name: &'a str,
    allocations: &'a [PeerId],
    origins: &'a [Origin],
    created: String,
    metadata: Option<&'a BTreeMap<String, String>>,
    peer_map: BTreeMap<PeerId, OnPeer<'a>>,
}

/// A pin on one peer.
#[derive(Debug, Serialize)]
struct OnPeer<'a> {
    peername: &'a str,
    ipfs_peer_id: PeerId,
    #[serde(skip_serializing_if = "<[Origin]>::is_empty")]
    ipfs_peer_addresses: &'a [Origin],
    status: &'static str,
    timestamp: String,
    error: &'a str,
    attempt_count: u32,
    priority_pin: bool,
}

/// What is known of one pin.
pub(super) struct Known<'a> {
    pub(super) cid: &'a Cid,
    pub(super) stored: Option<&'a StoredPin>,
    pub(super) placements: &'a [Placement],
}

/// What of it is to be shown, and when.
pub(super) struct View<'a> {
    pub(super) roster: &'a Roster,
    pub(super) filter: &'a Filter,
    /// Peers of this host alone.
    pub(super) is_local: bool,
    pub(super) now: UnixMillis,
}

impl View<'_> {
    /// The pin on the peers that are to be shown.
    pub(super) fn of<'a>(&'a self, known: &Known<'a>) -> Info<'a> {
        let mut peer_map = BTreeMap::new();
        for placement in known.placements {
            let node = self.roster.find(&placement.peer);
            if self.is_local && !self.roster.is_own(&placement.peer) {
                continue;
            }
            let tracked = match known.stored {
                Some(_) => Tracked::of(placement),
                None => removed(placement),
            };
            if self.filter.wants(tracked) {
                peer_map.insert(placement.peer, placed(placement, tracked, node));
            }
        }
        for node in self.roster.nodes() {
            let is_placed = known.placements.iter().any(|one| one.peer == node.peer);
            if is_placed || self.is_local && !self.roster.is_own(&node.peer) {
                continue;
            }
            let tracked = elsewhere(known.stored, &node.peer);
            if self.filter.wants(tracked) {
                peer_map.insert(node.peer, unplaced(node, tracked, self.now));
            }
        }
        let pin = known.stored.map(|stored| &stored.pin);
        let metadata = pin.map(|pin| &pin.options.metadata);
        Info {
            cid: known.cid,
            name: pin.map_or("", |pin| &pin.options.name),
            allocations: pin.map_or(&[], |pin| &pin.allocations),
            origins: pin.map_or(&[], |pin| &pin.options.origins),
            created: time(pin.and_then(|pin| pin.timestamp)),
            metadata: metadata.filter(|metadata| !metadata.is_empty()),
            peer_map,
        }
    }
}

impl Info<'_> {
    /// Whether a filter leaves anything of it. Without one, a pin is shown that is on no peer yet.
    pub(super) fn is_shown(&self, filter: &Filter) -> bool {
        *filter == Filter::ALL || !self.peer_map.is_empty()
    }

    /// On these peers alone.
    pub(super) fn on(mut self, peers: &[PeerId]) -> Self {
        self.peer_map.retain(|peer, _| peers.contains(peer));
        self
    }
}

/// A pin that nobody wants any more is being removed, whether the peer has been told yet or not.
fn removed(placement: &Placement) -> Tracked {
    match Tracked::of(placement) {
        Tracked::UnpinError => Tracked::UnpinError,
        _ => Tracked::UnpinQueued,
    }
}

/// How a peer fares with a pin of which it has been told nothing.
fn elsewhere(stored: Option<&StoredPin>, peer: &PeerId) -> Tracked {
    let Some(StoredPin { pin, .. }) = stored else {
        return Tracked::Unpinned;
    };
    if pin.pin_type == PinType::Meta {
        return Tracked::Sharded;
    }
    let is_everywhere = pin.options.replication_factor_max <= 0;
    if is_everywhere || pin.allocations.contains(peer) {
        Tracked::PinQueued
    } else {
        Tracked::Remote
    }
}

fn placed<'a>(placement: &'a Placement, tracked: Tracked, node: Option<&'a Node>) -> OnPeer<'a> {
    OnPeer {
        peername: node.map_or("", roster::name),
        ipfs_peer_id: placement.peer,
        ipfs_peer_addresses: node.map_or(&[], |node| &node.addresses),
        status: tracked.as_str(),
        timestamp: time(Some(placement.updated)),
        error: placement.error.as_deref().unwrap_or_default(),
        attempt_count: placement.attempts,
        priority_pin: false,
    }
}

fn unplaced(node: &Node, tracked: Tracked, now: UnixMillis) -> OnPeer<'_> {
    OnPeer {
        peername: roster::name(node),
        ipfs_peer_id: node.peer,
        ipfs_peer_addresses: &node.addresses,
        status: tracked.as_str(),
        timestamp: time(Some(now)),
        error: "",
        attempt_count: 0,
        priority_pin: false,
    }
}

/// A time as Go writes it.
pub(super) fn time(at: Option<UnixMillis>) -> String {
    at.map_or_else(|| ZERO_TIME.to_owned(), |at| at.shortest().to_string())
}
