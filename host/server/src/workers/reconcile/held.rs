//! What a node holds, small enough for millions.

use crate::workers::kubo::{Depth, Kubo, KuboError};
use holdfast_model::Cid;
use std::hash::{BuildHasher, RandomState};

/// A set of CIDs, each as eight bytes of a hash that differs from round to round.
///
/// Two CIDs of ten million collide with a chance of one in 400,000; then one lost pin is overlooked
/// for one round.
pub(super) struct Held {
    hasher: RandomState,
    sorted: Vec<u64>,
}

impl Held {
    pub(super) fn contains(&self, cid: &Cid) -> bool {
        self.sorted.binary_search(&self.hasher.hash_one(cid)).is_ok()
    }
}

/// Asks a node for all its pins, recursive and direct.
pub(super) async fn read(kubo: &Kubo) -> Result<Held, KuboError> {
    let hasher = RandomState::new();
    let mut sorted = Vec::new();
    for depth in [Depth::Recursive, Depth::Direct] {
        kubo.pins(depth, |cid| sorted.push(hasher.hash_one(cid))).await?;
    }
    sorted.sort_unstable();
    Ok(Held { hasher, sorted })
}
