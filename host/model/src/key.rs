//! API keys as they are kept: never the secret, only its hash.

use crate::account::AccountId;
use crate::error::Invalid;
use crate::principal::{PrincipalId, Roles};
use crate::scope::Scopes;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// SHA-256 over the whole key as its holder sends it, or HMAC-SHA-256 under the host's secret. Keys
/// are random and long, so a fast hash is right: a slow one on every call would be a lever for
/// overload (and nothing can be guessed).
pub type KeyHash = [u8; 32];

/// The public name of a key: 4 to 32 letters and digits. Safe in logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Checks and keeps a key's name.
    ///
    /// # Errors
    /// A name of other length or characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (4..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "key",
            "is no key id; write 4 to 32 letters and digits",
        ))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// Why a key is no longer good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Since when.
    pub at: UnixMillis,
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public name.
    pub id: KeyId,
    /// Hash of the whole key.
    pub hash: KeyHash,
    /// Whose it is.
    pub account: AccountId,
    /// What its holder may be at most.
    pub roles: Roles,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created: UnixMillis,
    /// Until when it is good; `None` is for ever.
    pub expires: Option<UnixMillis>,
    /// Set once it is revoked.
    pub revoked: Option<Revocation>,
    /// What it is good for, of what its roles allow.
    pub scopes: Scopes,
    /// The key that was made in its place.
    pub successor: Option<KeyId>,
    /// Who made it, or the owner of the key that did; with their roles, its own end. Nobody: it
    /// stands for itself.
    pub maker: Option<PrincipalId>,
}

impl ApiKey {
    /// Whether it opens anything at `now`.
    #[must_use]
    pub fn is_good_at(&self, now: UnixMillis) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }
}
