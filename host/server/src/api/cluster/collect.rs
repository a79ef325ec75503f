//! Collecting garbage on the nodes: `POST /ipfs/gc`.
//!
//! The answer is one object (`api.GlobalRepoGC`), written as the nodes tell what they remove: it
//! takes hours and names millions of blocks where a repository is full.

use super::lines::{self, Ended, Lines};
use super::roster::{self, Roster};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::workers::kubo::{Collected, Kubo, KuboError};
use crate::workers::peers::Node;
use holdfast_model::PeerId;
use holdfast_model::action::{Host, WritePins};
use serde::Serialize;

/// A block that is gone, or what did not work (`api.IPFSRepoGC`).
#[derive(Serialize)]
struct Key<'a> {
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Has every node of this host collect its garbage, one after another.
pub(super) async fn collect(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<WritePins>(Host)?;
    let roster = Roster::of(call)?;
    roster.first()?;
    roster.can_call()?;
    call.note("garbage is collected".to_owned());
    lines::carry_through(call, |mut lines| async move {
        let outcome = write(&roster, &mut lines).await;
        (lines, outcome)
    })
    .await
}

async fn write(roster: &Roster, lines: &mut Lines) -> Result<(), Ended> {
    lines.text(r#"{"peer_map":{"#).await?;
    lines.flush().await?;
    for (n, node) in roster.nodes().into_iter().enumerate() {
        if n > 0 {
            lines.text(",").await?;
        }
        let (peer, name) = (text(&node.peer.to_string()), text(roster::name(node)));
        lines
            .text(&format!(
                r#"{peer}:{{"peer":{peer},"peername":{name},"keys":["#
            ))
            .await?;
        let failed = match roster.client(node).filter(|_| node.healthy) {
            Some(kubo) => of_node(kubo, lines).await?,
            None if !roster.is_own(&node.peer) => Some(elsewhere(node)),
            None => Some(down(node)),
        };
        match failed {
            Some(error) => {
                lines
                    .text(&format!(r#"],"error":{}}}"#, text(&error)))
                    .await?
            }
            None => lines.text("]}").await?,
        }
        lines.flush().await?;
    }
    lines.text("}}\n").await
}

/// Collects on one node; answers what ended it early.
async fn of_node(kubo: &Kubo, lines: &mut Lines) -> Result<Option<String>, Ended> {
    let mut collection = match kubo.collect_garbage().await {
        Ok(collection) => collection,
        Err(error) => return Ok(Some(told(&error))),
    };
    let mut is_first = true;
    loop {
        let step = match collection.next().await {
            Ok(Some(step)) => step,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(told(&error))),
        };
        let key = match &step {
            Collected::Block(cid) => Key {
                key: Some(cid),
                error: None,
            },
            Collected::Failure(error) => Key {
                key: None,
                error: Some(error),
            },
        };
        let comma = if is_first { "" } else { "," };
        is_first = false;
        let key =
            serde_json::to_string(&key).map_err(|e| Problem::internal("cannot write a key", &e))?;
        lines.text(&format!("{comma}{key}")).await?;
    }
}

/// Text as JSON.
fn text(of: &str) -> String {
    serde_json::Value::from(of).to_string()
}

fn down(node: &Node) -> String {
    let peer: PeerId = node.peer;
    format!("the IPFS node {peer} does not answer")
}

fn elsewhere(node: &Node) -> String {
    let peer: PeerId = node.peer;
    format!("another host drives the IPFS node {peer}; ask that one")
}

/// A node's failure in words for clients: they need not know its address.
fn told(error: &KuboError) -> String {
    match error {
        KuboError::Refused { message, .. } => message.clone(),
        KuboError::Stalled { .. } => "the IPFS node was silent for too long".to_owned(),
        KuboError::Unreachable { .. } | KuboError::Protocol { .. } => {
            "the IPFS node did not answer as it should".to_owned()
        }
    }
}
