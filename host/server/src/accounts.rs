//! The verbs on tenants, users and API keys.
//!
//! *Architecture invariant:* verbs know no HTTP.

pub mod keys;
pub mod tenants;
pub mod users;

use crate::identity::users::Busy;
use holdfast_model::{ErrorKind, Invalid, KeyId, Role};
use holdfast_store::StoreError;

/// Why a verb did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The store did not, or there is no such thing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A key or a user would be more than its maker may give away.
    #[error("the role {0} is not yours to give; leave it out, or ask an operator to do it")]
    Exceeds(Role),
    /// A DID or a wallet is somebody else's already.
    #[error("{0} is another user's; take it from that user first")]
    Taken(String),
    /// A user of this name is there already.
    #[error("there is a user {0} already; change that one, or take another name")]
    Exists(String),
    /// A key has another one in its place already.
    #[error("the key was rotated already; rotate the one in its place, {0}")]
    Rotated(KeyId),
    /// Too many passwords at once.
    #[error(transparent)]
    Busy(#[from] Busy),
}

impl AccountError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Invalid(invalid) => invalid.kind(),
            Self::Exceeds(_) => ErrorKind::Denied,
            Self::Taken(_) | Self::Exists(_) | Self::Rotated(_) => ErrorKind::Conflict,
            Self::Busy(_) => ErrorKind::Overloaded,
        }
    }
}
