//! Which node is asked: the driver's own choice, but rather not one that has just failed.

use super::history;
use super::nodes::Nodes;
use scylla::cluster::{ClusterState, NodeRef};
use scylla::policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo};
use scylla::routing::Shard;
use std::sync::Arc;

/// The driver's policy with our knowledge of the nodes on top.
///
/// Nobody is left out altogether: when all replicas are in trouble, asking one of them is still the
/// best there is.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) inner: Arc<dyn LoadBalancingPolicy>,
    pub(crate) nodes: Arc<Nodes>,
    /// The datacenter of the keys that are asked for.
    pub(crate) home: String,
}

/// How gladly a node is asked, gladly first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Good,
    /// It has as much to do as it should.
    Busy,
    /// This very call has met it, or its datacenter, with no success, or is waiting for it.
    Shunned,
    /// Nobody has had an answer from it for a while.
    Open,
}

impl Route {
    fn rank(&self, node: NodeRef<'_>) -> Rank {
        let address = node.address.ip();
        if !self.nodes.are_well() && !self.nodes.admits(address) {
            return Rank::Open;
        }
        let is_home = || node.datacenter.as_deref() == Some(self.home.as_str());
        if history::shuns(address, is_home) {
            return Rank::Shunned;
        }
        match self.nodes.is_busy(address) {
            true => Rank::Busy,
            false => Rank::Good,
        }
    }
}

impl LoadBalancingPolicy for Route {
    fn pick<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Option<(NodeRef<'a>, Option<Shard>)> {
        let picked = self.inner.pick(request, cluster);
        // Without a pick the driver asks for the whole list, which is in our order.
        picked.filter(|(node, _)| self.rank(node) == Rank::Good)
    }

    fn fallback<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> FallbackPlan<'a> {
        let plan = self.inner.fallback(request, cluster);
        let mut ranked: Vec<_> = plan.map(|at| (self.rank(at.0), at)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        Box::new(ranked.into_iter().map(|(_, at)| at))
    }

    fn name(&self) -> String {
        format!("Route({})", self.inner.name())
    }
}
