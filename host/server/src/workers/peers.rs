//! The Kubo nodes that are known: their peer ids, addresses and health.
//!
//! What a node last said of itself is kept in a file, so that after a restart clients still get
//! delegates and pins are still placed while the node is down. Only before the very first contact
//! with any node is nothing known: then [`Peers::delegates`] is empty, unless the operator named
//! some (`kubo.delegates`), and pins wait unplaced.

mod address;
mod file;
pub mod others;

use super::kubo::NodeId;
use arc_swap::{ArcSwap, ArcSwapOption};
use holdfast_model::limits::DELEGATES_MAX;
use holdfast_model::{Origin, PeerId, UnixMillis};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// A node as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The RPC address, as configured.
    pub api: Arc<str>,
    /// Its peer id.
    pub peer: PeerId,
    /// Where clients reach it, each ending in `/p2p/…`.
    pub addresses: Vec<Origin>,
    /// Its software.
    pub agent: String,
    /// Whether it answered when last asked.
    pub healthy: bool,
    /// When it last answered.
    pub last_seen: UnixMillis,
}

/// The nodes, as they were last seen. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nodes: ArcSwap<Vec<Node>>,
    /// Those that other processes drive; nothing before it was heard who they are.
    others: ArcSwapOption<Vec<Node>>,
    changed: watch::Sender<u64>,
    delegates: Vec<Origin>,
    /// RPC addresses that are configured; only their nodes are known.
    apis: Vec<Arc<str>>,
    file: Option<PathBuf>,
}

impl Default for Peers {
    /// Nobody, kept nowhere.
    fn default() -> Self {
        Self::open(&[], Vec::new(), None)
    }
}

impl Peers {
    /// The nodes at these RPC addresses, as `file` remembers them. `delegates` are shown to clients
    /// instead of the nodes' own addresses, if there are any. A file that cannot be read is logged
    /// and passed over: the nodes will tell again.
    #[must_use]
    pub fn open(apis: &[String], delegates: Vec<Origin>, file: Option<PathBuf>) -> Self {
        let apis: Vec<Arc<str>> = apis.iter().map(|api| Arc::from(api.as_str())).collect();
        let mut nodes = file.as_deref().map(file::read).unwrap_or_default();
        nodes.retain(|node| apis.contains(&node.api));
        Self(Arc::new(Inner {
            nodes: ArcSwap::from_pointee(nodes),
            others: ArcSwapOption::empty(),
            changed: watch::Sender::new(0),
            delegates,
            apis,
            file,
        }))
    }

    /// Addresses to hand out as delegates, each ending in `/p2p/…`: those that anybody can dial
    /// first, those of this machine only when there are no others. Never empty once a node has
    /// been seen (kept over restarts).
    #[must_use]
    pub fn delegates(&self) -> Vec<Origin> {
        if !self.0.delegates.is_empty() {
            return self
                .0
                .delegates
                .iter()
                .take(DELEGATES_MAX)
                .cloned()
                .collect();
        }
        let nodes = self.0.nodes.load();
        let mut shown = address::by_reach(nodes.iter().flat_map(|node| node.addresses.iter()));
        if shown.is_empty() {
            // An offline node tells no address; its id alone is one that routing can resolve.
            shown = nodes
                .iter()
                .filter_map(|node| address::bare(&node.peer))
                .collect();
        }
        shown.truncate(DELEGATES_MAX);
        shown
    }

    /// The nodes that are known, as they were last seen.
    #[must_use]
    pub fn nodes(&self) -> Arc<Vec<Node>> {
        self.0.nodes.load_full()
    }

    /// The nodes that other processes of the same store drive, as far as was heard.
    #[must_use]
    pub fn others(&self) -> Arc<Vec<Node>> {
        self.0.others.load_full().unwrap_or_default()
    }

    /// Whether it was heard which nodes other processes drive.
    #[must_use]
    pub fn has_heard(&self) -> bool {
        self.0.others.load().is_some()
    }

    /// Notes what other processes tell of all nodes; our own we know better.
    fn heard(&self, mut nodes: Vec<Node>) {
        let own = self.nodes();
        nodes.retain(|node| own.iter().all(|own| own.peer != node.peer));
        let told = |nodes: &[Node]| -> Vec<_> {
            let each = nodes.iter().map(|node| (node.peer, node.healthy));
            each.collect()
        };
        let now = told(&nodes);
        let before = self.0.others.swap(Some(Arc::new(nodes)));
        if before.is_none_or(|before| told(&before) != now) {
            self.0.changed.send_modify(|count| *count += 1);
        }
    }

    /// The peer ids of the nodes that are driven here, each once.
    #[must_use]
    pub fn ids(&self) -> Vec<PeerId> {
        let mut ids: Vec<PeerId> = self.0.nodes.load().iter().map(|node| node.peer).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The RPC addresses that are configured.
    #[must_use]
    pub fn apis(&self) -> &[Arc<str>] {
        &self.0.apis
    }

    /// Whether every configured node has been seen at some time: only then is a peer that is not
    /// among them surely gone.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let nodes = self.0.nodes.load();
        self.0
            .apis
            .iter()
            .all(|api| nodes.iter().any(|node| node.api == *api))
    }

    /// Moves when a node appears, changes its identity, goes or comes back.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Notes what a node said of itself.
    pub(super) async fn seen(&self, api: &str, id: NodeId, now: UnixMillis) {
        let node = Node {
            api: api.into(),
            peer: id.peer,
            addresses: id.addresses,
            agent: id.agent,
            healthy: true,
            last_seen: now,
        };
        let before = self.replace(&node);
        let same = |old: &Node| {
            (old.peer, &old.addresses, &old.agent) == (node.peer, &node.addresses, &node.agent)
        };
        if !before.as_ref().is_some_and(same) {
            self.remember().await;
        }
        if !before.is_some_and(|old| old.healthy && old.peer == node.peer) {
            tracing::info!(api, peer = %node.peer, agent = node.agent, "kubo answers");
            self.0.changed.send_modify(|count| *count += 1);
        }
    }

    /// Notes that a node does not answer.
    pub(super) fn lost(&self, api: &str, why: &dyn std::fmt::Display) {
        let known = self
            .0
            .nodes
            .load()
            .iter()
            .find(|node| &*node.api == api)
            .cloned();
        if let Some(node) = known.filter(|node| node.healthy) {
            self.replace(&Node {
                healthy: false,
                ..node
            });
            tracing::warn!(api, %why, "kubo does not answer; its work waits");
            self.0.changed.send_modify(|count| *count += 1);
        }
    }

    /// Puts a node in the place of what was known of its API, and answers that.
    fn replace(&self, node: &Node) -> Option<Node> {
        let old = self.0.nodes.rcu(|nodes| {
            let mut nodes = Vec::clone(nodes);
            match nodes.iter_mut().find(|known| known.api == node.api) {
                Some(known) => known.clone_from(node),
                None => nodes.push(node.clone()),
            }
            nodes
        });
        old.iter().find(|known| known.api == node.api).cloned()
    }

    async fn remember(&self) {
        let Some(path) = self.0.file.clone() else {
            return;
        };
        if let Err(error) = file::write(&path, &self.0.nodes.load_full()).await {
            tracing::warn!(path = %path.display(), %error, "what is known of the kubo nodes cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests;
