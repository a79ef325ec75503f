//! The nodes of a store that several processes share: telling the others of our own, and hearing of
//! theirs.

use super::{Node, Peers};
use crate::clock::Clock;
use crate::pins::nodes::{self, DrivenNode};
use crate::workers::crew::{Crew, WorkError};
use crate::workers::kubo::NodeId;
use holdfast_model::PeerId;
use holdfast_store::{Kept, Store};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const WORKER: &str = "node";

/// How often the others' nodes are read.
const LOOK: Duration = Duration::from_secs(5);

/// How often a node is told of although nothing has changed.
const TELL_EVERY: Duration = Duration::from_secs(15);

/// A node of which nothing is heard for so long is one that does not answer: its driver has missed
/// three words.
const QUIET_MAX: Duration = Duration::from_secs(45);

/// Hears of the others' nodes, again and again. In a store of one process there are none.
pub async fn follow(store: Store, peers: Peers, clock: Clock) {
    if !store.is_shared() {
        return;
    }
    let mut heard = Heard::default();
    loop {
        match nodes::driven(&store, clock.now()).await {
            Ok(driven) => peers.heard(heard.nodes(driven, Instant::now())),
            // What was heard last stands, as it does while a process is away.
            Err(error) => tracing::warn!(%error, "the nodes of other processes cannot be read"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// When each record was last seen to move: by our own clock, as others' may be hours off.
#[derive(Debug, Default)]
struct Heard(HashMap<PeerId, (u64, Instant)>);

impl Heard {
    fn nodes(&mut self, driven: Vec<Kept<DrivenNode>>, now: Instant) -> Vec<Node> {
        let before = std::mem::take(&mut self.0);
        let each = driven.into_iter().map(|Kept { value, version }| {
            let at = match before.get(&value.peer) {
                Some((known, at)) if *known == version => *at,
                _ => now,
            };
            self.0.insert(value.peer, (version, at));
            Node {
                api: value.api.into(),
                peer: value.peer,
                addresses: value.addresses,
                agent: value.agent,
                healthy: value.healthy && now.duration_since(at) < QUIET_MAX,
                last_seen: value.last_seen,
            }
        });
        each.collect()
    }
}

/// What the others were last told of a node that this process drives.
#[derive(Debug, Default)]
pub(in crate::workers) struct Telling(Option<(DrivenNode, Instant)>);

impl Telling {
    /// Whether the others have been told of this peer.
    pub(in crate::workers) fn is_of(&self, peer: &PeerId) -> bool {
        self.0.as_ref().is_some_and(|(told, _)| told.peer == *peer)
    }

    /// The node answers; says whether it is new to all.
    pub(in crate::workers) async fn answers(
        &mut self,
        crew: &Crew,
        api: &str,
        id: &NodeId,
    ) -> Result<bool, WorkError> {
        let (addresses, agent) = (id.addresses.clone(), id.agent.clone());
        let node = DrivenNode::answering(api, id.peer, addresses, agent, crew.now());
        self.tell(crew, node).await
    }

    /// The node does not answer.
    pub(in crate::workers) async fn is_silent(&mut self, crew: &Crew) {
        let Some((told, _)) = &self.0 else {
            return;
        };
        let mut node = told.clone();
        node.healthy = false;
        if let Err(error) = self.tell(crew, node).await {
            crew.failed(WORKER, &error);
        }
    }

    async fn tell(&mut self, crew: &Crew, node: DrivenNode) -> Result<bool, WorkError> {
        let is_told =
            |(told, at): &(DrivenNode, Instant)| told.is_like(&node) && at.elapsed() < TELL_EVERY;
        if !crew.store.is_shared() || self.0.as_ref().is_some_and(is_told) {
            return Ok(false);
        }
        let permit = crew.permit(WORKER)?;
        let is_new = nodes::tell(&crew.store, &permit, node.clone(), crew.now()).await?;
        self.0 = Some((node, Instant::now()));
        Ok(is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::UnixMillis;

    fn kept(version: u64, healthy: bool) -> Vec<Kept<DrivenNode>> {
        let peer = PeerId::parse("12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M").unwrap();
        // Written by a clock that stands at the epoch.
        let epoch = UnixMillis::EPOCH;
        let mut value = DrivenNode::answering("a", peer, Vec::new(), String::new(), epoch);
        value.healthy = healthy;
        vec![Kept { value, version }]
    }

    #[test]
    fn a_node_is_silent_when_its_record_stands_still_whatever_clocks_say() {
        let mut heard = Heard::default();
        let start = Instant::now();
        let mut is_up = |version, healthy, at| {
            let nodes = heard.nodes(kept(version, healthy), start + at);
            nodes.iter().all(|node| node.healthy)
        };
        assert!(is_up(1, true, Duration::ZERO));
        assert!(is_up(1, true, QUIET_MAX - Duration::from_millis(1)));
        assert!(!is_up(1, true, QUIET_MAX));
        assert!(is_up(2, true, QUIET_MAX));
        assert!(!is_up(3, false, QUIET_MAX));
    }
}
