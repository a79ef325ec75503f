//! What the operator allows a plugin to reach: `[[egress]]` in `NAME.toml`.

use super::address::private_range;
use super::secret::Template;
use super::target::{Scheme, Target, host, path};
use hyper::Method;
use hyper::header::HeaderName;
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rules of one plugin: a payment provider has a handful of hosts.
pub(crate) const RULES_MAX: usize = 32;

/// Headers of one rule that the host fills in.
const SECRETS_MAX: usize = 8;

/// The methods that a rule can allow. `CONNECT` would be a tunnel, and `TRACE` an echo of secrets.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Headers that carry the message itself; a secret in one would change what is sent.
const NOT_FOR_SECRETS: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
];

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    /// `https`, or `http` for what is near.
    #[serde(default = "https")]
    scheme: String,
    /// One host, by its name or address.
    host: String,
    /// That of the scheme if it is not written.
    port: Option<u16>,
    methods: Vec<String>,
    /// What paths begin with, by whole segments.
    #[serde(default = "root")]
    path_prefix: String,
    /// Headers that the host puts in, with `{env:NAME}` or `{file:PATH}` for the secret.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// Private ranges that the host may be in.
    #[serde(default)]
    allow_private: Vec<String>,
}

fn https() -> String {
    "https".into()
}

fn root() -> String {
    "/".into()
}

/// A rule, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) scope: Scope,
    /// What the host puts into which header.
    pub(crate) secrets: Vec<(HeaderName, Template)>,
    /// Private ranges that it opens.
    pub(crate) open: Vec<IpNet>,
}

/// What a rule allows, or a plugin needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) methods: Vec<Method>,
    pub(crate) path_prefix: String,
}

impl Scope {
    /// Checks a scope that was written; the error names the key and what to write.
    pub(crate) fn parse(
        scheme: &str,
        host_text: &str,
        port: Option<u16>,
        methods: &[String],
        path_prefix: &str,
    ) -> Result<Self, String> {
        let scheme = Scheme::parse(scheme)?;
        if methods.is_empty() {
            return Err("methods is empty; write those that are needed, such as [\"POST\"]".into());
        }
        let method = |text: &String| {
            let known = METHODS
                .iter()
                .find(|known| text.eq_ignore_ascii_case(known));
            known
                .and_then(|known| known.parse().ok())
                .ok_or_else(|| format!("methods: {text:?} is none of {}", METHODS.join(", ")))
        };
        if port == Some(0) {
            return Err("port: 0 is none; write 1 to 65535".into());
        }
        Ok(Self {
            scheme,
            host: host(host_text)?,
            port: port.unwrap_or(scheme.port()),
            methods: methods.iter().map(method).collect::<Result<_, _>>()?,
            path_prefix: path(path_prefix).map_err(|why| format!("path_prefix: {why}"))?,
        })
    }

    /// Whether a target lies in it.
    pub(crate) fn covers(&self, target: &Target) -> bool {
        self.scheme == target.scheme
            && self.host == target.host
            && self.port == target.port
            && self.methods.contains(&target.method)
            && self.has_path(&target.path)
    }

    /// Whether all of another scope lies in it.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host == other.host
            && self.port == other.port
            && other.methods.iter().all(|m| self.methods.contains(m))
            && self.has_path(&other.path_prefix)
    }

    /// By whole segments: `/v1` has `/v1` and `/v1/x`, and not `/v10`.
    fn has_path(&self, path: &str) -> bool {
        match path.strip_prefix(&self.path_prefix) {
            None => false,
            Some(rest) => {
                rest.is_empty() || rest.starts_with('/') || self.path_prefix.ends_with('/')
            }
        }
    }

    /// The lines that grant it, as an operator writes them.
    pub(crate) fn lines(&self) -> String {
        let Self {
            scheme,
            host,
            port,
            methods,
            path_prefix,
        } = self;
        let methods: Vec<String> = methods.iter().map(|m| format!("\"{m}\"")).collect();
        format!(
            "[[egress]]\nscheme = \"{}\"\nhost = \"{host}\"\nport = {port}\nmethods = [{}]\npath_prefix = \"{path_prefix}\"",
            scheme.as_str(),
            methods.join(", "),
        )
    }
}

