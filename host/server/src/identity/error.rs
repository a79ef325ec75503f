//! Why somebody is not let in.

use super::did::DidError;
use super::jwt::TokenError;
use super::login::LoginError;
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
    /// A key whose maker may not call any more.
    #[error(
        "who made the API key is no longer a user here; ask your tenant's administrator for a new one"
    )]
    MakerGone,
    /// A session token that is none, or is over.
    #[error("the session is over; log in again")]
    SessionOver,
    /// A log-in that failed, counted beside credentials that were refused.
    #[error("the log-in failed")]
    LoginFailed,
    /// A user's name and password that were sent with the call.
    #[error(transparent)]
    Password(#[from] LoginError),
    /// A call signed by a DID that we cannot accept.
    #[error("the signed call is refused: {0}")]
    Did(#[from] DidError),
    /// Too many credentials from one address were refused.
    #[error("too many credentials from your address were refused; try again in {0} s")]
    TooMany(u64),
    /// An issuer's keys could not be fetched yet.
    #[error(
        "the keys of the token's issuer {0} have not been had yet, so the token cannot be judged; try again in some seconds, and if that lasts ask who runs this host to look into its log, which says why the issuer's server does not give them"
    )]
    NoIssuerKeys(String),
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
            Self::Password(e) => e.kind(),
            Self::NoIssuerKeys(_) => ErrorKind::Unavailable,
            Self::TooMany(_) => ErrorKind::Overloaded,
            _ => ErrorKind::Unauthenticated,
        }
    }

    /// Whether a proof was sent at all: the `WWW-Authenticate` challenge carries
    /// `error="invalid_token"` only then (RFC 6750 §3.1).
    #[must_use]
    pub fn is_about_a_token(&self) -> bool {
        match self {
            Self::Missing | Self::Store(_) | Self::NoIssuerKeys(_) | Self::TooMany(_) => false,
            Self::Password(e) => e.kind() == ErrorKind::Unauthenticated,
            _ => true,
        }
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
            Self::MakerGone => "maker_gone",
            Self::SessionOver => "session_over",
            Self::LoginFailed | Self::Password(_) => "login_failed",
            Self::Did(_) => "did",
            Self::TooMany(_) => "too_many",
            Self::NoIssuerKeys(_) => "no_issuer_keys",
            Self::Store(_) => "store",
        }
    }
}
