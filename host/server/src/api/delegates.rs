//! The delegates as text: written once for as long as nothing new is known of the nodes.
//!
//! There are up to twenty, and writing a multiaddr with its peer id costs more than all the rest of
//! answering a read.

use crate::workers::peers::{Node, Peers};
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// The last ones that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Delegates(ArcSwapOption<Written>);

/// Addresses as text, and what was known of the nodes then. As it is held here, another state of
/// knowledge cannot have its address in memory.
#[derive(Debug)]
pub(crate) struct Written {
    nodes: Arc<Vec<Node>>,
    pub(crate) texts: Vec<String>,
}

impl Delegates {
    /// The texts of the addresses that are to be handed out now.
    pub(crate) fn written(&self, peers: &Peers) -> Arc<Written> {
        let nodes = peers.nodes();
        if let Some(last) = self.0.load().as_ref()
            && Arc::ptr_eq(&last.nodes, &nodes)
        {
            return Arc::clone(last);
        }
        let origins = peers.delegates();
        let texts = origins.iter().map(ToString::to_string).collect();
        let written = Arc::new(Written { nodes, texts });
        self.0.store(Some(Arc::clone(&written)));
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::Origin;

    const PEER: &str = "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";

    #[test]
    fn texts_are_written_once_for_each_state_of_knowledge() {
        let delegates = Delegates::default();
        for port in ["4001", "4002"] {
            let address = format!("/ip4/203.0.113.7/tcp/{port}/p2p/{PEER}");
            let known = vec![Origin::parse(&address).unwrap()];
            let peers = Peers::open(&[], known, None);
            let written = delegates.written(&peers);
            assert_eq!(written.texts, [address]);
            assert!(Arc::ptr_eq(&written, &delegates.written(&peers)));
        }
    }
}
