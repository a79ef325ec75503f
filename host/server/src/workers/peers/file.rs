//! What is known of the nodes, kept over restarts: `peers.json` in the data directory.

use super::Node;
use holdfast_model::{Origin, PeerId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes of the file: hundreds of nodes. More is no file of ours.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// One node, as the file has it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    api: Arc<str>,
    peer: PeerId,
    addresses: Vec<Origin>,
    agent: String,
    last_seen: UnixMillis,
}

/// The nodes in a file; nobody if there is none or it is damaged.
pub(super) fn read(path: &Path) -> Vec<Node> {
    let kept: Vec<Kept> = match std::fs::read(path) {
        Ok(bytes) if bytes.len() <= FILE_BYTES_MAX => {
            serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "damaged; the kubo nodes will tell again");
                Vec::new()
            })
        }
        Ok(_) => Vec::new(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot be read; the kubo nodes will tell again");
            Vec::new()
        }
    };
    let node = |kept: Kept| Node {
        api: kept.api,
        peer: kept.peer,
        addresses: kept.addresses,
        agent: kept.agent,
        healthy: false,
        last_seen: kept.last_seen,
    };
    kept.into_iter().map(node).collect()
}

/// Writes the nodes beside the file, and then in its place: a crash leaves one or the other.
pub(super) async fn write(path: &Path, nodes: &[Node]) -> io::Result<()> {
    let kept = nodes.iter().map(|node| Kept {
        api: node.api.clone(),
        peer: node.peer,
        addresses: node.addresses.clone(),
        agent: node.agent.clone(),
        last_seen: node.last_seen,
    });
    let bytes = serde_json::to_vec_pretty(&kept.collect::<Vec<_>>())?;
    let beside = path.with_extension("json.new");
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(&beside, path).await
}
