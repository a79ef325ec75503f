//! Pin requests: what an account asked to have pinned (the Pinning Service API's `PinStatus`).

mod asked;

pub use asked::Asked;

use crate::account::AccountId;
use crate::cid::Cid;
use crate::error::Invalid;
use crate::limits::{META_BYTES_MAX, META_PAIRS_MAX, NAME_CHARS_MAX, ORIGINS_MAX};
use crate::peer::Origin;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The id of a pin request: a UUID, opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// Parses the hyphenated text.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Uuid::parse_str(text).map(Self).map_err(|_| {
            Invalid::new(
                "requestid",
                "is no UUID; send the requestid as it was given",
            )
        })
    }
}

impl FromStr for RequestId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Accepted, not begun.
    Queued,
    /// Being fetched.
    Pinning,
    /// Pinned, whole.
    Pinned,
    /// Given up; `details` says why.
    Failed,
}

impl RequestStatus {
    /// All of them, in the order of a request's life.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Pinning, Self::Pinned, Self::Failed];

    /// The name in the Pinning Service API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pinning => "pinning",
            Self::Pinned => "pinned",
            Self::Failed => "failed",
        }
    }

    /// Parses the name.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
            .ok_or_else(|| {
                Invalid::new(
                    "status",
                    format!("{name:?} is no status; write queued, pinning, pinned or failed"),
                )
            })
    }
}

impl fmt::Display for RequestStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many requests an account has in each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatusCounts {
    /// Accepted, not begun.
    pub queued: u64,
    /// Being fetched.
    pub pinning: u64,
    /// Pinned.
    pub pinned: u64,
    /// Given up.
    pub failed: u64,
}

impl StatusCounts {
    /// The count of one status.
    #[must_use]
    pub const fn get(&self, status: RequestStatus) -> u64 {
        match status {
            RequestStatus::Queued => self.queued,
            RequestStatus::Pinning => self.pinning,
            RequestStatus::Pinned => self.pinned,
            RequestStatus::Failed => self.failed,
        }
    }

    /// The count of one status, to change it.
    pub const fn get_mut(&mut self, status: RequestStatus) -> &mut u64 {
        match status {
            RequestStatus::Queued => &mut self.queued,
            RequestStatus::Pinning => &mut self.pinning,
            RequestStatus::Pinned => &mut self.pinned,
            RequestStatus::Failed => &mut self.failed,
        }
    }

    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.queued + self.pinning + self.pinned + self.failed
    }
}

/// What a client may say of content that it wants pinned, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// The content.
    pub cid: Cid,
    /// A name for people.
    pub name: Option<String>,
    /// Where the content can be had.
    pub origins: Vec<Origin>,
    /// Free pairs.
    pub meta: BTreeMap<String, String>,
    /// When the pin is to go by itself.
    pub expires: Option<UnixMillis>,
}

impl NewRequest {
    /// Checks the limits of the Pinning Service API and our own.
    ///
    /// # Errors
    /// The first field that is over a limit, and the limit.
    pub fn check(&self) -> Result<(), Invalid> {
        let name_chars = self.name.as_deref().map_or(0, |name| name.chars().count());
        if name_chars > NAME_CHARS_MAX {
            return Err(too_many("name", "characters", name_chars, NAME_CHARS_MAX));
        }
        if self.origins.len() > ORIGINS_MAX {
            return Err(too_many(
                "origins",
                "addresses",
                self.origins.len(),
                ORIGINS_MAX,
            ));
        }
        for (n, origin) in self.origins.iter().enumerate() {
            if !origin.ends_in_peer() {
                let what = format!("origins[{n}]");
                return Err(Invalid::new(what, "must end in /p2p/ and a peer id"));
            }
            if self.origins.iter().take(n).any(|earlier| earlier == origin) {
                return Err(Invalid::new(
                    format!("origins[{n}]"),
                    "is there twice; send it once",
                ));
            }
        }
        if self.meta.len() > META_PAIRS_MAX {
            return Err(too_many("meta", "pairs", self.meta.len(), META_PAIRS_MAX));
        }
        let meta_bytes = self
            .meta
            .iter()
            .map(|(k, v)| k.len() + v.len())
            .sum::<usize>();
        if meta_bytes > META_BYTES_MAX {
            return Err(too_many("meta", "bytes", meta_bytes, META_BYTES_MAX));
        }
        Ok(())
    }
}

fn too_many(what: &str, unit: &str, got: usize, max: usize) -> Invalid {
    Invalid::new(what, format!("has {got} {unit}; send {max} at most"))
}

/// A pin request as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRequest {
    /// Its id.
    pub id: RequestId,
    /// Whose it is.
    pub account: AccountId,
    /// When it was made: unique within the account and growing, because clients page by it.
    pub created: UnixMillis,
    /// What was asked for.
    pub asked: NewRequest,
    /// How far it is.
    pub status: RequestStatus,
    /// Bytes of the whole DAG, once known.
    pub dag_size: Option<u64>,
    /// What a person should know of the status: progress, or why it failed.
    pub details: Option<String>,
    /// When the status last changed.
    pub updated: UnixMillis,
    /// Grows at each change; conditional updates name the one they saw.
    pub version: u64,
}

impl PinRequest {
    /// Bytes that are charged for: the DAG's size while it is pinned.
    #[must_use]
    pub fn billable_bytes(&self) -> u64 {
        match self.status {
            RequestStatus::Pinned => self.dag_size.unwrap_or(0),
            _ => 0,
        }
    }
}

