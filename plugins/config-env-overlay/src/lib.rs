//! Configuration from the environment: `HOLDFAST_OVERLAY_STORE__KIND=embedded` lays `store.kind`
//! over what the files say.
//!
//! Two underscores are the dot, and names are in capitals. How the text is read tells the value
//! that is there: over a text it is a text as it stands, over a number or a truth value it must be
//! one, over a list it is JSON or names with commas between. Over a key that has no value yet it is
//! JSON if it can be read as such, or else a text.

mod overlay;

use holdfast_plugin::config::{
    Config, ConfigError, Entry, Host, Metadata, Need, Requirement, Snapshot,
};
use serde::Deserialize;

/// What an operator would not misread as one of the host's own variables.
const PREFIX: &str = "HOLDFAST_OVERLAY_";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How the variables' names begin.
    prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: PREFIX.into(),
        }
    }
}

struct EnvOverlay {
    settings: Settings,
}

impl Config for EnvOverlay {
    fn describe() -> Metadata {
        Metadata {
            name: "config-env-overlay".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "lays variables of the environment over the configuration's files".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let settings: Settings = holdfast_plugin::settings::parse(settings)?;
        let is_letter = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let prefix = &settings.prefix;
        if !prefix.bytes().all(is_letter) || !prefix.ends_with('_') || prefix.len() < 2 {
            return Err(format!(
                "prefix: {prefix:?} is none; write capital letters and an underscore at the end, such \
                 as {PREFIX}"
            ));
        }
        Ok(Self { settings })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need {
            what: Requirement::Environment(self.settings.prefix.clone()),
            reason: "each of these variables is laid over a value of the configuration".into(),
        }]
    }

    fn supply(&self, current: &Snapshot, host: &Host<'_>) -> Result<Vec<Entry>, ConfigError> {
        let mut entries = Vec::new();
        for name in host.environment.names() {
            let Some(path) = name.strip_prefix(&self.settings.prefix) else {
                continue;
            };
            let Some(text) = host.environment.get(&name) else {
                continue;
            };
            let entry = overlay::key(path).and_then(|key| {
                let value = overlay::value(&text, current.value(&key))?;
                Ok(Entry { key, value })
            });
            entries.push(entry.map_err(|why| ConfigError::Malformed(format!("{name}: {why}")))?);
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }
}

holdfast_plugin::export_config!(EnvOverlay);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::{Script, Variables, snapshot};

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::config::<EnvOverlay>(vectors).unwrap() >= 8);
    }

    #[test]
    fn it_asks_for_what_its_settings_say() {
        let plugin = EnvOverlay::init(r#"{"prefix": "OURS_"}"#).unwrap();
        assert_eq!(
            plugin.needs()[0].what,
            Requirement::Environment("OURS_".into())
        );
        let environment = Variables::new()
            .set("OURS_A__B", "1")
            .set("OTHER_A__C", "2");
        let host = Host {
            environment: &environment,
            http: &Script::new(),
        };
        let entries = plugin.supply(&snapshot(1, &[]), &host).unwrap();
        assert_eq!(entries.len(), 1);
        for wrong in ["", "_", "ours_", "OURS", "OÜRS_"] {
            let settings = format!(r#"{{"prefix": "{wrong}"}}"#);
            assert!(
                EnvOverlay::init(&settings)
                    .err()
                    .unwrap()
                    .contains("prefix"),
                "{wrong}"
            );
        }
    }
}
