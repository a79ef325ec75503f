//! Grants have two sides: the plugin says what it needs and why, the operator's file grants it. A
//! need that is not granted keeps the plugin out, with the lines to write; a grant that nobody
//! needs is told.

use crate::bindings::authorizer::holdfast::plugin::types::{EgressNeed, Need, Requirement};
use crate::egress::{Rule, Scope, closed_host};
use crate::guest::printable;
use std::collections::BTreeMap;

/// Needs of one plugin.
const NEEDS_MAX: usize = 64;

/// Names and prefixes that `[environment] allow` can have.
const ENVIRONMENT_MAX: usize = 64;

/// Of the environment, what a plugin may read: names, or beginnings of names with a star.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EnvironmentGrant(Vec<String>);

impl EnvironmentGrant {
    /// Checks what is written under `[environment] allow`.
    pub(crate) fn parse(allow: &[String]) -> Result<Self, String> {
        if allow.len() > ENVIRONMENT_MAX {
            return Err(format!(
                "environment.allow has more than {ENVIRONMENT_MAX} names"
            ));
        }
        for text in allow {
            let name = text.strip_suffix('*').unwrap_or(text);
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(format!(
                    "environment.allow: {text:?} is no name of a variable; write \"NAME\" or \"PREFIX_*\""
                ));
            }
        }
        Ok(Self(allow.to_vec()))
    }

    /// Whether a variable may be read.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.0.iter().any(|grant| match grant.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == grant,
        })
    }

    /// Those variables that may be read.
    pub(crate) fn of(&self, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let granted = environment.iter().filter(|(name, _)| self.allows(name));
        granted.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Whether all variables that begin so may be read.
    fn allows_all(&self, prefix: &str) -> bool {
        self.0.iter().any(|grant| match grant.strip_suffix('*') {
            Some(granted) => prefix.starts_with(granted),
            None => prefix == grant,
        })
    }
}

/// What the operator grants a plugin.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Grants {
    /// Where its requests may go.
    pub(crate) egress: Vec<Rule>,
    /// Which variables it may read.
    pub(crate) environment: EnvironmentGrant,
}

impl Grants {
    /// Holds what a plugin needs against what it is granted. The error is for the operator: every
    /// need that is not granted, with its reason and the lines to write. The answer is warnings.
    pub(crate) fn check(&self, name: &str, needs: &[Need]) -> Result<Vec<String>, String> {
        if needs.len() > NEEDS_MAX {
            return Err(format!("needs: has more than {NEEDS_MAX} entries"));
        }
        let mut missing = Vec::new();
        let mut used = vec![false; self.egress.len()];
        let mut wants_environment = false;
        for need in needs {
            let reason = printable(&need.reason);
            let lines = match &need.what {
                Requirement::Egress(egress) => self.egress_missing(egress, &reason, &mut used)?,
                Requirement::Environment(prefix) => {
                    wants_environment = true;
                    self.environment_missing(prefix)
                }
                Requirement::Other(what) => {
                    return Err(format!(
                        "needs {:?} ({reason}), which this host does not have; take a newer host",
                        printable(what)
                    ));
                }
            };
            missing.extend(lines.map(|lines| format!("# {reason}\n{lines}")));
        }
        if missing.is_empty() {
            return Ok(self.superfluous(&used, wants_environment));
        }
        Err(format!(
            "needs what it is not granted; read its reasons, and if they are good write into {name}.toml:\n{}",
            missing.join("\n")
        ))
    }

    /// The lines that grant a need, if nothing does yet.
    fn egress_missing(
        &self,
        need: &EgressNeed,
        reason: &str,
        used: &mut [bool],
    ) -> Result<Option<String>, String> {
        let scope = Scope::parse(
            &need.scheme,
            &need.host,
            Some(need.port),
            &need.methods,
            &need.path_prefix,
        )
        .map_err(|why| format!("needs: {}", printable(&why)))?;
        let has_secrets = |rule: &Rule| {
            let has = |name: &String| {
                rule.secrets
                    .iter()
                    .any(|(header, _)| header == name.as_str())
            };
            need.secrets.iter().all(has)
        };
        let mut is_granted = false;
        for (rule, used) in self.egress.iter().zip(used) {
            if rule.scope.includes(&scope) {
                // Requests take the first rule that covers them, so that one counts.
                *used = true;
                is_granted = has_secrets(rule);
                break;
            }
        }
        if is_granted {
            return Ok(None);
        }
        let secret = |name: &String| format!("\"{}\" = \"{{env:NAME}}\"", printable(name));
        let secrets: Vec<String> = need.secrets.iter().map(secret).collect();
        let secrets = match secrets.is_empty() {
            true => String::new(),
            false => format!("\nsecrets = {{ {} }}", secrets.join(", ")),
        };
        // A plugin does not talk an operator into opening what is closed.
        match closed_host(&scope.host) {
            None => Ok(Some(scope.lines() + &secrets)),
            Some(closed) if closed.can_be_opened() => Ok(Some(format!(
                "# It calls {closed}.{}",
                secrets.replace('\n', " That rule must have: ")
            ))),
            Some(closed) => Err(format!(
                "needs requests to {closed} (its reason: {reason}); take the plugin out"
            )),
        }
    }

