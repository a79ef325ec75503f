//! How the peers are: connections, alerts, bandwidth, and what IPFS Cluster's monitor measures.

use super::info::time;
use super::roster::{self, Roster};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::workers::kubo::Bandwidth;
use crate::workers::peers::Node;
use axum::http::StatusCode;
use futures_util::future::join_all;
use holdfast_model::action::{Host, ReadPins};
use holdfast_model::{Origin, PeerId, UnixMillis};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is measured of each peer, in the order of their names.
const METRICS: [&str; 3] = ["freespace", "ping", "pinqueue"];

/// For how long a measure counts: IPFS Cluster's default of `metric_ttl`.
const METRIC_TTL_MILLIS: u64 = 30_000;

/// Work that is counted of a peer's queue. Beyond, that many or more.
const QUEUE_ROWS: u32 = 10_000;

/// The protocols of which a node tells what went over its wires: what moves content and finds it.
const PROTOCOLS: [&str; 4] = [
    "/ipfs/bitswap/1.2.0",
    "/ipfs/id/1.0.0",
    "/ipfs/kad/1.0.0",
    "/ipfs/ping/1.0.0",
];

/// A measure of a peer (`api.Metric`). Times are nanoseconds.
#[derive(Debug, Serialize)]
struct Metric {
    name: &'static str,
    peer: PeerId,
    value: String,
    expire: u64,
    valid: bool,
    weight: u64,
    partitionable: bool,
    received_at: u64,
}

impl Metric {
    fn of(name: &'static str, node: &Node, value: String, weight: u64, at: UnixMillis) -> Self {
        Self {
            name,
            peer: node.peer,
            value,
            expire: nanos(at.plus_millis(METRIC_TTL_MILLIS)),
            valid: true,
            weight,
            partitionable: false,
            received_at: nanos(at),
        }
    }
}

const fn nanos(at: UnixMillis) -> u64 {
    at.as_millis().saturating_mul(1_000_000)
}

/// Somebody answers.
pub(super) fn live() -> Result<Reply, Problem> {
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Who is connected to whom (`api.ConnectGraph`).
pub(super) async fn graph(call: &mut Call) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Graph<'a> {
        cluster_id: PeerId,
        id_to_peername: BTreeMap<PeerId, &'a str>,
        ipfs_links: BTreeMap<PeerId, Vec<PeerId>>,
        cluster_links: BTreeMap<PeerId, Vec<PeerId>>,
        cluster_trust_links: BTreeMap<PeerId, bool>,
        cluster_to_ipfs: BTreeMap<PeerId, PeerId>,
    }
    call.permit::<ReadPins>(Host)?;
    let roster = Roster::of(call)?;
    let nodes = roster.nodes();
    let others = |node: &Node| {
        let others = nodes.iter().filter(|other| other.peer != node.peer);
        others.map(|other| other.peer).collect()
    };
    let asked = roster
        .answering()
        .into_iter()
        .map(|(node, kubo)| async move {
            // A node that does not tell has no links, as in IPFS Cluster.
            (node.peer, kubo.connected().await.unwrap_or_default())
        });
    let graph = Graph {
        cluster_id: roster.first()?.peer,
        id_to_peername: nodes.iter().map(|n| (n.peer, roster::name(n))).collect(),
        ipfs_links: join_all(asked).await.into_iter().collect(),
        cluster_links: nodes.iter().map(|n| (n.peer, others(n))).collect(),
        cluster_trust_links: nodes.iter().map(|n| (n.peer, true)).collect(),
        cluster_to_ipfs: nodes.iter().map(|n| (n.peer, n.peer)).collect(),
    };
    Reply::json(StatusCode::OK, &graph)
}

