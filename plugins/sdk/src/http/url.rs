//! Addresses, as far as a plugin needs them.

use crate::bindings::shared::holdfast::plugin::types::EgressNeed;
use std::fmt;

/// An absolute address: `https://pay.example:8443/charges?live=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    path: String,
}

impl Url {
    /// Reads an address. There is no user in it and no fragment: a secret does not belong there,
    /// and a fragment is not sent.
    ///
    /// # Errors
    /// What is wrong and what to write, for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("{text:?} {what}; write an address like https://pay.example/charges")
        };
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            _ => return Err(wrong("begins with neither https:// nor http://")),
        };
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong("has blanks or letters beyond ASCII"));
        }
        if text.contains(['#', '@', '\\', '"', '<', '>']) {
            return Err(wrong(
                "has a user, a fragment or a mark that must be escaped",
            ));
        }
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => {
                let port: Option<u16> = port.parse().ok().filter(|port| *port > 0);
                (host, Some(port.ok_or_else(|| wrong("has no such port"))?))
            }
            _ => (authority, None),
        };
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
            path,
        })
    }

    /// `https` or `http`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        match (self.port, self.scheme) {
            (Some(port), _) => port,
            (None, "http") => 80,
            (None, _) => 443,
        }
    }

    /// The host, and the port if it was written.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The path and the query: `/charges?live=1`.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path
    }

    /// The path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path
            .split_once('?')
            .map_or(&self.path, |(path, _)| path)
    }

    /// The need of a plugin that calls this address and what is below it.
    #[must_use]
    pub fn need(&self, methods: &[&str], secrets: &[String]) -> EgressNeed {
        EgressNeed {
            scheme: self.scheme.into(),
            host: self.host.clone(),
            port: self.port(),
            methods: methods.iter().map(|method| (*method).into()).collect(),
            path_prefix: self.path().into(),
            secrets: secrets.to_vec(),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, host, port, path) in [
            ("https://Pay.example", "pay.example", 443, "/"),
            (
                "https://pay.example/a/b?c=d",
                "pay.example",
                443,
                "/a/b?c=d",
            ),
            ("http://pay.example:8080?x", "pay.example", 8080, "/?x"),
            ("https://[::1]/x", "[::1]", 443, "/x"),
            ("https://[::1]:8443/x", "[::1]", 8443, "/x"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.host(), url.port(), url.path_and_query()),
                (host, port, path),
                "{text}"
            );
        }
        let url = Url::parse("https://pay.example:8443/charges?live=1").unwrap();
        assert_eq!(url.to_string(), "https://pay.example:8443/charges?live=1");
        assert_eq!(url.path(), "/charges");
    }

    #[test]
    fn what_is_no_address_is_told() {
        for (text, told) in [
            ("", "neither"),
            ("ftp://pay.example", "neither"),
            ("HTTPS://pay.example", "neither"),
            ("https://", "no host"),
            ("https:///charges", "no host"),
            ("https://pay.example:0/", "port"),
            ("https://pay.example:http/", "port"),
            ("https://me:secret@pay.example/", "user"),
            ("https://pay.example/#top", "fragment"),
            ("https://pay.example/a b", "blanks"),
            ("https://pay.example/\r\nhost: x", "blanks"),
            ("https://päy.example/", "ASCII"),
        ] {
            let refused = Url::parse(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn the_need_names_what_is_called() {
        let url = Url::parse("https://pay.example/charges?live=1").unwrap();
        let need = url.need(&["POST"], &["authorization".into()]);
        assert_eq!((need.port, need.path_prefix.as_str()), (443, "/charges"));
    }
}
