//! What config plugins have to say: entries over the files and below the environment, and what they
//! find wrong with a configuration before it takes effect. One that fails, or refuses, keeps the
//! configuration out; the former one stays.

use super::layers::{Raw, Supplied};
use super::problem::{Complaint, Origin, Problem, Problems};
use super::secret::REDACTED;
use super::sections::Config;
use super::setting::quoted;
use holdfast_runtime::{Entry, Plugins, Severity, Snapshot};
use serde_json::Value;

/// What is needed before plugins can be asked, so that it comes too late from one: where the host
/// keeps its data, listens, and finds the plugins themselves; and whether it must be safe.
const BEFORE_PLUGINS: [&str; 4] = ["data", "production", "server.listen", "ops.listen"];

/// The same for a whole section.
const BEFORE_PLUGINS_SECTION: &str = "plugins.";

/// What the plugins lay over the files, where `files` is the configuration without it.
pub(super) fn supply(
    plugins: &Plugins,
    files: &Config,
    revision: u64,
) -> Result<Vec<Supplied>, Problems> {
    let supplied = plugins
        .supply(&snapshot(files, revision))
        .map_err(|error| failed(&error))?;
    let of_plugin = |(plugin, entries): (String, Vec<Entry>)| {
        entries.into_iter().map(move |entry| Supplied {
            plugin: plugin.clone(),
            raw: raw(&entry.value),
            key: entry.key,
        })
    };
    Ok(supplied.into_iter().flat_map(of_plugin).collect())
}

/// Has the plugins look at a configuration; what they only warn of is logged.
pub(super) fn check(
    plugins: &Plugins,
    proposed: &Config,
    current: Option<&Config>,
    revision: u64,
) -> Result<(), Problems> {
    let current = current.map(|current| snapshot(current, revision.saturating_sub(1)));
    let findings = plugins
        .check_configuration(&snapshot(proposed, revision), current.as_ref())
        .map_err(|error| failed(&error))?;
    let mut problems = Vec::new();
    for (plugin, finding) in findings {
        match finding.severity {
            Severity::Warn => {
                let (key, message) = (finding.key, finding.message);
                tracing::warn!(plugin, key, message, "a config plugin warns");
            }
            Severity::Refuse => problems.push(Problem {
                origin: Origin::Plugin { name: plugin },
                key: finding.key,
                wrong: "is refused by a config plugin".to_owned(),
                write: finding.message,
            }),
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Problems::new(problems)),
    }
}

/// Entries that no plugin can supply.
pub(super) fn out_of_place(config: &Config, supplied: &[Supplied]) -> Vec<Complaint> {
    if supplied.is_empty() {
        return Vec::new();
    }
    let (values, redacted) = (config.values(), quoted(REDACTED));
    let complaint = |entry: &Supplied| {
        let key = &entry.key;
        let comes_late =
            BEFORE_PLUGINS.contains(&key.as_str()) || key.starts_with(BEFORE_PLUGINS_SECTION);
        let is_secret = values.get(key) == Some(&redacted);
        let wrong = match (comes_late, is_secret) {
            (true, _) => "is needed before plugins are asked, and a plugin supplies it",
            (_, true) => "is a secret, and a plugin supplies it",
            (false, false) => return None,
        };
        Some(Complaint::new(
            key,
            wrong,
            format!(
                "take it out of what plugin {} supplies, and write it into a file or the environment",
                entry.plugin
            ),
        ))
    };
    supplied.iter().filter_map(complaint).collect()
}

fn failed(error: &holdfast_runtime::PluginError) -> Problems {
    Problems::new(vec![Problem {
        origin: Origin::Default,
        key: "plugins".to_owned(),
        wrong: format!("a config plugin cannot be asked: {error}"),
        write: "mend the plugin, or take it out of the folder".to_owned(),
    }])
}

/// A configuration as plugins see it: every value as JSON, without secrets.
fn snapshot(config: &Config, revision: u64) -> Snapshot {
    let entry = |(key, toml): (String, String)| {
        let table = format!("v = {toml}").parse::<toml::Table>().ok()?;
        let value = serde_json::to_string(table.get("v")?).ok()?;
        Some(Entry { key, value })
    };
    Snapshot {
        revision,
        values: config.values().into_iter().filter_map(entry).collect(),
    }
}