impl Rule {
    /// Checks what is written; the error names the key and what to write.
    pub(crate) fn parse(text: &RuleText) -> Result<Self, String> {
        let scope = Scope::parse(
            &text.scheme,
            &text.host,
            text.port,
            &text.methods,
            &text.path_prefix,
        )?;
        if text.secrets.len() > SECRETS_MAX {
            return Err(format!("secrets has more than {SECRETS_MAX} headers"));
        }
        let secret = |(name, template): (&String, &String)| {
            let header = name.to_ascii_lowercase().parse::<HeaderName>();
            let header = header
                .ok()
                .filter(|header| !NOT_FOR_SECRETS.contains(&header.as_str()))
                .ok_or_else(|| format!("secrets: {name:?} is no header for a secret"))?;
            let template =
                Template::parse(template).map_err(|why| format!("secrets.{name}: {why}"))?;
            Ok::<_, String>((header, template))
        };
        let open =
            |range: &String| private_range(range).map_err(|why| format!("allow_private: {why}"));
        Ok(Self {
            scope,
            secrets: text.secrets.iter().map(secret).collect::<Result<_, _>>()?,
            open: text
                .allow_private
                .iter()
                .map(open)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Checks all rules of a plugin.
    pub(crate) fn parse_all(texts: &[RuleText]) -> Result<Vec<Self>, String> {
        if texts.len() > RULES_MAX {
            return Err(format!("egress has more than {RULES_MAX} rules"));
        }
        let parse = |(text, number): (&RuleText, usize)| {
            Self::parse(text).map_err(|why| format!("egress, rule {number}: {why}"))
        };
        texts.iter().zip(1..).map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Rule, String> {
        let text: RuleText = toml::from_str(text).map_err(|e| e.to_string())?;
        Rule::parse(&text)
    }

    fn covers(rule: &Rule, method: &str, uri: &str) -> bool {
        let uri = uri.parse().unwrap();
        Target::of(&method.parse().unwrap(), &uri).is_ok_and(|t| rule.scope.covers(&t))
    }

    #[test]
    fn a_rule_allows_what_it_names_and_no_more() {
        let rule = rule(
            "host = 'API.example.com.'\nmethods = ['post', 'GET']\npath_prefix = '/v1/charges'",
        )
        .unwrap();
        for uri in [
            "https://api.example.com/v1/charges",
            "https://api.example.com:443/v1/charges/7?x=1",
            "https://API.EXAMPLE.COM/%76%31/charges",
        ] {
            assert!(covers(&rule, "POST", uri), "{uri}");
        }
        for uri in [
            "http://api.example.com/v1/charges",
            "https://api.example.com:8443/v1/charges",
            "https://api.example.com/v1/charges-all",
            "https://api.example.com/v1",
            "https://example.com/v1/charges",
            "https://api.example.com.evil.example/v1/charges",
            "https://api.example.com/v1/charges/../refunds",
        ] {
            assert!(!covers(&rule, "POST", uri), "{uri}");
        }
        assert!(!covers(
            &rule,
            "DELETE",
            "https://api.example.com/v1/charges"
        ));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("host = 'a.example'", "methods"),
            ("host = 'a.example'\nmethods = []", "methods"),
            ("host = 'a.example'\nmethods = ['CONNECT']", "CONNECT"),
            ("host = '*.example'\nmethods = ['GET']", "host"),
            (
                "host = 'a.example'\nmethods = ['GET']\npath_prefix = 'v1'",
                "path_prefix",
            ),
            (
                "host = 'a.example'\nmethods = ['GET']\nscheme = 'ftp'",
                "scheme",
            ),
            ("host = 'a.example'\nmethods = ['GET']\nport = 0", "port"),
            (
                "host = 'a.example'\nmethods = ['GET']\nallow_private = ['8.8.8.8']",
                "8.8.8.8",
            ),
            (
                "host = 'a.example'\nmethods = ['GET']\nsecrets = { host = '{env:X}' }",
                "host",
            ),
            (
                "host = 'a.example'\nmethods = ['GET']\nsecrets = { x-key = 'plain' }",
                "x-key",
            ),
            ("host = 'a.example'\nmethods = ['GET']\npath = '/'", "path"),
        ] {
            let refused = rule(text).unwrap_err();
            assert!(refused.contains(named), "{text}: {refused}");
        }
    }

    #[test]
    fn the_lines_it_writes_are_the_rule() {
        let written = rule(
            "host = '10.0.0.7'\nport = 81\nscheme = 'http'\nmethods = ['PUT']\n\
                            path_prefix = '/a'\nallow_private = ['10.0.0.7']",
        )
        .unwrap();
        let lines = written.scope.lines();
        let again = rule(lines.strip_prefix("[[egress]]\n").unwrap()).unwrap();
        assert_eq!(again.scope, written.scope);
        assert!(again.scope.includes(&written.scope));
    }
}