    fn environment_missing(&self, prefix: &str) -> Option<String> {
        let prefix = printable(prefix);
        let is_granted = self.environment.allows_all(&prefix);
        (!is_granted).then(|| format!("[environment]\nallow = [\"{prefix}*\"]"))
    }

    fn superfluous(&self, used: &[bool], wants_environment: bool) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .egress
            .iter()
            .zip(used)
            .filter(|(_, used)| !**used)
            .map(|(rule, _)| {
                format!(
                    "is granted requests to {}, which it does not need; take the rule out",
                    rule.scope.host
                )
            })
            .collect();
        if !wants_environment && self.environment != EnvironmentGrant::default() {
            warnings
                .push("is granted variables that it does not need; take [environment] out".into());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::RuleText;

    fn grants(rules: &str, allow: &[&str]) -> Grants {
        #[derive(serde::Deserialize)]
        struct File {
            #[serde(default)]
            egress: Vec<RuleText>,
        }
        let file: File = toml::from_str(rules).unwrap();
        let allow: Vec<String> = allow.iter().map(|a| (*a).to_owned()).collect();
        Grants {
            egress: Rule::parse_all(&file.egress).unwrap(),
            environment: EnvironmentGrant::parse(&allow).unwrap(),
        }
    }

    fn need(what: Requirement) -> Need {
        Need {
            what,
            reason: "to collect".into(),
        }
    }

    fn egress(path: &str, secrets: &[&str]) -> Need {
        need(Requirement::Egress(EgressNeed {
            scheme: "https".into(),
            host: "pay.example".into(),
            port: 443,
            methods: vec!["POST".into()],
            path_prefix: path.into(),
            secrets: secrets.iter().map(|s| (*s).to_owned()).collect(),
        }))
    }

    const RULE: &str = "[[egress]]\nhost = 'pay.example'\nmethods = ['POST', 'GET']\n\
                        path_prefix = '/v1'\nsecrets = { authorization = 'Bearer {env:KEY}' }\n";

    #[test]
    fn what_is_needed_and_granted_passes() {
        let grants = grants(RULE, &["OVERLAY_*", "ONE"]);
        let needs = [
            egress("/v1/charges", &["authorization"]),
            need(Requirement::Environment("OVERLAY_X".into())),
            need(Requirement::Environment("ONE".into())),
        ];
        assert_eq!(grants.check("p", &needs).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_told_with_the_lines_that_grant_it() {
        for (needs, lines) in [
            (egress("/v2", &[]), "path_prefix = \"/v2\""),
            (
                egress("/v1", &["x-key"]),
                "secrets = { \"x-key\" = \"{env:NAME}\" }",
            ),
            (
                need(Requirement::Environment("HOME".into())),
                "[environment]\nallow = [\"HOME*\"]",
            ),
            (need(Requirement::Other("files".into())), "newer host"),
        ] {
            let refused = grants(RULE, &["ONE"]).check("p", &[needs]).unwrap_err();
            assert!(
                refused.contains(lines) && refused.contains("to collect"),
                "{refused}"
            );
        }
        // The lines that are told grant what was missing.
        let told = grants("", &[])
            .check("p", &[egress("/v2", &["x-key"])])
            .unwrap_err();
        let (_, lines) = told.split_once('\n').unwrap();
        let granted = grants(lines, &[]);
        assert!(granted.check("p", &[egress("/v2", &["x-key"])]).is_ok());
    }

    #[test]
    fn what_is_closed_by_itself_is_never_told_as_a_grant() {
        let calls = |host: &str, secrets: &[&str]| {
            let Requirement::Egress(all) = egress("/v1", secrets).what else {
                unreachable!("it is one");
            };
            let host = host.into();
            need(Requirement::Egress(EgressNeed { host, ..all }))
        };
        let refused = |host: &str| {
            let told = grants("", &[]).check("p", &[calls(host, &["x-key"])]);
            let told = told.unwrap_err();
            assert!(!told.contains("[[egress]]"), "{host}: {told}");
            assert!(told.contains("to collect"), "{host}: {told}");
            told
        };
        for host in ["169.254.169.254", "0xa9fea9fe", "metadata.google.internal"] {
            let told = refused(host);
            assert!(told.contains("where plugins may never go"), "{told}");
            assert!(!told.contains("write into"), "{told}");
        }
        for host in ["10.0.0.7", "[::1]", "localhost"] {
            let told = refused(host);
            assert!(told.contains("unless allow_private"), "{told}");
            assert!(told.contains("\"x-key\" = \"{env:NAME}\""), "{told}");
            // What is told may be written as it stands, and grants nothing.
            let (_, lines) = told.split_once('\n').unwrap();
            let again = grants(lines, &[]).check("p", &[calls(host, &["x-key"])]);
            assert_eq!(again.unwrap_err(), told);
        }
    }

    #[test]
    fn what_nobody_needs_is_told() {
        let warnings = grants(RULE, &["ONE"]).check("p", &[]).unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(EnvironmentGrant::parse(&["*".into()]).is_err());
        assert!(EnvironmentGrant::parse(&["A B".into()]).is_err());
    }
}
