//! How plugins are listed.

use serde::Serialize;

/// One plugin, as `/v1/plugins` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginInfo {
    /// Its name: the file's.
    pub name: String,
    /// `authorizer`, `pricing`, `payment` or `config`; empty for a refused file whose kind is not
    /// known.
    pub kind: String,
    /// What it says of itself.
    pub version: String,
    /// SHA-256 in hex.
    pub digest: String,
    /// Grows with each load.
    pub generation: u64,
    /// `warm` or `call`; empty for a refused file.
    pub isolation: String,
    /// `live`, `open` (live, and its breaker turns calls away), `standby` (another pricing plugin
    /// is live), `shadow` (nothing serves under this name yet), `refused`.
    pub state: String,
    /// Why it was refused.
    pub error: Option<String>,
    /// What else is to be known: that it was rolled back and why, or what it waits for.
    pub note: Option<String>,
    /// All that is loaded under this name, the newest first.
    pub generations: Vec<GenerationInfo>,
}

/// One generation of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationInfo {
    /// Its number.
    pub generation: u64,
    /// What the component says of itself.
    pub version: String,
    /// SHA-256 in hex.
    pub digest: String,
    /// `live`, `open`, `standby`, `shadow`, `previous` (kept for a rollback), `draining` (calls
    /// still run on it).
    pub state: String,
    /// How long it has been in this state.
    pub age_ms: u64,
    /// Calls that ended, all told.
    pub calls: u64,
    /// Of these, those without a usable answer.
    pub failures: u64,
    /// What else is to be known.
    pub note: Option<String>,
}
