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
    hashes: Vec<u64>,
}

impl Held {
    /// An empty set that hashes as this one does.
    pub(super) fn nothing(&self) -> Self {
        Self {
            hasher: self.hasher.clone(),
            hashes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, cid: &Cid) {
        self.hashes.push(self.hasher.hash_one(cid));
    }

    /// To be called between the last `add` and the first `contains`.
    pub(super) fn sort(&mut self) {
        self.hashes.sort_unstable();
    }

    pub(super) fn contains(&self, cid: &Cid) -> bool {
        let hash = self.hasher.hash_one(cid);
        self.hashes.binary_search(&hash).is_ok()
    }
}

/// Asks a node for all its pins, recursive and direct.
pub(super) async fn read(kubo: &Kubo) -> Result<Held, KuboError> {
    let mut held = Held {
        hasher: RandomState::new(),
        hashes: Vec::new(),
    };
    for depth in [Depth::Recursive, Depth::Direct] {
        kubo.pins(depth, |cid| held.add(&cid)).await?;
    }
    held.sort();
    Ok(held)
}
