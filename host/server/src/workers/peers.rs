//! The Kubo nodes that are known: their peer ids, addresses and health.

use holdfast_model::Origin;

/// The nodes, as they were last seen.
#[derive(Debug, Clone, Default)]
pub struct Peers {}

impl Peers {
    /// Addresses to hand out as delegates, each ending in `/p2p/…`; what a node last told us, and
    /// never empty once a node has been seen (kept over restarts).
    #[must_use]
    pub fn delegates(&self) -> Vec<Origin> {
        Vec::new()
    }
}
