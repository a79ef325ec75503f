//! What a line is in a chain.

use holdfast_model::audit::{AUDIT_BODY_BYTES_MAX, AUDIT_NAME_BYTES_MAX, AuditEvent};
use holdfast_model::{TenantId, UnixMillis};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Bytes that are kept of a line that cannot be entered as it is: escaped they still fit.
const EXCERPT_BYTES_MAX: usize = 2_048;

/// As much of a line as its place in a chain depends on. Lines of older releases have no name and
/// no tenant.
#[derive(Debug, Deserialize)]
struct Parts<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tenant: Option<Cow<'a, str>>,
    time: UnixMillis,
    #[serde(borrow, default)]
    route: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    actor: Option<Actor<'a>>,
    #[serde(borrow, default)]
    action: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<On<'a>>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(default)]
    status: u16,
}

#[derive(Debug, Deserialize)]
struct Actor<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    tenant: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct On<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    account: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

/// The chain that a line goes to, and what is entered.
pub(super) fn event_of(line: &[u8], now: UnixMillis) -> (String, AuditEvent) {
    match serde_json::from_slice::<Parts<'_>>(line) {
        Ok(parts) => of_parts(parts, line),
        // A crash cut it off, or a hand was at the file: that too is to be known.
        Err(_) => {
            let body = json!({ "unreadable": excerpt(line), "sha256": hex(&digest(line)) });
            let event = AuditEvent {
                id: name_of(line),
                at: now,
                action: "unreadable".to_owned(),
                outcome: "error".to_owned(),
                actor: String::new(),
                resource: String::new(),
                body: body.to_string().into_bytes(),
            };
            (String::new(), event)
        }
    }
}

fn of_parts(parts: Parts<'_>, line: &[u8]) -> (String, AuditEvent) {
    let id = parts
        .id
        .as_deref()
        .and_then(|id| u128::from_str_radix(id, 16).ok());
    let action = match (parts.action, parts.kind.as_deref(), parts.route) {
        (Some(action), ..) => action.into_owned(),
        (None, Some("host"), _) => "host".to_owned(),
        (None, ..) if parts.status == 401 => "authenticate".to_owned(),
        (None, _, Some(route)) => route.into_owned(),
        (None, _, None) => "call".to_owned(),
    };
    let (actor, of_actor) = match parts.actor {
        Some(actor) => (actor.id.into_owned(), actor.tenant.into_owned()),
        None => (String::new(), String::new()),
    };
    // A name that no tenant has is no chain's: the host's own takes it.
    let tenant = parts.tenant.map_or(of_actor, Cow::into_owned);
    let tenant = TenantId::parse(&tenant).map_or_else(|_| String::new(), |_| tenant);
    let event = AuditEvent {
        id: id.unwrap_or_else(|| name_of(line)),
        at: parts.time,
        action: short(action),
        outcome: short(parts.outcome.into_owned()),
        actor: short(actor),
        resource: short(parts.resource.map(named).unwrap_or_default()),
        body: body(line),
    };
    (tenant, event)
}

/// `type:account/id`, as far as it has them.
fn named(on: On<'_>) -> String {
    let parts = [on.account, on.id];
    let parts: Vec<&str> = parts.iter().flatten().map(AsRef::as_ref).collect();
    match parts.as_slice() {
        [] => on.kind.into_owned(),
        parts => format!("{}:{}", on.kind, parts.join("/")),
    }
}

/// The line itself. One that no entry could hold is told by its hash and its beginning.
fn body(line: &[u8]) -> Vec<u8> {
    if line.len() <= AUDIT_BODY_BYTES_MAX {
        return line.to_vec();
    }
    let told = json!({ "cut": excerpt(line), "bytes": line.len(), "sha256": hex(&digest(line)) });
    told.to_string().into_bytes()
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(AUDIT_NAME_BYTES_MAX));
    text
}

fn excerpt(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.get(..EXCERPT_BYTES_MAX).unwrap_or(line))
}

fn digest(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
}

/// A name for a line that has none: the same whenever it is read.
fn name_of(line: &[u8]) -> u128 {
    let bytes = digest(line);
    bytes
        .iter()
        .take(16)
        .fold(0, |name, byte| name << 8 | u128::from(*byte))
}

/// Bytes in hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(7);

    #[test]
    fn a_line_is_entered_as_it_is() {
        let line = br#"{"id":"2a","kind":"call","tenant":"acme","time":"2023-11-14T22:13:20.007Z","actor":{"id":"key:a","tenant":"rival"},"action":"readRequest","resource":{"type":"request","account":"acme/web","id":"7"},"outcome":"deny","status":404}"#;
        let (tenant, event) = event_of(line, NOW);
        assert_eq!((tenant.as_str(), event.id), ("acme", 0x2a));
        assert_eq!(event.at, UnixMillis::new(1_700_000_000_007));
        assert_eq!(event.resource, "request:acme/web/7");
        assert_eq!(
            (event.actor.as_str(), event.outcome.as_str()),
            ("key:a", "deny")
        );
        assert_eq!(event.body, line);
    }

    #[test]
    fn lines_of_older_releases_get_a_name_and_a_chain() {
        let line = br#"{"time":"2023-11-14T22:13:20.007Z","actor":null,"action":null,"resource":null,"outcome":"deny","status":401,"remote":null}"#;
        let (tenant, event) = event_of(line, NOW);
        assert_eq!(
            (tenant.as_str(), event.action.as_str()),
            ("", "authenticate")
        );
        assert_eq!(event.id, event_of(line, UnixMillis::new(9)).1.id);
        assert_ne!(event.id, 0);
    }

    #[test]
    fn what_is_no_line_or_too_long_a_one_is_told_of() {
        let (tenant, event) = event_of(b"{\"time\":\"20", NOW);
        assert_eq!((tenant.as_str(), event.action.as_str()), ("", "unreadable"));
        assert_eq!(event.at, NOW);
        let head = r#"{"time":"2023-11-14T22:13:20.007Z","outcome":"deny","note":""#;
        let long = format!("{head}{}\"}}", "\\u0000".repeat(9_000));
        let (_, event) = event_of(long.as_bytes(), NOW);
        assert!(event.body.len() <= AUDIT_BODY_BYTES_MAX);
        let told: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(told["bytes"], long.len());
        assert!(told["cut"].as_str().unwrap().starts_with(head));
    }
}
