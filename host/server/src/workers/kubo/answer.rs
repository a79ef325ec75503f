//! The JSON that Kubo 0.39 answers, as much of it as we read.

use serde::Deserialize;

/// A refusal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Refusal {
    pub(super) message: String,
}

/// `id`. An offline node has no addresses and writes `null`.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(rename = "Addresses")]
    pub(super) addresses: Option<Vec<String>>,
    #[serde(rename = "AgentVersion")]
    pub(super) agent_version: Option<String>,
}

/// `block/put`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutBlock {
    pub(super) key: String,
}

/// `version`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Version {
    pub(super) version: String,
}

/// A line of `pin/add`: `{}` while waiting, `{"Progress":13}` as blocks come, `{"Pins":[…]}` at
/// the end.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Added {
    #[serde(default)]
    pub(super) progress: u64,
    pub(super) pins: Option<Vec<String>>,
}

/// A line of `pin/ls?stream=true`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Held {
    pub(super) cid: String,
}

/// `dag/stat?progress=false`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DagStat {
    pub(super) total_size: u64,
}

/// `block/stat`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Stat {
    pub(super) size: u64,
}

/// A CID as Kubo's newer answers write it: `{"/":"bafy…"}`.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(rename = "/")]
    pub(super) cid: String,
}

/// A line of `add`: `{"Name","Bytes"}` on the way, `{"Name","Hash","Size"}` when a file is done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filed {
    #[serde(default)]
    pub(super) name: String,
    pub(super) hash: Option<String>,
    #[serde(default)]
    pub(super) bytes: u64,
    pub(super) size: Option<String>,
}

/// A line of `dag/import`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Importing {
    pub(super) root: Option<ImportedRoot>,
    pub(super) stats: Option<ImportStats>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportedRoot {
    pub(super) cid: Link,
    #[serde(default)]
    pub(super) pin_error_msg: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportStats {
    pub(super) block_bytes_count: u64,
}

/// `dag/resolve`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResolvedDag {
    pub(super) cid: Link,
    #[serde(default)]
    pub(super) rem_path: String,
}

/// `resolve`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResolvedName {
    pub(super) path: String,
}

/// A line of `refs`.
#[derive(Debug, Deserialize)]
pub(super) struct Linked {
    #[serde(rename = "Ref", default)]
    pub(super) reference: String,
}

/// A line of `repo/gc?stream-errors=true`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Collecting {
    pub(super) key: Option<Link>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub(super) error: Option<String>,
}

fn unless_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// `swarm/peers`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Peering {
    pub(super) peers: Option<Vec<Connected>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Connected {
    pub(super) peer: String,
}

/// `repo/stat?size-only=true`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Repository {
    pub(super) repo_size: u64,
    pub(super) storage_max: u64,
}

/// `stats/bw`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rates {
    pub(super) total_in: u64,
    pub(super) total_out: u64,
    pub(super) rate_in: f64,
    pub(super) rate_out: f64,
}
