//! The other door: what clients of IPFS Cluster's interface send. They know user names with
//! passwords (`Basic`) and tokens that they got for them, and little else.
//!
//! A user name is an API key's id and its password the whole key, or it is `tenant/name` of a user
//! who is kept here, with the user's own password. A token is this host's own: signed, short-lived,
//! and worth no more than its key, which is looked up at each use; a revoked key's tokens are
//! worthless at once. A user's token is a session's.

use super::authenticator::{Approach, Authenticator, Caller};
use super::error::AuthError;
use super::session::{Began, Session};
use crate::clock::Clock;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast_model::KeyId;
use holdfast_model::principal::Proof;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Who signs the tokens; nobody else's token has this `iss`.
const ISSUER: &str = "holdfast-cluster";

/// Bytes of credentials that are looked at: an API key is far shorter, and so is a token.
const CREDENTIALS_BYTES_MAX: usize = 8 * 1024;

/// What came is none of both.
const WRONG: AuthError = AuthError::Malformed("it is no user name and password");

/// Lets clients of IPFS Cluster's interface in.
#[derive(Clone)]
pub struct Door {
    authenticator: Authenticator,
    clock: Clock,
    signing: Arc<EncodingKey>,
    verifying: Arc<DecodingKey>,
    lifetime: Duration,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// The key that it was given for.
    sub: String,
    iat: u64,
    exp: u64,
}

impl Door {
    /// A door whose tokens are signed with `secret` and good for `lifetime`.
    #[must_use]
    pub fn new(
        authenticator: Authenticator,
        clock: Clock,
        secret: &[u8],
        lifetime: Duration,
    ) -> Self {
        super::install_crypto();
        Self {
            authenticator,
            clock,
            signing: Arc::new(EncodingKey::from_secret(secret)),
            verifying: Arc::new(DecodingKey::from_secret(secret)),
            lifetime,
        }
    }

    /// Who calls.
    ///
    /// # Errors
    /// No proof, one that cannot be accepted, or a store that does not answer.
    pub async fn authenticate(&self, approach: Approach<'_>) -> Result<Arc<Caller>, AuthError> {
        let Some((scheme, credentials)) = credentials(approach.headers) else {
            return self.authenticator.authenticate(approach).await;
        };
        let known = if scheme.eq_ignore_ascii_case("basic") {
            match login(credentials) {
                // No key's id has a slash in it.
                Ok((user, password)) if user.contains('/') => {
                    let login = (user.as_str(), password.as_str());
                    let address = approach.address;
                    return self.authenticator.with_password(login, address).await;
                }
                Ok((id, key)) => {
                    let caller = self.with_key(&key, approach).await?;
                    match &caller.proof {
                        Proof::Key(own) if own.to_string() == id => Ok(caller),
                        _ => Err(AuthError::UnknownKey),
                    }
                }
                Err(error) => Err(error),
            }
        } else {
            match self.key_of(credentials) {
                Some(Ok(id)) => self.authenticator.holder_of(&id).await,
                Some(Err(error)) => Err(error),
                None => return self.authenticator.authenticate(approach).await,
            }
        };
        if let Err(error) = &known {
            self.authenticator.refused(error, approach.address);
        }
        known
    }

    /// A token for somebody who came with a key or a password.
    ///
    /// # Errors
    /// Somebody who came otherwise, or a token that cannot be signed: a fault of ours.
    pub fn token(&self, caller: &Caller) -> Result<String, AuthError> {
        let id = match (&caller.proof, &caller.session) {
            (Proof::Key(id), _) => id,
            // The same session: a token begets none that outlives it.
            (_, Some(session)) => return Ok(self.authenticator.session_token(session)),
            (Proof::Password, None) => {
                let of = caller.id.user().ok_or(AuthError::SessionOver)?;
                // Not now: the password may have been changed since it was looked at.
                let session = Session::begin(of, Began::Password, caller.at, self.lifetime);
                return Ok(self.authenticator.session_token(&session));
            }
            _ => {
                let why = "only an API key or a password gets a token";
                return Err(AuthError::Malformed(why));
            }
        };
        let now = self.clock.now().as_seconds();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: id.to_string(),
            iat: now,
            exp: now.saturating_add(self.lifetime.as_secs()),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|_| AuthError::Malformed("no token can be signed now"))
    }

    async fn with_key(&self, key: &str, approach: Approach<'_>) -> Result<Arc<Caller>, AuthError> {
        let bearer = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| WRONG)?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let approach = Approach {
            headers: &headers,
            ..approach
        };
        self.authenticator.authenticate(approach).await
    }

    /// The key that a token of ours was given for; nothing if it is none of ours.
    fn key_of(&self, token: &str) -> Option<Result<KeyId, AuthError>> {
        let told = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).ok()?;
        if told.claims.iss != ISSUER {
            return None;
        }
        Some(self.verified(token))
    }

    fn verified(&self, token: &str) -> Result<KeyId, AuthError> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        // The clock that counts is the one that tests can set.
        rules.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &rules)
            .map_err(|_| AuthError::UnknownKey)?
            .claims;
        if claims.exp <= self.clock.now().as_seconds() {
            return Err(AuthError::Expired);
        }
        KeyId::parse(&claims.sub).map_err(|_| AuthError::UnknownKey)
    }
}

/// The scheme of a call's credentials and the credentials, if they are of a size to be looked at.
fn credentials(headers: &HeaderMap) -> Option<(&str, &str)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = text.split_once(' ')?;
    let is_one = headers.get_all(AUTHORIZATION).iter().count() == 1;
    (is_one && credentials.len() <= CREDENTIALS_BYTES_MAX).then(|| (scheme, credentials.trim()))
}

/// `user:password`, in base64.
fn login(credentials: &str) -> Result<(String, String), AuthError> {
    let bytes = STANDARD.decode(credentials).map_err(|_| WRONG)?;
    let text = String::from_utf8(bytes).map_err(|_| WRONG)?;
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok((user.to_owned(), password.to_owned()))
        }
        _ => Err(WRONG),
    }
}
