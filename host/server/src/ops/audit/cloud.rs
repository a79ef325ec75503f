//! Entries and checkpoints as CloudEvents 1.0 in JSON, one a line: what is exported, and what the
//! verifier reads without a host.
//!
//! `data` is the body of an entry byte for byte, so the hashes can be worked out again. Whoever
//! writes the lines anew (sorted keys, other numbers) keeps what they say and loses the proof.

use super::carried::hex;
use super::notary::{HOST_CHAIN, chain_name, from_hex};
use holdfast_model::UnixMillis;
use holdfast_model::audit::{AuditCheckpoint, AuditEntry};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

const SPEC_VERSION: &str = "1.0";
const JSON: &str = "application/json";
const ENTRY: &str = "holdfast.audit.entry";
const CHECKPOINT: &str = "holdfast.audit.checkpoint";

/// One line of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloudEvent<'a> {
    specversion: Cow<'a, str>,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    time: UnixMillis,
    datacontenttype: Cow<'a, str>,
    /// The chain: a tenant, or `@host`.
    tenant: Cow<'a, str>,
    /// The entry's place, as CloudEvents' extension of that name wants it.
    sequence: String,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    action: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    actor: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hash: String,
    data: Box<RawValue>,
}

/// What a checkpoint carries.
#[derive(Debug, Serialize, Deserialize)]
struct Signed<'a> {
    note: Cow<'a, str>,
    #[serde(default)]
    anchor: Option<String>,
}

/// What a line of an export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exported {
    /// An entry of a chain.
    Entry {
        /// The tenant, or nothing for the host's own chain.
        tenant: String,
        /// The entry.
        entry: AuditEntry,
    },
    /// A checkpoint of a chain.
    Note {
        /// The tenant, or nothing for the host's own chain.
        tenant: String,
        /// The signed note.
        note: String,
    },
}

impl<'a> CloudEvent<'a> {
    /// An entry. Nothing if its body is no JSON, which the host never enters.
    #[must_use]
    pub fn of_entry(tenant: &'a str, entry: &'a AuditEntry) -> Option<Self> {
        let data = String::from_utf8(entry.body.clone()).ok()?;
        Some(Self {
            specversion: SPEC_VERSION.into(),
            id: format!("{:032x}", entry.id),
            source: source(tenant),
            kind: ENTRY.into(),
            subject: Some(entry.resource.as_str().into())
                .filter(|on: &Cow<'_, str>| !on.is_empty()),
            time: entry.at,
            datacontenttype: JSON.into(),
            tenant: chain_name(tenant).into(),
            sequence: entry.seq.to_string(),
            action: entry.action.as_str().into(),
            outcome: entry.outcome.as_str().into(),
            actor: entry.actor.as_str().into(),
            hash: hex(&entry.hash),
            data: RawValue::from_string(data).ok()?,
        })
    }

    /// A checkpoint.
    #[must_use]
    pub fn of_checkpoint(tenant: &'a str, checkpoint: &AuditCheckpoint) -> Option<Self> {
        let signed = Signed {
            note: String::from_utf8_lossy(&checkpoint.signature),
            anchor: checkpoint.anchor.map(|cid| cid.to_string()),
        };
        Some(Self {
            specversion: SPEC_VERSION.into(),
            id: format!("{}/{}", checkpoint.segment, checkpoint.last_seq),
            source: source(tenant),
            kind: CHECKPOINT.into(),
            subject: None,
            time: checkpoint.last_at,
            datacontenttype: JSON.into(),
            tenant: chain_name(tenant).into(),
            sequence: checkpoint.last_seq.to_string(),
            action: "".into(),
            outcome: "".into(),
            actor: "".into(),
            hash: String::new(),
            data: to_raw_value(&signed).ok()?,
        })
    }

    /// Takes a line of an export apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &'a [u8]) -> Result<Exported, String> {
        let event: Self = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let tenant = match event.tenant.as_ref() {
            HOST_CHAIN => String::new(),
            tenant => tenant.to_owned(),
        };
        if event.kind == CHECKPOINT {
            let signed: Signed<'_> =
                serde_json::from_str(event.data.get()).map_err(|e| e.to_string())?;
            let note = signed.note.into_owned();
            return Ok(Exported::Note { tenant, note });
        }
        if event.kind != ENTRY {
            return Err(format!(
                "{:?} is no type of event that is known",
                event.kind
            ));
        }
        let number = |what: &str| format!("{what} is no number of the kind that is written there");
        let entry = AuditEntry {
            seq: event.sequence.parse().map_err(|_| number("sequence"))?,
            id: u128::from_str_radix(&event.id, 16).map_err(|_| number("id"))?,
            at: event.time,
            action: event.action.into_owned(),
            outcome: event.outcome.into_owned(),
            actor: event.actor.into_owned(),
            resource: event.subject.unwrap_or_default().into_owned(),
            body: event.data.get().as_bytes().to_vec(),
            hash: from_hex(&event.hash).ok_or_else(|| number("hash"))?,
        };
        Ok(Exported::Entry { tenant, entry })
    }
}

fn source(tenant: &str) -> String {
    format!("/holdfast/audit/{}", chain_name(tenant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::audit::{AuditEvent, AuditHead};

    #[test]
    fn an_entry_comes_back_to_the_byte() {
        let event = AuditEvent {
            id: 7,
            at: UnixMillis::new(1_700_000_000_007),
            action: "createKey".into(),
            outcome: "allow".into(),
            actor: "key:a".into(),
            resource: String::new(),
            body: br#"{"b":1.50,"a":"\u00e9"}"#.to_vec(),
        };
        let head = AuditHead::start("");
        let entry = AuditEntry::follow(&head, event).unwrap();
        let line = serde_json::to_vec(&CloudEvent::of_entry("", &entry).unwrap()).unwrap();
        let fields: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(fields["specversion"], "1.0");
        assert_eq!(fields["tenant"], "@host");
        assert_eq!(
            fields.get("subject"),
            None,
            "an empty subject is not allowed"
        );
        // Names of attributes: lower-case letters and digits.
        let is_name = |name: &String| name.chars().all(|c| c.is_ascii_lowercase());
        assert!(fields.as_object().unwrap().keys().all(is_name));
        let back = CloudEvent::parse(&line).unwrap();
        let tenant = String::new();
        assert_eq!(
            back,
            Exported::Entry {
                tenant,
                entry: entry.clone()
            }
        );
        assert!(entry.is_after(&head));
        assert!(CloudEvent::parse(b"{}").is_err());
    }
}
