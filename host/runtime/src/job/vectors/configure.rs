//! The vectors of config plugins, written as the types in `wit/` are.

use super::JobVectored;
use crate::bindings::config::Config;
use crate::bindings::config::exports::holdfast::plugin::configuration::{
    ConfigError, Entry as WitEntry, Finding, Severity, Snapshot as WitSnapshot,
};
use crate::job::configure::{Snapshot, entries, findings, of_snapshot};
use crate::job::guest::JobGuest;
use crate::job::mould::Asking;
use serde::Deserialize;
use serde_json::{Value, json};
use wasmtime::Store;

/// One of the two things that a config plugin is asked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Input {
    Supply(Snapshot),
    Check {
        proposed: Snapshot,
        current: Option<Snapshot>,
    },
}

/// The same, as it is handed over.
pub(crate) enum Question {
    Supply(WitSnapshot),
    Check(WitSnapshot, Option<WitSnapshot>),
}

impl JobVectored for Config {
    type Input = Question;

    fn input(written: Value) -> Result<Question, String> {
        let input: Input = serde_json::from_value(written).map_err(|e| e.to_string())?;
        Ok(match input {
            Input::Supply(current) => Question::Supply(of_snapshot(&current)),
            Input::Check { proposed, current } => {
                Question::Check(of_snapshot(&proposed), current.as_ref().map(of_snapshot))
            }
        })
    }

    fn put<'a>(&'a self, store: &'a mut Store<JobGuest>, input: Question) -> Asking<'a, Value> {
        Box::pin(async move {
            let configuration = self.holdfast_plugin_configuration();
            Ok(match input {
                Question::Supply(current) => {
                    let answer = configuration.call_supply(store, &current).await?;
                    let written = written(&answer, entry);
                    // The answer must also keep the contract that holds for every one.
                    answer.map_or(Ok(()), |said| entries(said, usize::MAX).map(drop))?;
                    written
                }
                Question::Check(proposed, current) => {
                    let current = current.as_ref();
                    let answer = configuration.call_check(store, &proposed, current).await?;
                    let written = written(&answer, finding);
                    answer.map_or(Ok(()), |said| findings(said).map(drop))?;
                    written
                }
            })
        })
    }
}

fn written<T>(answer: &Result<Vec<T>, ConfigError>, item: fn(&T) -> Value) -> Value {
    match answer {
        Ok(items) => json!({"ok": items.iter().map(item).collect::<Vec<_>>()}),
        Err(ConfigError::Unavailable(why)) => json!({"error": {"unavailable": why}}),
        Err(ConfigError::Malformed(why)) => json!({"error": {"malformed": why}}),
        Err(ConfigError::Other(why)) => json!({"error": {"other": why}}),
    }
}

fn entry(entry: &WitEntry) -> Value {
    json!({"key": entry.key, "value": entry.value})
}

fn finding(finding: &Finding) -> Value {
    let severity = match &finding.severity {
        Severity::Warn => json!("warn"),
        Severity::Refuse => json!("refuse"),
        Severity::Other(what) => json!({"other": what}),
    };
    json!({"key": finding.key, "severity": severity, "message": finding.message})
}