/// JSON text as a value of a layer. It has been checked to be JSON.
fn raw(json: &str) -> Raw {
    match serde_json::from_str(json) {
        Ok(value) => raw_of(&value),
        Err(_) => Raw::Other("broken text"),
    }
}

fn raw_of(value: &Value) -> Raw {
    match value {
        Value::String(text) => Raw::Str(text.clone()),
        Value::Bool(truth) => Raw::Bool(*truth),
        Value::Number(number) => number
            .as_i64()
            .map_or(Raw::Other("number with a point, or too large"), Raw::Int),
        Value::Array(items) => Raw::List(items.iter().map(raw_of).collect()),
        Value::Null => Raw::Other("null"),
        Value::Object(_) => Raw::Other("table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Sources, load, load_with};

    fn supplied(key: &str, json: &str) -> Supplied {
        Supplied {
            plugin: "p".into(),
            key: key.into(),
            raw: raw(json),
        }
    }

    fn sources(environment: &[(&str, &str)]) -> Sources {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Sources {
            file: Some("/dev/null".into()),
            environment: environment.iter().map(pair).collect::<Environment>(),
            ..Sources::default()
        }
    }

    #[test]
    fn plugins_lie_over_the_files_and_below_the_environment() {
        let all = [
            supplied("kubo.concurrency", "7"),
            supplied("kubo.attempts_max", "9"),
            supplied("kubo.api", "[\"http://127.0.0.1:1\"]"),
        ];
        let sources = sources(&[("HOLDFAST_KUBO__ATTEMPTS_MAX", "3")]);
        let config = load_with(&sources, |_| Vec::new(), &all).unwrap().config;
        assert_eq!(config.kubo.concurrency.get(), 7);
        assert_eq!(config.kubo.attempts_max.get(), 3);
        assert_eq!(config.kubo.api, ["http://127.0.0.1:1"]);
    }

    #[test]
    fn what_a_plugin_supplies_is_checked_like_a_file() {
        for (key, json, wrong) in [
            ("kubo.concurrncy", "7", "no such key"),
            ("kubo.concurrency", "\"many\"", "number"),
            ("kubo.concurrency", "null", "null"),
            ("kubo", "{\"concurrency\": 1}", "section"),
            ("data", "\"/tmp\"", "before plugins"),
            ("plugins.dir", "\"/tmp\"", "before plugins"),
            ("auth.bootstrap_admin_key", "\"0123456789abcdef\"", "secret"),
            ("auth.bootstrap_admin_key", "\"env:KEY\"", "secret"),
        ] {
            let sources = sources(&[("KEY", "0123456789abcdef")]);
            let refused = load_with(&sources, |_| Vec::new(), &[supplied(key, json)]).unwrap_err();
            let told = refused.to_string();
            assert!(
                told.contains(wrong) && told.contains("plugin p"),
                "{key}: {told}"
            );
        }
    }

    #[test]
    fn plugins_see_every_value_and_no_secret() {
        let sources = sources(&[
            ("HOLDFAST_BOOTSTRAP_ADMIN_KEY", "0123456789abcdef"),
            ("HOLDFAST_AUTH__ISSUERS__A__ISSUER", "https://a.example"),
        ]);
        let config = load(&sources, |_| Vec::new()).unwrap().config;
        let seen = snapshot(&config, 3);
        let value = |key: &str| {
            let entry = seen.values.iter().find(|entry| entry.key == key);
            entry.map(|entry| entry.value.as_str())
        };
        assert_eq!(seen.revision, 3);
        assert_eq!(value("auth.bootstrap_admin_key"), Some("\"(redacted)\""));
        assert_eq!(
            value("auth.issuers.a.issuer"),
            Some("\"https://a.example\"")
        );
        assert_eq!(value("kubo.concurrency"), Some("16"));
        assert_eq!(value("kubo.stall_timeout"), Some("\"1m\""));
        assert_eq!(value("audit.enabled"), Some("true"));
        assert!(seen.values.is_sorted_by(|a, b| a.key < b.key));
        assert!(!format!("{seen:?}").contains("0123456789abcdef"));
    }
}
