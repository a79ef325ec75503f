//! Asking config plugins for entries and findings, and checking what they say.

use super::collect::one_line;
use super::plugin::JobPlugin;
use crate::bindings::config::Config;
use crate::bindings::config::exports::holdfast::plugin::configuration::{
    ConfigError, Entry as WitEntry, Finding as WitFinding, Severity as WitSeverity,
    Snapshot as WitSnapshot,
};
use crate::error::Fault;
use crate::guest::printable;
use crate::limits::MESSAGE_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Entries that one plugin supplies: more than there are keys.
const ENTRIES_MAX: usize = 1_000;

/// Findings of one plugin: who finds more in a configuration has found enough.
const FINDINGS_MAX: usize = 1_000;

/// Bytes of a key.
const KEY_BYTES_MAX: usize = 256;

/// One value of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The path of the key, with dots.
    pub key: String,
    /// The value as JSON text.
    pub value: String,
}

/// A configuration, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Which it is.
    pub revision: u64,
    /// Every value, sorted by key.
    pub values: Vec<Entry>,
}

/// What to do about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Tell the operator.
    Warn,
    /// Do not let the configuration take effect.
    Refuse,
}

/// Something that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The key that it is about.
    pub key: String,
    /// What to do.
    pub severity: Severity,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl JobPlugin<Config> {
    /// The entries that it lays over the files'. It blocks, and must not be called from within a
    /// future.
    pub(crate) fn supply(&self, current: &Snapshot) -> Result<Vec<Entry>, Fault> {
        let current = of_snapshot(current);
        let bytes_max = self.load.candidate.limits.output_bytes;
        self.mould.ask_blocking(None, move |world, store| {
            Box::pin(async move {
                let answer = world
                    .holdfast_plugin_configuration()
                    .call_supply(store, &current)
                    .await?;
                entries(answer.map_err(refused)?, bytes_max)
            })
        })
    }

    /// What it finds wrong with a configuration. It blocks likewise.
    pub(crate) fn check(
        &self,
        proposed: &Snapshot,
        current: Option<&Snapshot>,
    ) -> Result<Vec<Finding>, Fault> {
        let (proposed, current) = (of_snapshot(proposed), current.map(of_snapshot));
        self.mould.ask_blocking(None, move |world, store| {
            Box::pin(async move {
                let answer = world
                    .holdfast_plugin_configuration()
                    .call_check(store, &proposed, current.as_ref())
                    .await?;
                findings(answer.map_err(refused)?)
            })
        })
    }
}

fn refused(error: ConfigError) -> Fault {
    Fault::Refused(match error {
        ConfigError::Unavailable(why) => format!("not available: {}", printable(&why)),
        ConfigError::Malformed(why) => format!("malformed: {}", printable(&why)),
        ConfigError::Other(why) => printable(&why),
    })
}

pub(super) fn entries(said: Vec<WitEntry>, bytes_max: usize) -> Result<Vec<Entry>, Fault> {
    let nonsense = |why: String| Err(Fault::Nonsense(why));
    if said.len() > ENTRIES_MAX {
        return nonsense(format!(
            "it supplies {} entries; supply at most {ENTRIES_MAX}",
            said.len()
        ));
    }
    let mut bytes_left = bytes_max;
    let mut keys = BTreeSet::new();
    for WitEntry { key, value } in &said {
        check_key(key)?;
        if !keys.insert(key) {
            return nonsense(format!("it supplies {key} twice"));
        }
        // The text is not shown: it may be a secret that went astray.
        if serde_json::from_str::<serde_json::Value>(value).is_err() {
            return nonsense(format!("the value of {key} is no JSON"));
        }
        let bytes = key.len().saturating_add(value.len());
        match bytes_left.checked_sub(bytes) {
            Some(left) => bytes_left = left,
            None => return nonsense("the entries together are over output_bytes".into()),
        }
    }
    let entry = |WitEntry { key, value }| Entry { key, value };
    Ok(said.into_iter().map(entry).collect())
}

pub(super) fn findings(said: Vec<WitFinding>) -> Result<Vec<Finding>, Fault> {
    if said.len() > FINDINGS_MAX {
        return Err(Fault::Nonsense(format!(
            "it has {} findings; tell at most {FINDINGS_MAX}",
            said.len()
        )));
    }
    said.into_iter()
        .map(|finding| {
            check_key(&finding.key)?;
            Ok(Finding {
                key: finding.key,
                severity: match finding.severity {
                    WitSeverity::Warn => Severity::Warn,
                    WitSeverity::Refuse | WitSeverity::Other(_) => Severity::Refuse,
                },
                message: one_line("a finding's message", finding.message, MESSAGE_BYTES_MAX)?,
            })
        })
        .collect()
}

fn check_key(key: &str) -> Result<(), Fault> {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    if key.len() <= KEY_BYTES_MAX && key.split('.').all(is_part) {
        return Ok(());
    }
    Err(Fault::Nonsense(format!(
        "{:?} is no key; write one such as store.kind",
        printable(key)
    )))
}

pub(super) fn of_snapshot(snapshot: &Snapshot) -> WitSnapshot {
    let entry = |Entry { key, value }: &Entry| WitEntry {
        key: key.clone(),
        value: value.clone(),
    };
    WitSnapshot {
        revision: snapshot.revision,
        values: snapshot.values.iter().map(entry).collect(),
    }
}
