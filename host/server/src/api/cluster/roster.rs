//! The peers that are shown: one for each Kubo node that this host or another of the same store
//! drives.
//!
//! A peer of IPFS Cluster is a process beside a Kubo node, with an identity of its own. Here one
//! host drives any number of nodes, so what stands for the peer is the node, and both bear the
//! node's id. Its name is the address of its RPC API, as its driver calls it. Only nodes of our own
//! can be called: to this machine, another one's address may mean another node.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::pins::cluster::Candidates;
use crate::workers::kubo::Kubo;
use crate::workers::peers::{Node, Peers};
use holdfast_model::PeerId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The nodes as they are known at one moment.
#[derive(Debug, Clone)]
pub(super) struct Roster {
    /// Those that this process drives.
    own: Arc<Vec<Node>>,
    /// Those that others drive.
    others: Arc<Vec<Node>>,
    clients: Arc<BTreeMap<Arc<str>, Kubo>>,
}

impl Roster {
    pub(super) fn of(call: &Call) -> Result<Self, Problem> {
        let cluster = call.cluster()?;
        Ok(Self::new(&call.app().peers, Arc::clone(&cluster.clients)))
    }

    fn new(peers: &Peers, clients: Arc<BTreeMap<Arc<str>, Kubo>>) -> Self {
        Self {
            own: peers.nodes(),
            others: peers.others(),
            clients,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Node> {
        self.own.iter().chain(self.others.iter())
    }

    /// The nodes, each peer once, in the order of their ids.
    pub(super) fn nodes(&self) -> Vec<&Node> {
        // The sort is stable: of what is known twice, our own word comes first.
        let mut each: Vec<&Node> = self.all().collect();
        each.sort_by_key(|node| node.peer);
        each.dedup_by_key(|node| node.peer);
        each
    }

    /// The peer that answers for all.
    pub(super) fn first(&self) -> Result<&Node, Problem> {
        let first = self.all().min_by_key(|node| node.peer);
        first.ok_or_else(Problem::no_node)
    }

    pub(super) fn find(&self, peer: &PeerId) -> Option<&Node> {
        self.all().find(|node| node.peer == *peer)
    }

    /// Whether this process drives the node.
    pub(super) fn is_own(&self, peer: &PeerId) -> bool {
        self.own.iter().any(|own| own.peer == *peer)
    }

    /// What to call a node by, if it is our own.
    pub(super) fn client(&self, node: &Node) -> Option<&Kubo> {
        let client = self.clients.get(&node.api);
        client.filter(|_| self.is_own(&node.peer))
    }

    /// Our own nodes that answer, with what to call them by.
    pub(super) fn answering(&self) -> Vec<(&Node, &Kubo)> {
        let healthy = self.nodes().into_iter().filter(|node| node.healthy);
        healthy
            .filter_map(|node| Some((node, self.client(node)?)))
            .collect()
    }

    /// Some node of our own that answers.
    pub(super) fn any(&self) -> Result<(&Node, &Kubo), Problem> {
        self.can_call()?;
        let answering = self.answering();
        let at = rand::random_range(0..answering.len().max(1));
        answering.get(at).copied().ok_or_else(Problem::no_node)
    }

    /// Whether what only a node's driver can do can be done here: not where all are others'.
    pub(super) fn can_call(&self) -> Result<(), Problem> {
        match self.own.is_empty() && !self.others.is_empty() {
            true => Err(Problem::others_nodes()),
            false => Ok(()),
        }
    }

    pub(super) fn candidates(&self) -> Candidates {
        let nodes = self.nodes();
        let healthy = nodes.iter().filter(|node| node.healthy);
        Candidates {
            healthy: healthy.map(|node| node.peer).collect(),
            known: nodes.iter().map(|node| node.peer).collect(),
        }
    }
}

/// What people call a node.
pub(super) fn name(node: &Node) -> &str {
    let api = &*node.api;
    let bare = api.split_once("://").map_or(api, |(_, rest)| rest);
    bare.trim_end_matches('/')
}
