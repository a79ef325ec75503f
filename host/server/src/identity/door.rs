//! The other door: what clients of IPFS Cluster's interface send. They know user names with
//! passwords (`Basic`) and tokens that they got for them, and little else.
//!
//! A user name is an API key's id and its password the whole key. A token is this host's own:
//! signed, short-lived, and worth no more than its key, which is looked up at each use; a revoked
//! key's tokens are worthless at once.

use super::authenticator::{Approach, Authenticator, Caller};
use super::error::AuthError;
use crate::clock::Clock;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast_model::principal::Proof;
use holdfast_model::{KeyId, Principal};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Who signs the tokens; nobody else's token has this `iss`.
const ISSUER: &str = "holdfast-cluster";

/// Bytes of credentials that are looked at: an API key is far shorter, and so is a token.
const CREDENTIALS_BYTES_MAX: usize = 8 * 1024;

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
        let headers = approach.headers;
        let text = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some((scheme, credentials)) = text.and_then(|text| text.split_once(' ')) else {
            return self.authenticator.authenticate(approach).await;
        };
        if credentials.len() > CREDENTIALS_BYTES_MAX
            || headers.get_all(AUTHORIZATION).iter().count() > 1
        {
            return self.authenticator.authenticate(approach).await;
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return self.of_user(credentials.trim(), approach).await;
        }
        match self.key_of(credentials.trim()) {
            Some(verified) => self.authenticator.holder_of(&verified?).await,
            None => self.authenticator.authenticate(approach).await,
        }
    }

    /// A token for somebody who came with a key.
    ///
    /// # Errors
    /// Somebody who came otherwise, or a token that cannot be signed: a fault of ours.
    pub fn token(&self, principal: &Principal) -> Result<String, AuthError> {
        let Proof::Key(id) = &principal.proof else {
            return Err(AuthError::Malformed("only an API key gets a token"));
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

    /// `user:password`, in base64.
    async fn of_user(
        &self,
        credentials: &str,
        approach: Approach<'_>,
    ) -> Result<Arc<Caller>, AuthError> {
        const WRONG: AuthError = AuthError::Malformed("it is no user name and password");
        let bytes = STANDARD.decode(credentials).map_err(|_| WRONG)?;
        let text = String::from_utf8(bytes).map_err(|_| WRONG)?;
        let (user, password) = text.split_once(':').ok_or(WRONG)?;
        if user.is_empty() || password.is_empty() {
            return Err(WRONG);
        }
        let bearer = HeaderValue::try_from(format!("Bearer {password}")).map_err(|_| WRONG)?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let approach = Approach {
            headers: &headers,
            ..approach
        };
        let caller = self.authenticator.authenticate(approach).await?;
        match &caller.proof {
            Proof::Key(id) if id.to_string() == user => Ok(caller),
            _ => Err(AuthError::UnknownKey),
        }
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
