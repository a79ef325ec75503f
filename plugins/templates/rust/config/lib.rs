//! Keeps a configuration out that breaks a rule of the house: here, that the host listens on one
//! port only.

use holdfast_plugin::config::{Config, ConfigError, Finding, Host, Metadata, Snapshot};
use serde::Deserialize;

/// What the operator writes under `[settings]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// The port that `server.listen` must have.
    port: u16,
}

impl Config for Rules {
    fn describe() -> Metadata {
        Metadata {
            name: "plugin-name".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "keeps the host on its port".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        holdfast_plugin::settings::parse(settings)
    }

    fn check(
        &self,
        proposed: &Snapshot,
        _current: Option<&Snapshot>,
        _host: &Host<'_>,
    ) -> Result<Vec<Finding>, ConfigError> {
        // Values are JSON text: a text has its quotes.
        let listen = proposed.value("server.listen").unwrap_or_default();
        let is_ours = listen.trim_matches('"').ends_with(&format!(":{}", self.port));
        Ok(match is_ours {
            true => Vec::new(),
            false => vec![Finding::refuse(
                "server.listen",
                format!("write an address with port {}", self.port),
            )],
        })
    }
}

holdfast_plugin::export_config!(Rules);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::config::<Rules>(vectors).is_ok());
    }

    #[test]
    fn wrong_settings_are_named() {
        let refused = Rules::init(r#"{"ports": 1}"#).map(drop);
        assert!(refused.is_err_and(|why| why.contains("ports")));
    }
}
