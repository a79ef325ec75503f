//! Vetoes configurations that break the operator's own rules, before they take effect.
//!
//! A rule names keys (`limits.*_bytes`, `store.**`) and what must hold for each of them: `min`,
//! `max`, `equals`, `one_of`, `fixed` (it may not change while the host runs), `present` (it must
//! be there). Sizes and spans of time may be written as in the configuration: `"64MiB"`, `"10s"`.

mod pattern;
mod quantity;
mod rule;

use holdfast_plugin::config::{Config, ConfigError, Finding, Host, Metadata, Severity, Snapshot};
use rule::{Rule, RuleSettings};
use serde::Deserialize;

/// Rules of one host, and findings that are told: more of them help nobody.
const RULES_MAX: usize = 500;
const FINDINGS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    rules: Vec<RuleSettings>,
}

struct Guard {
    rules: Vec<Rule>,
}

impl Config for Guard {
    fn describe() -> Metadata {
        Metadata {
            name: "config-guard".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "vetoes configurations that break the operator's rules".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let settings: Settings = holdfast_plugin::settings::parse(settings)?;
        if settings.rules.len() > RULES_MAX {
            return Err(format!("rules: write at most {RULES_MAX}"));
        }
        let rules = settings
            .rules
            .into_iter()
            .enumerate()
            .map(|(index, rule)| Rule::of(rule).map_err(|e| format!("rules[{index}].{e}")))
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    fn check(
        &self,
        proposed: &Snapshot,
        current: Option<&Snapshot>,
        _: &Host<'_>,
    ) -> Result<Vec<Finding>, ConfigError> {
        let mut findings: Vec<Finding> = self
            .rules
            .iter()
            .flat_map(|rule| rule.check(proposed, current))
            .collect();
        // What refuses comes first, so that warnings cannot crowd it out.
        findings.sort_by_key(|finding| matches!(finding.severity, Severity::Warn));
        findings.truncate(FINDINGS_MAX);
        Ok(findings)
    }
}

holdfast_plugin::export_config!(Guard);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::{Script, Variables, snapshot};

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::config::<Guard>(vectors).unwrap() >= 8);
    }

    #[test]
    fn warnings_do_not_crowd_out_a_veto() {
        let plugin = Guard::init(
            r#"{"rules": [{"key": "a.*", "max": 0, "severity": "warn"}, {"key": "b", "max": 0}]}"#,
        )
        .unwrap();
        let names: Vec<String> = (0..200).map(|n| format!("a.k{n:03}")).collect();
        let mut values: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        values.push(("b", "1"));
        let host = Host {
            environment: &Variables::new(),
            http: &Script::new(),
        };
        let findings = plugin.check(&snapshot(1, &values), None, &host).unwrap();
        assert_eq!(findings.len(), FINDINGS_MAX);
        assert_eq!(
            (findings[0].key.as_str(), &findings[0].severity),
            ("b", &Severity::Refuse)
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        for (settings, named) in [
            (r#"{"rule": []}"#, "rule"),
            (r#"{"rules": [{"key": ""}]}"#, "rules[0].key"),
            (r#"{"rules": [{"key": "a..b", "max": 1}]}"#, "rules[0].key"),
            (
                r#"{"rules": [{"key": "a.**.b.**", "max": 1}]}"#,
                "rules[0].key",
            ),
            (r#"{"rules": [{"key": "a"}]}"#, "rules[0].key"),
            (
                r#"{"rules": [{"key": "a", "max": 1}, {"key": "a", "max": "much"}]}"#,
                "rules[1].max",
            ),
            (r#"{"rules": [{"key": "a", "min": 1.5}]}"#, "rules[0].min"),
            (
                r#"{"rules": [{"key": "a", "min": "1s", "max": "1KiB"}]}"#,
                "rules[0].max",
            ),
            (
                r#"{"rules": [{"key": "a", "min": 2, "max": 1}]}"#,
                "rules[0].max",
            ),
            (
                r#"{"rules": [{"key": "a", "one_of": []}]}"#,
                "rules[0].one_of",
            ),
            (
                r#"{"rules": [{"key": "a.*", "present": true}]}"#,
                "rules[0].present",
            ),
            (
                r#"{"rules": [{"key": "a", "max": 1, "severity": "fatal"}]}"#,
                "fatal",
            ),
            (
                r#"{"rules": [{"key": "a", "max": 1, "because": "a\nb"}]}"#,
                "rules[0].because",
            ),
        ] {
            let refused = Guard::init(settings).err().unwrap();
            assert!(refused.contains(named), "{settings}: {refused}");
        }
    }
}
