//! The first key of an empty store.

use super::keys;
use holdfast_model::{
    AccountId, ApiKey, ErrorKind, Invalid, KeyId, Role, Roles, Scopes, UnixMillis,
};
use holdfast_store::{Store, StoreError};

/// Characters that a bootstrap key must have at least: below that it can be guessed.
pub const BOOTSTRAP_KEY_BYTES_MIN: usize = 16;

/// The account of the first administrator.
const FIRST_ACCOUNT: &str = "default/admin";
/// The first key's public name.
const FIRST_KEY: &str = "bootstrap";

/// Why the first key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Too short to be safe, or with letters that no header can carry.
    #[error(
        "the bootstrap key must be {BOOTSTRAP_KEY_BYTES_MIN} or more visible ASCII characters without spaces; make one with `openssl rand -hex 32`"
    )]
    Unfit,
    /// Looks like one of our own keys with a wrong letter: it would never be let in.
    #[error(
        "the bootstrap key begins with hf_ but its checksum does not match; copy it again, or choose one that does not begin so"
    )]
    Mistyped,
    /// A name of ours is wrong.
    #[error(transparent)]
    Name(#[from] Invalid),
    /// The store refused.
    #[error("the first key cannot be stored: {0}")]
    Store(#[from] StoreError),
}

impl BootstrapError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unfit | Self::Mistyped | Self::Name(_) => ErrorKind::Invalid,
            Self::Store(e) => e.kind(),
        }
    }
}

/// The first administrator's key, before it is made.
#[derive(Debug)]
pub struct FirstKey(ApiKey);

impl FirstKey {
    /// A key that is good enough.
    ///
    /// # Errors
    /// One that is too weak to be let in with, or mistyped.
    pub fn new(key: &str, now: UnixMillis) -> Result<Self, BootstrapError> {
        if key.len() < BOOTSTRAP_KEY_BYTES_MIN || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BootstrapError::Unfit);
        }
        if keys::is_mistyped(key) {
            return Err(BootstrapError::Mistyped);
        }
        let roles = [Role::Operator, Role::TenantAdmin, Role::TenantUser];
        Ok(Self(ApiKey {
            id: KeyId::parse(FIRST_KEY)?,
            hash: keys::hash(key),
            account: AccountId::parse(FIRST_ACCOUNT)?,
            roles: roles.into_iter().collect::<Roles>(),
            label: "first administrator".to_owned(),
            created: now,
            expires: None,
            revoked: None,
            scopes: Scopes::ALL,
            successor: None,
            maker: None,
        }))
    }

    /// Whether the store has a first key, be it this one or another.
    ///
    /// # Errors
    /// The store fails.
    pub async fn is_made(&self, store: &Store) -> Result<bool, BootstrapError> {
        Ok(store.key(&self.0.id).await?.is_some())
    }

    /// Makes it, if the store has no key at all; says whether it did.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn make(self, store: &Store) -> Result<bool, BootstrapError> {
        Ok(store.add_first_key(self.0).await?)
    }
}
