//! Who answers: the peers, their ids and addresses, and tokens.

use super::lines;
use super::roster::{self, Roster};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::identity::AuthError;
use crate::workers::peers::Node;
use axum::http::StatusCode;
use holdfast_model::action::{Host, ReadPins, WritePins};
use holdfast_model::{Invalid, Origin, PeerId};
use serde::{Deserialize, Serialize};

/// The release of IPFS Cluster whose interface this is, and after the plus our own.
const VERSION: &str = concat!("1.0.8+holdfast.", env!("CARGO_PKG_VERSION"));

/// What IPFS Cluster's peers speak among each other; clients compare it.
const RPC_PROTOCOL: &str = "/ipfscluster/1.0/rpc";

/// A peer (`api.ID`).
#[derive(Debug, Clone, Serialize)]
struct Id {
    id: PeerId,
    addresses: Vec<Origin>,
    cluster_peers: Vec<PeerId>,
    cluster_peers_addresses: [&'static str; 0],
    version: &'static str,
    commit: &'static str,
    rpc_protocol_version: &'static str,
    error: &'static str,
    ipfs: IpfsId,
    peername: String,
}

/// A peer's Kubo node (`api.IPFSID`).
#[derive(Debug, Clone, Serialize)]
struct IpfsId {
    id: PeerId,
    addresses: Vec<Origin>,
    error: &'static str,
}

impl Id {
    fn of(node: &Node, all: &[PeerId]) -> Self {
        Self {
            id: node.peer,
            // Where the cluster's own protocol is spoken, which is nowhere.
            addresses: Vec::new(),
            cluster_peers: all.to_vec(),
            cluster_peers_addresses: [],
            version: VERSION,
            commit: "",
            rpc_protocol_version: RPC_PROTOCOL,
            error: "",
            ipfs: IpfsId {
                id: node.peer,
                addresses: node.addresses.clone(),
                error: match node.healthy {
                    true => "",
                    false => "the IPFS node does not answer",
                },
            },
            peername: roster::name(node).to_owned(),
        }
    }
}

fn ids(roster: &Roster) -> Vec<Id> {
    let nodes = roster.nodes();
    let all: Vec<PeerId> = nodes.iter().map(|node| node.peer).collect();
    nodes.iter().map(|node| Id::of(node, &all)).collect()
}

/// The peer that answers for all.
pub(super) fn id(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let roster = Roster::of(call)?;
    let all: Vec<PeerId> = roster.nodes().iter().map(|node| node.peer).collect();
    Reply::json(StatusCode::OK, &Id::of(roster.first()?, &all))
}

/// The version.
pub(super) fn version(call: &mut Call) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Version {
        version: &'static str,
    }
    call.permit::<ReadPins>(Host)?;
    Reply::json(StatusCode::OK, &Version { version: VERSION })
}

/// All peers.
pub(super) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let ids = ids(&Roster::of(call)?);
    lines::answer(call, |mut lines| async move {
        let mut outcome = Ok(());
        for id in &ids {
            outcome = lines.line(id).await;
            if outcome.is_err() {
                break;
            }
        }
        (lines, outcome)
    })
    .await
}

/// Takes a peer in: it is one already, or an operator has to name it.
pub(super) async fn add(call: &mut Call) -> Result<Reply, Problem> {
    #[derive(Deserialize)]
    struct Asked {
        peer_id: String,
    }
    call.permit::<WritePins>(Host)?;
    // Clients of IPFS Cluster do not say that it is JSON.
    let body = call.undeclared_body().await?;
    let asked: Asked = serde_json::from_slice(&body)
        .map_err(|e| Invalid::new("error decoding request body", e.to_string()))?;
    let peer =
        PeerId::parse(&asked.peer_id).map_err(|e| Invalid::new("error decoding peer_id", e.why))?;
    let found = ids(&Roster::of(call)?).into_iter().find(|id| id.id == peer);
    match found {
        Some(id) => Reply::json(StatusCode::OK, &id),
        None => Err(Problem::fixed_peers()),
    }
}

/// Puts a peer out, which only an operator can.
pub(super) fn remove(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<WritePins>(Host)?;
    PeerId::parse(call.segment()).map_err(|e| Invalid::new("error decoding Peer ID", e.why))?;
    Err(Problem::fixed_peers())
}

/// A token for who came with a key or a password.
pub(super) fn token(call: &mut Call) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Token {
        token: String,
    }
    let caller = call.caller.as_ref().ok_or(AuthError::Missing)?;
    let token = call.cluster()?.door.token(caller)?;
    Reply::json(StatusCode::OK, &Token { token })
}
