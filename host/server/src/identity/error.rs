//! Why somebody is not let in.

use super::jwt::TokenError;
use holdfast_model::ErrorKind;
use holdfast_store::StoreError;

/// A call without a proof that we can accept. The texts are fit for the caller: they speak of what
/// was sent, never of what exists here.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Nothing was sent.
    #[error(
        "the call carries no credentials; send the header `Authorization: Bearer <API key or token>`"
    )]
    Missing,
    /// Something that is no single bearer token was sent.
    #[error(
        "the Authorization header cannot be read: {0}; send `Authorization: Bearer <API key or token>`"
    )]
    Malformed(&'static str),
    /// One of our keys with a wrong letter in it.
    #[error("the API key is mistyped (its checksum does not match); copy it again, all of it")]
    Mistyped,
    /// No key that we know.
    #[error("the API key is not known here; ask your tenant's administrator for a new one")]
    UnknownKey,
    /// Whoever holds the whole secret may know what became of it.
    #[error("the API key has been revoked; ask your tenant's administrator for a new one")]
    Revoked,
    /// As above.
    #[error("the API key has expired; ask your tenant's administrator for a new one")]
    Expired,
    /// A signed token that we cannot accept.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenError),
    /// The store does not answer, so nobody can be known.
    #[error("keys cannot be looked up now")]
    Store(#[source] StoreError),
}

impl AuthError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            _ => ErrorKind::Unauthenticated,
        }
    }

    /// Whether a proof was sent at all: the `WWW-Authenticate` challenge carries
    /// `error="invalid_token"` only then (RFC 6750 §3.1).
    #[must_use]
    pub const fn is_about_a_token(&self) -> bool {
        !matches!(self, Self::Missing | Self::Store(_))
    }

    /// The label in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Mistyped => "mistyped",
            Self::UnknownKey => "unknown_key",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Token(_) => "token",
            Self::Store(_) => "store",
        }
    }
}
