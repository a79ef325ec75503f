//! What a client posts to ask for a pin: the Pinning Service API's `Pin` object, as it comes.

use super::NewRequest;
use crate::cid::Cid;
use crate::error::Invalid;
use crate::peer::Origin;
use crate::time::UnixMillis;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The pair of `meta` that says when a pin is to go by itself, in RFC 3339. The Pinning Service API
/// has no field for it; IPFS Cluster's `expire_at` lends the name.
const EXPIRE_AT: &str = "expire_at";

/// A posted pin, not yet checked.
///
/// The fields hold whatever JSON was sent, so that a wrong one can be told by its name
/// (`origins[1]`) and not by a line and a column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    cid: Option<Value>,
    name: Option<Value>,
    origins: Option<Value>,
    meta: Option<Value>,
}

impl Asked {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// A body that is no JSON object, or has a field that the Pinning Service API does not know.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(body).map_err(|e| {
            let why = format!(r#"{e}; send JSON such as {{"cid":"bafybei…","name":"site"}}"#);
            Invalid::new("body", why)
        })
    }

    /// Checks every field and every limit.
    ///
    /// # Errors
    /// The first field that is wrong: `cid`, `name`, `origins[1]`, `meta.app`, ….
    pub fn check(self) -> Result<NewRequest, Invalid> {
        let cid = match self.cid {
            Some(value) => Cid::parse(&text("cid", value)?)?,
            None => return Err(Invalid::new("cid", "is missing; write the CID to pin")),
        };
        let meta = self.meta.map_or_else(|| Ok(BTreeMap::new()), pairs)?;
        let expires = meta.get(EXPIRE_AT).map(|at| expiry(at)).transpose()?;
        let request = NewRequest {
            cid,
            name: self.name.map(|value| text("name", value)).transpose()?,
            origins: self.origins.map_or_else(|| Ok(Vec::new()), origins)?,
            meta,
            expires,
        };
        request.check()?;
        Ok(request)
    }
}

fn text(what: &str, value: Value) -> Result<String, Invalid> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Invalid::new(
            what,
            format!("is {}; send text", kind_of(&other)),
        )),
    }
}

fn origins(value: Value) -> Result<Vec<Origin>, Invalid> {
    let Value::Array(all) = value else {
        let why = format!("is {}; send a list of multiaddrs", kind_of(&value));
        return Err(Invalid::new("origins", why));
    };
    let read = |(n, value)| {
        let what = format!("origins[{n}]");
        Origin::parse(&text(&what, value)?).map_err(|e| Invalid::new(what, e.why))
    };
    all.into_iter().enumerate().map(read).collect()
}

fn pairs(value: Value) -> Result<BTreeMap<String, String>, Invalid> {
    let Value::Object(object) = value else {
        let why = format!("is {}; send an object of text values", kind_of(&value));
        return Err(Invalid::new("meta", why));
    };
    let read = |(key, value): (String, Value)| {
        let value = text(&key, value).map_err(|e| e.within("meta"))?;
        Ok((key, value))
    };
    Map::into_iter(object).map(read).collect()
}

fn expiry(at: &str) -> Result<UnixMillis, Invalid> {
    UnixMillis::parse(at).map_err(|e| Invalid::new(format!("meta.{EXPIRE_AT}"), e.why))
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";

    fn check(body: &str) -> Result<NewRequest, Invalid> {
        Asked::parse(body.as_bytes())?.check()
    }

    #[test]
    fn a_full_request_is_understood() {
        let body = format!(
            r#"{{"cid":"bafkqaaa","name":"a site","origins":["/ip4/1.2.3.4/tcp/4001/p2p/{PEER}"],
                "meta":{{"app":"x","expire_at":"2030-01-01T00:00:00+01:00"}}}}"#
        );
        let request = check(&body).unwrap();
        assert_eq!(request.cid.to_string(), "bafkqaaa");
        assert_eq!(request.name.as_deref(), Some("a site"));
        assert_eq!(request.origins.len(), 1);
        assert_eq!(request.meta.len(), 2, "the pair is kept as it was sent");
        let expires = request.expires.unwrap();
        assert_eq!(expires.to_string(), "2029-12-31T23:00:00.000Z");
    }

    #[test]
    fn null_is_as_good_as_missing() {
        let body = r#"{"cid":"bafkqaaa","name":null,"origins":null,"meta":null}"#;
        assert_eq!(
            check(body).unwrap(),
            check(r#"{"cid":"bafkqaaa"}"#).unwrap()
        );
        check(r#"{"cid":"bafkqaaa","meta":{}}"#).unwrap();
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name() {
        let good = format!("/ip4/1.2.3.4/tcp/4001/p2p/{PEER}");
        for (rest, what) in [
            (r#""cid":null"#, "cid"),
            (r#""name":"x""#, "cid"),
            (r#""cid":"hello""#, "cid"),
            (r#""cid":7"#, "cid"),
            (r#""cid":"bafkqaaa","name":[]"#, "name"),
            (r#""cid":"bafkqaaa","origins":"x""#, "origins"),
            (
                &format!(r#""cid":"bafkqaaa","origins":["{good}","x"]"#),
                "origins[1]",
            ),
            (
                &format!(r#""cid":"bafkqaaa","origins":["{good}",1]"#),
                "origins[1]",
            ),
            (
                &format!(r#""cid":"bafkqaaa","origins":["{good}","{good}"]"#),
                "origins[1]",
            ),
            (r#""cid":"bafkqaaa","meta":"x""#, "meta"),
            (r#""cid":"bafkqaaa","meta":{"size":7}"#, "meta.size"),
            (
                r#""cid":"bafkqaaa","meta":{"expire_at":"soon"}"#,
                "meta.expire_at",
            ),
            (r#""cid":"bafkqaaa","cid":"bafkqaaa""#, "body"),
            (r#""cid":"bafkqaaa","nmae":"x""#, "body"),
            (r#""cid":"bafkqaaa","#, "body"),
        ] {
            let refused = check(&format!("{{{rest}}}")).unwrap_err();
            assert_eq!(refused.what, what, "{rest}: {refused}");
        }
        let typo = check(r#"{"cid":"bafkqaaa","nmae":"x"}"#).unwrap_err();
        assert!(
            typo.why.contains("nmae") && typo.why.contains("origins"),
            "{typo}"
        );
    }

    #[test]
    fn limits_hold() {
        let name = "n".repeat(256);
        let refused = check(&format!(r#"{{"cid":"bafkqaaa","name":"{name}"}}"#)).unwrap_err();
        assert_eq!(refused.what, "name");
    }
}