/// How a filter's name must match (the Pinning Service API's `match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameMatch {
    /// The whole name, to the letter.
    #[default]
    Exact,
    /// The whole name, whatever the case.
    IgnoreCase,
    /// A part of the name, to the letter.
    Partial,
    /// A part of the name, whatever the case.
    PartialIgnoreCase,
}

/// Which of an account's requests are meant. Everything that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestFilter {
    /// One of these CIDs; empty for any.
    pub cids: Vec<Cid>,
    /// A name and how to match it.
    pub name: Option<(String, NameMatch)>,
    /// One of these statuses; empty for any.
    pub statuses: Vec<RequestStatus>,
    /// Made before this instant, itself not included.
    pub before: Option<UnixMillis>,
    /// Made after this instant, itself not included.
    pub after: Option<UnixMillis>,
    /// All these pairs are in `meta`, which may have more.
    pub meta: BTreeMap<String, String>,
}

impl RequestFilter {
    /// Whether it looks at nothing but status (and so is answered from counters).
    #[must_use]
    pub fn is_by_status_only(&self) -> bool {
        self.cids.is_empty()
            && self.name.is_none()
            && self.before.is_none()
            && self.after.is_none()
            && self.meta.is_empty()
    }

    /// Whether a status is meant.
    #[must_use]
    pub fn wants_status(&self, status: RequestStatus) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }

    /// Whether an instant is within `before` and `after`.
    #[must_use]
    pub fn wants_created(&self, created: UnixMillis) -> bool {
        self.before.is_none_or(|end| created < end)
            && self.after.is_none_or(|start| created > start)
    }

    /// Whether a request is meant.
    #[must_use]
    pub fn matches(&self, request: &PinRequest) -> bool {
        self.wants_status(request.status)
            && self.wants_created(request.created)
            && (self.cids.is_empty() || self.cids.contains(&request.asked.cid))
            && self.name.as_ref().is_none_or(|(name, how)| {
                request
                    .asked
                    .name
                    .as_deref()
                    .is_some_and(|has| name_matches(has, name, *how))
            })
            && self
                .meta
                .iter()
                .all(|(key, value)| request.asked.meta.get(key) == Some(value))
    }
}

fn name_matches(has: &str, wanted: &str, how: NameMatch) -> bool {
    match how {
        NameMatch::Exact => has == wanted,
        NameMatch::Partial => has.contains(wanted),
        NameMatch::IgnoreCase => has.to_lowercase() == wanted.to_lowercase(),
        NameMatch::PartialIgnoreCase => has.to_lowercase().contains(&wanted.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> NewRequest {
        NewRequest {
            cid: Cid::parse("bafkqaaa").unwrap(),
            name: Some("Kelp Forest".into()),
            origins: vec![],
            meta: [("app".into(), "kelp".into())].into(),
            expires: None,
        }
    }

    fn request() -> PinRequest {
        PinRequest {
            id: RequestId(Uuid::nil()),
            account: AccountId::parse("acme/web").unwrap(),
            created: UnixMillis::new(1_000),
            asked: asked(),
            status: RequestStatus::Pinned,
            dag_size: Some(7),
            details: None,
            updated: UnixMillis::new(1_000),
            version: 1,
        }
    }

    #[test]
    fn names_match_as_asked() {
        let cases = [
            ("Kelp Forest", NameMatch::Exact, true),
            ("kelp forest", NameMatch::Exact, false),
            ("kelp FOREST", NameMatch::IgnoreCase, true),
            ("p F", NameMatch::Partial, true),
            ("p f", NameMatch::Partial, false),
            ("P f", NameMatch::PartialIgnoreCase, true),
            ("oak", NameMatch::PartialIgnoreCase, false),
        ];
        for (name, how, expected) in cases {
            let filter = RequestFilter {
                name: Some((name.into(), how)),
                ..Default::default()
            };
            assert_eq!(filter.matches(&request()), expected, "{name:?} {how:?}");
        }
    }

    #[test]
    fn before_and_after_leave_their_own_instant_out() {
        for (before, after, expected) in [
            (Some(1_000), None, false),
            (Some(1_001), None, true),
            (None, Some(1_000), false),
            (None, Some(999), true),
        ] {
            let filter = RequestFilter {
                before: before.map(UnixMillis::new),
                after: after.map(UnixMillis::new),
                ..Default::default()
            };
            assert_eq!(filter.matches(&request()), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn meta_may_have_more_pairs_than_asked_for() {
        let mut filter = RequestFilter {
            meta: asked().meta,
            ..Default::default()
        };
        assert!(filter.matches(&request()));
        filter.meta.insert("app".into(), "other".into());
        assert!(!filter.matches(&request()));
    }

    #[test]
    fn limits_hold_and_say_so() {
        let long = NewRequest {
            name: Some("ü".repeat(256)),
            ..asked()
        };
        assert_eq!(long.check().unwrap_err().what, "name");
        assert!(
            NewRequest {
                name: Some("ü".repeat(255)),
                ..asked()
            }
            .check()
            .is_ok()
        );
        let pairs = NewRequest {
            meta: (0..1_001).map(|n| (n.to_string(), String::new())).collect(),
            ..asked()
        };
        assert_eq!(pairs.check().unwrap_err().what, "meta");
        let heavy = NewRequest {
            meta: [("k".into(), "v".repeat(META_BYTES_MAX))].into(),
            ..asked()
        };
        assert!(heavy.check().unwrap_err().why.contains("bytes"));
    }

    #[test]
    fn only_what_is_pinned_is_charged() {
        assert_eq!(request().billable_bytes(), 7);
        assert_eq!(
            PinRequest {
                status: RequestStatus::Failed,
                ..request()
            }
            .billable_bytes(),
            0
        );
    }
}
