//! Where a request goes, in the one form in which rules and requests are compared.
//!
//! What two programs may read in two ways (dots that are encoded, slashes that are encoded, user
//! names before the host) is refused rather than guessed.

use hyper::{Method, Uri};
use std::net::IpAddr;
use url::Host;

/// Bytes of a path and its query: more than any payment interface asks for.
const PATH_BYTES_MAX: usize = 8 * 1024;

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In the clear.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port if none is named.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Reads it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(format!("scheme {text:?} is not one; write \"https\"")),
        }
    }
}

/// A request's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    /// In lower case, without a dot at the end; an address in its usual form.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) method: Method,
    /// In its usual form, without the query.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

impl Target {
    /// The target of a request, or why it has none that is plain.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Result<Self, String> {
        let scheme = Scheme::parse(uri.scheme_str().unwrap_or_default())?;
        let authority = uri.authority().ok_or("the request names no host")?;
        if authority.as_str().contains('@') {
            return Err("the host has a user name before it; send it in a header".into());
        }
        let query = uri.query().map(str::to_owned);
        let length = uri.path().len() + query.as_ref().map_or(0, String::len);
        if length > PATH_BYTES_MAX {
            return Err(format!("the path has more than {PATH_BYTES_MAX} bytes"));
        }
        // The library takes an empty port for none at all; so does this.
        let port = match authority.port() {
            None => scheme.port(),
            Some(port) => port.as_u16(),
        };
        Ok(Self {
            scheme,
            host: host(authority.host())?,
            port,
            method: method.clone(),
            path: path(uri.path())?,
            query,
        })
    }

    /// The address that stands in the host's place, if one does.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        let bare = self
            .host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'));
        bare.unwrap_or(&self.host).parse().ok()
    }

    /// The host as certificates and resolvers name it.
    pub(crate) fn bare_host(&self) -> &str {
        let bare = self
            .host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'));
        bare.unwrap_or(&self.host)
    }

    /// What stands in the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self.port == self.scheme.port() {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Path and query, as they are sent.
    pub(crate) fn path_and_query(&self) -> String {
        match &self.query {
            None => self.path.clone(),
            Some(query) => format!("{}?{query}", self.path),
        }
    }
}

/// A host in its usual form: names in lower case and ASCII, addresses as numbers, whatever notation
/// they had.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let parsed = Host::parse(text).map_err(|e| format!("host {text:?} is none ({e})"))?;
    if let Host::Domain(name) = &parsed
        && (name.is_empty() || name.ends_with('.') || name.contains(['*', '_', '%']))
    {
        return Err(format!(
            "host {text:?} is no name; write one such as \"api.example.com\""
        ));
    }
    Ok(parsed.to_string())
}

/// A path in its usual form: what needs no percent sign has none, the others are upper case.
pub(crate) fn path(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok("/".into());
    }
    if !text.starts_with('/') {
        return Err(format!("path {text:?} does not begin with a slash"));
    }
    let mut usual = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let value = hex(bytes.next(), bytes.next()).ok_or_else(|| {
                    format!("path {text:?} has a percent sign without two digits")
                })?;
                match value {
                    b'/' | b'\\' | b'.' | b'%' | b';' | 0..=0x1f | 0x7f => {
                        return Err(format!(
                            "path {text:?} hides a dot, a slash or a control character"
                        ));
                    }
                    _ if value.is_ascii_alphanumeric() || b"-_~".contains(&value) => {
                        usual.push(char::from(value));
                    }
                    _ => usual.push_str(&format!("%{value:02X}")),
                }
            }
            b'\\' | b'?' | b'#' => {
                return Err(format!("path {text:?} has a character that no path has"));
            }
            0x21..=0x7e => usual.push(char::from(byte)),
            _ => return Err(format!("path {text:?} has a character that is not encoded")),
        }
    }
    // Some servers cut what follows a semicolon before they look at the dots.
    let is_dotted = |segment: &str| {
        let (name, _) = segment.split_once(';').unwrap_or((segment, ""));
        matches!(name, "." | "..")
    };
    if usual.split('/').any(is_dotted) {
        return Err(format!(
            "path {text:?} has dots for a folder; write where it leads"
        ));
    }
    Ok(usual)
}

fn hex(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str) -> Result<Target, String> {
        Target::of(
            &Method::GET,
            &uri.parse::<Uri>().map_err(|e| e.to_string())?,
        )
    }

    #[test]
    fn one_target_has_one_form() {
        let usual = target("https://api.example.com/v1/a%2Bb?x=%2e").unwrap();
        for same in [
            "HTTPS://API.Example.com./v1/a%2bb?x=%2e",
            "https://api.example.com:443/%76%31/a%2Bb?x=%2e",
        ] {
            assert_eq!(target(same).unwrap(), usual, "{same}");
        }
        assert_eq!(usual.authority(), "api.example.com");
        assert_eq!(usual.path_and_query(), "/v1/a%2Bb?x=%2e");
        assert_eq!(target("http://a.example").unwrap().path, "/");
    }

    #[test]
    fn addresses_are_seen_through_their_notations() {
        for (host, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("[0:0:0:0:0:ffff:7f00:1]", "::ffff:127.0.0.1"),
        ] {
            let found = target(&format!("http://{host}:8080/")).unwrap();
            assert_eq!(found.literal(), Some(address.parse().unwrap()), "{host}");
        }
        assert_eq!(target("http://example.com/").unwrap().literal(), None);
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for uri in [
            "https://user@api.example.com/",
            "https://api.example.com@evil.example/",
            "ftp://api.example.com/",
            "/v1/only",
            "https://api.example.com/v1/../admin",
            "https://api.example.com/v1/./x",
            "https://api.example.com/v1/..;/admin",
            "https://api.example.com/v1/%2e%2e/admin",
            "https://api.example.com/v1%2fadmin",
            "https://api.example.com/v1%5cadmin",
            "https://api.example.com/v1%00",
            "https://api.example.com/v1%25",
            "https://api.example.com/v1%zz",
            "https://api.example.com../",
        ] {
            assert!(target(uri).is_err(), "{uri}");
        }
    }
}
