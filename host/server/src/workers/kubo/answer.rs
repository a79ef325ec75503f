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
