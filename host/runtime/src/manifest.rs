//! `NAME.toml` beside `NAME.wasm`: what the operator sets for a plugin.

use crate::breaker::BreakerRule;
use crate::egress::{Rule, RuleText};
use crate::job::{EnvironmentGrant, Grants};
use crate::kind::Kind;
use crate::limits::{Isolation, LimitsOverlay};
use crate::promotion::{PromoteBy, Promotion};
use serde::Deserialize;

/// A manifest; without a file, all of it is as usual.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Whether its calls share instances.
    pub(crate) isolation: Isolation,
    /// Handed to the plugin as JSON.
    settings: toml::Table,
    /// What differs from the usual limits.
    pub(crate) limits: LimitsOverlay,
    /// When it is taken out of service.
    pub(crate) breaker: BreakerRule,
    /// How it comes into service, and when it goes back.
    pub(crate) promote: Promotion,
    /// Where its requests may go.
    egress: Vec<RuleText>,
    /// What it may read of the environment.
    environment: EnvironmentText,
}

/// The `[environment]` table.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EnvironmentText {
    /// Names, or beginnings of names with a star.
    allow: Vec<String>,
}

impl Manifest {
    /// Reads the file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self =
            toml::from_str(text).map_err(|e| e.to_string().trim_end().replace('\n', " "))?;
        Ok(Self {
            breaker: manifest.breaker.checked()?,
            promote: manifest.promote.checked()?,
            ..manifest
        })
    }

    /// What it is granted of the outside. A kind that has no way there can be granted nothing.
    pub(crate) fn grants(&self, kind: Kind) -> Result<Grants, String> {
        let refused = |table: &str| format!("{table}: {kind} plugins have none; take it out");
        if !self.egress.is_empty() && !matches!(kind, Kind::Payment | Kind::Config) {
            return Err(refused("egress"));
        }
        if !self.environment.allow.is_empty() && kind != Kind::Config {
            return Err(refused("environment"));
        }
        Ok(Grants {
            egress: Rule::parse_all(&self.egress)?,
            environment: EnvironmentGrant::parse(&self.environment.allow)?,
        })
    }

    /// Refuses to shadow what cannot: a call of a job changes the world, and must not run twice.
    pub(crate) fn check_promotion(&self, kind: Kind) -> Result<(), String> {
        if self.promote.by == PromoteBy::Shadow && matches!(kind, Kind::Payment | Kind::Config) {
            return Err(format!(
                "promote.by: {kind} plugins cannot shadow, because their calls would be made twice; write \"hand\" or \"at-once\""
            ));
        }
        Ok(())
    }

    /// The settings as a JSON object, keys sorted, so that equal settings are equal texts.
    pub(crate) fn settings_json(&self) -> Result<String, String> {
        let json = json(&toml::Value::Table(self.settings.clone()))
            .map_err(|why| format!("settings: {why}"))?;
        Ok(json.to_string())
    }
}

/// TOML as JSON; times become text, as JSON has none.
fn json(value: &toml::Value) -> Result<serde_json::Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .ok_or_else(|| format!("{number} is no number in JSON; write a finite one"))?
            .into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items
            .iter()
            .map(json)
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        toml::Value::Table(table) => {
            let mut pairs = table
                .iter()
                .map(|(key, value)| json(value).map(|value| (key.clone(), value)))
                .collect::<Result<Vec<_>, _>>()?;
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            serde_json::Value::Object(pairs.into_iter().collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_json() {
        let manifest = Manifest::parse(
            "[settings]\nb = 1\na = [true, \"x\"]\nt = 2026-01-01T00:00:00Z\n[limits]\ncpu_ms = 9",
        )
        .unwrap();
        assert_eq!(
            manifest.settings_json().unwrap(),
            r#"{"a":[true,"x"],"b":1,"t":"2026-01-01T00:00:00Z"}"#
        );
        assert_eq!(Manifest::default().settings_json().unwrap(), "{}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("setings = 1", "setings"),
            ("[limits]\nmemory = 1", "memory"),
            ("[settings", "line 1"),
            ("settings = 3", "settings"),
            ("isolation = \"cold\"", "isolation"),
            ("[breaker]\nfailures = 0", "breaker.failures"),
            ("[breaker]\nretries = 1", "retries"),
            ("[promote]\nby = \"magic\"", "magic"),
            ("[promote]\nmax_slowdown = 0.1", "promote.max_slowdown"),
        ] {
            let refused = Manifest::parse(text).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
        let manifest = Manifest::parse("[settings]\nx = nan").unwrap();
        assert!(manifest.settings_json().unwrap_err().contains("finite"));
    }

    #[test]
    fn what_cannot_run_twice_cannot_shadow() {
        let manifest = Manifest::parse("[promote]\nby = \"shadow\"").unwrap();
        let refused = manifest.check_promotion(Kind::Payment).unwrap_err();
        assert!(refused.contains("would be made twice"), "{refused}");
        assert_eq!(manifest.check_promotion(Kind::Pricing), Ok(()));
    }
}