/// The peers that do not answer now, who has been silent for the shortest time first.
pub(super) fn alerts(call: &mut Call) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Alert {
        #[serde(flatten)]
        metric: Metric,
        triggered_at: String,
    }
    call.permit::<ReadPins>(Host)?;
    let roster = Roster::of(call)?;
    let mut down: Vec<&Node> = roster.nodes();
    down.retain(|node| !node.healthy);
    down.sort_by_key(|node| std::cmp::Reverse(node.last_seen));
    let alert = |node: &&Node| {
        let seen = node.last_seen;
        Alert {
            metric: Metric::of("ping", node, ping(node), 0, seen),
            triggered_at: time(Some(seen.plus_millis(METRIC_TTL_MILLIS))),
        }
    };
    let alerts: Vec<Alert> = down.iter().map(alert).collect();
    Reply::json(StatusCode::OK, &alerts)
}

/// What went over the wires, by protocol, all nodes together.
pub(super) async fn bandwidth(call: &mut Call) -> Result<Reply, Problem> {
    #[derive(Serialize, Default)]
    struct Told {
        total_in: u64,
        total_out: u64,
        rate_in: f64,
        rate_out: f64,
    }
    call.permit::<ReadPins>(Host)?;
    let roster = Roster::of(call)?;
    roster.can_call()?;
    let mut told: BTreeMap<&str, Told> = BTreeMap::new();
    for protocol in PROTOCOLS {
        let nodes = roster.answering();
        let asked = nodes.iter().map(|(_, kubo)| kubo.bandwidth(protocol));
        let sum = told.entry(protocol).or_default();
        for Bandwidth {
            total_in,
            total_out,
            rate_in,
            rate_out,
        } in join_all(asked).await.into_iter().flatten()
        {
            sum.total_in = sum.total_in.saturating_add(total_in);
            sum.total_out = sum.total_out.saturating_add(total_out);
            (sum.rate_in, sum.rate_out) = added((sum.rate_in, sum.rate_out), (rate_in, rate_out));
        }
    }
    Reply::json(StatusCode::OK, &told)
}

#[expect(
    clippy::float_arithmetic,
    reason = "rates are what a node tells people, and nothing is derived from them"
)]
fn added(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 + b.0, a.1 + b.1)
}

/// What is measured.
pub(super) fn metric_names(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    Reply::json(StatusCode::OK, &METRICS)
}

/// A measure of each peer that answers. A name that is none has no measures.
pub(super) async fn metrics(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let roster = Roster::of(call)?;
    let now = call.app().clock.now();
    let name = METRICS.into_iter().find(|name| *name == call.segment());
    if name == Some("freespace") {
        roster.can_call()?;
    }
    let mut metrics = Vec::new();
    for node in roster.nodes().into_iter().filter(|node| node.healthy) {
        let measured = match name {
            // Only who drives a node can ask it.
            Some("freespace") => match roster.client(node) {
                Some(kubo) => kubo.space().await.ok().map(|space| {
                    let free = space.free();
                    (free.to_string(), free)
                }),
                None => None,
            },
            Some("pinqueue") => {
                let store = &call.app().store;
                let due = store.due_placements(&node.peer, now, QUEUE_ROWS).await?;
                let waiting = u64::try_from(due.len()).unwrap_or(u64::MAX);
                Some((waiting.to_string(), waiting))
            }
            Some(_) => Some((ping(node), 0)),
            None => None,
        };
        if let (Some(name), Some((value, weight))) = (name, measured) {
            metrics.push(Metric::of(name, node, value, weight, now));
        }
    }
    Reply::json(StatusCode::OK, &metrics)
}

/// What a peer says of itself in IPFS Cluster's `ping` metric.
fn ping(node: &Node) -> String {
    #[derive(Serialize)]
    struct Ping<'a> {
        peer_name: &'a str,
        ipfs_peer_id: PeerId,
        ipfs_peer_addresses: &'a [Origin],
    }
    let ping = Ping {
        peer_name: roster::name(node),
        ipfs_peer_id: node.peer,
        ipfs_peer_addresses: &node.addresses,
    };
    serde_json::to_string(&ping).unwrap_or_default()
}
