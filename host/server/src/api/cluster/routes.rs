//! The table of IPFS Cluster's REST API: every path that `ipfs-cluster-ctl` and other clients know.

use crate::api::cluster::{add, collect, health, peers, pins, status};
use crate::api::context::Call;
use crate::api::routes::{Access, Handling, Operation, Route, Shape};
use axum::http::Method;
use std::future::ready;

/// What a route of IPFS Cluster's API does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterOperation {
    /// The peer that answers.
    Id,
    /// The version of what answers.
    Version,
    /// All peers.
    Peers,
    /// Takes a peer in.
    AddPeer,
    /// Puts a peer out.
    RemovePeer,
    /// Adds content and pins it.
    Add,
    /// All pins.
    Allocations,
    /// One pin.
    Allocation,
    /// How all pins fare.
    StatusAll,
    /// How one pin fares.
    Status,
    /// Repeats all that has failed.
    RecoverAll,
    /// Repeats what has failed of one pin.
    Recover,
    /// Pins a CID.
    Pin,
    /// Removes a CID's pin.
    Unpin,
    /// Pins what a path leads to.
    PinPath,
    /// Removes the pin of what a path leads to.
    UnpinPath,
    /// Removes blocks that nothing keeps.
    CollectGarbage,
    /// That somebody answers.
    Health,
    /// Who is connected to whom.
    Graph,
    /// Which peers do not answer.
    Alerts,
    /// What goes over the wires.
    Bandwidth,
    /// What is measured.
    MetricNames,
    /// A measure of each peer.
    Metrics,
    /// A token for who has a key.
    Token,
}

impl ClusterOperation {
    /// Whether its answer may begin late: all pins may be read before one is found that is asked
    /// for, and content is uploaded for hours before it has a CID.
    pub(crate) const fn begins_late(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Allocations
                | Self::StatusAll
                | Self::RecoverAll
                | Self::CollectGarbage
        )
    }
}

use ClusterOperation as Op;

const fn route(method: Method, path: &'static str, operation: Op) -> Route {
    Route {
        method,
        path,
        operation: Operation::Cluster(operation),
        shape: Shape::Cluster,
        access: match operation {
            Op::Health => Access::Open,
            Op::Token => Access::Known,
            _ => Access::Permit,
        },
    }
}

const IPFS: &str = "/pins/ipfs/{*path}";
const IPNS: &str = "/pins/ipns/{*path}";
const IPLD: &str = "/pins/ipld/{*path}";

/// Everything that can be called there.
pub static CLUSTER_ROUTES: &[Route] = &[
    route(Method::GET, "/id", Op::Id),
    route(Method::GET, "/version", Op::Version),
    route(Method::GET, "/peers", Op::Peers),
    route(Method::POST, "/peers", Op::AddPeer),
    route(Method::DELETE, "/peers/{peer}", Op::RemovePeer),
    route(Method::POST, "/add", Op::Add),
    route(Method::GET, "/allocations", Op::Allocations),
    route(Method::GET, "/allocations/{cid}", Op::Allocation),
    route(Method::GET, "/pins", Op::StatusAll),
    route(Method::POST, "/pins/recover", Op::RecoverAll),
    route(Method::GET, "/pins/{cid}", Op::Status),
    route(Method::POST, "/pins/{cid}", Op::Pin),
    route(Method::DELETE, "/pins/{cid}", Op::Unpin),
    route(Method::POST, "/pins/{cid}/recover", Op::Recover),
    route(Method::POST, IPFS, Op::PinPath),
    route(Method::DELETE, IPFS, Op::UnpinPath),
    route(Method::POST, IPNS, Op::PinPath),
    route(Method::DELETE, IPNS, Op::UnpinPath),
    route(Method::POST, IPLD, Op::PinPath),
    route(Method::DELETE, IPLD, Op::UnpinPath),
    route(Method::POST, "/ipfs/gc", Op::CollectGarbage),
    route(Method::GET, "/health", Op::Health),
    route(Method::GET, "/health/graph", Op::Graph),
    route(Method::GET, "/health/alerts", Op::Alerts),
    route(Method::GET, "/health/bandwidth", Op::Bandwidth),
    route(Method::GET, "/monitor/metrics", Op::MetricNames),
    route(Method::GET, "/monitor/metrics/{name}", Op::Metrics),
    route(Method::POST, "/token", Op::Token),
];

/// Runs the handler of an operation.
pub(crate) fn handle(call: &mut Call, operation: Op) -> Handling<'_> {
    match operation {
        Op::Id => Box::pin(ready(peers::id(call))),
        Op::Version => Box::pin(ready(peers::version(call))),
        Op::Peers => Box::pin(peers::list(call)),
        Op::AddPeer => Box::pin(peers::add(call)),
        Op::RemovePeer => Box::pin(ready(peers::remove(call))),
        Op::Add => Box::pin(add::add(call)),
        Op::Allocations => Box::pin(pins::list(call)),
        Op::Allocation => Box::pin(pins::read(call)),
        Op::StatusAll => Box::pin(status::list(call)),
        Op::Status => Box::pin(status::read(call)),
        Op::RecoverAll => Box::pin(status::recover_all(call)),
        Op::Recover => Box::pin(status::recover(call)),
        Op::Pin => Box::pin(pins::pin(call)),
        Op::Unpin => Box::pin(pins::unpin(call)),
        Op::PinPath => Box::pin(pins::pin_path(call)),
        Op::UnpinPath => Box::pin(pins::unpin_path(call)),
        Op::CollectGarbage => Box::pin(collect::collect(call)),
        Op::Health => Box::pin(ready(health::live())),
        Op::Graph => Box::pin(health::graph(call)),
        Op::Alerts => Box::pin(ready(health::alerts(call))),
        Op::Bandwidth => Box::pin(health::bandwidth(call)),
        Op::MetricNames => Box::pin(ready(health::metric_names(call))),
        Op::Metrics => Box::pin(health::metrics(call)),
        Op::Token => Box::pin(ready(peers::token(call))),
    }
}
