//! Which nodes are driven, as the processes of one store tell each other: a record for each node,
//! written again and again by whoever drives it.
//!
//! A store that one process has to itself has no such records: there is nobody to be told.
//!
//! *Invariant:* a node's record is there before a pin is placed on the node, and stands for a day.
//! So no process takes a placement for one on a node that is gone only because it does not drive
//! that node itself.

use holdfast_model::action::DriveWork;
use holdfast_model::{Origin, PeerId, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Kept, Record, Store, StoreError};
use serde::{Deserialize, Serialize};

/// For so long a node counts as one of the service's after the last word of it: a machine that is
/// back within a day finds its placements as they were.
const KEPT_MILLIS: u64 = 86_400_000;

/// Records read at once.
const PAGE_ROWS: u32 = 256;

/// All processes' nodes lie together.
const OWNER: &str = "";

/// A node, as whoever drives it tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrivenNode {
    /// The peer id as text.
    id: String,
    /// The peer id.
    pub peer: PeerId,
    /// The RPC address, as its driver calls it. To other machines it may mean another node.
    pub api: String,
    /// Where clients reach it.
    pub addresses: Vec<Origin>,
    /// Its software.
    pub agent: String,
    /// Whether it answered its driver when last asked.
    pub healthy: bool,
    /// When it last answered.
    pub last_seen: UnixMillis,
    /// When this was written, by the clock of whoever did.
    written: UnixMillis,
}

impl Record for DrivenNode {
    const KIND: &'static str = "kubo-node";

    fn owner(&self) -> &str {
        OWNER
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn expires(&self) -> Option<UnixMillis> {
        Some(self.written.plus_millis(KEPT_MILLIS))
    }
}

impl DrivenNode {
    /// A node that answers.
    #[must_use]
    pub fn answering(
        api: &str,
        peer: PeerId,
        addresses: Vec<Origin>,
        agent: String,
        now: UnixMillis,
    ) -> Self {
        Self {
            id: peer.to_string(),
            peer,
            api: api.to_owned(),
            addresses,
            agent,
            healthy: true,
            last_seen: now,
            written: now,
        }
    }

    /// Whether this tells nothing that the other does not, but for when.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.peer, self.healthy, &self.api) == (other.peer, other.healthy, &other.api)
            && (&self.addresses, &self.agent) == (&other.addresses, &other.agent)
    }
}

/// Tells the other processes of a node; answers whether it was new to them.
///
/// # Errors
/// The store's.
pub async fn tell(
    store: &Store,
    _permit: &Permit<DriveWork>,
    node: DrivenNode,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let is_new = !is_driven(store, &node.peer, now).await?;
    let node = DrivenNode {
        written: now,
        ..node
    };
    store.put_record(&node, Expect::Any, now).await?;
    Ok(is_new)
}

/// Whether some process has driven a node within a day.
///
/// # Errors
/// The store's.
pub async fn is_driven(store: &Store, peer: &PeerId, now: UnixMillis) -> Result<bool, StoreError> {
    let id = peer.to_string();
    let found = store.record::<DrivenNode>(OWNER, &id, now).await?;
    Ok(found.is_some())
}

/// All nodes that were driven within a day.
///
/// # Errors
/// The store's.
pub async fn driven(store: &Store, now: UnixMillis) -> Result<Vec<Kept<DrivenNode>>, StoreError> {
    let mut all: Vec<Kept<DrivenNode>> = Vec::new();
    loop {
        let after = all.last().map(|last| last.value.id.clone());
        let page = store.records(OWNER, after.as_deref(), PAGE_ROWS, now);
        let page = page.await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
