//! Signed tokens (JWT) of configured issuers.
//!
//! What a token must be follows RFC 8725 (best practice), RFC 9068 (access tokens) and RFC 7515;
//! where the library is milder than these, the check stands here.

mod claims;
mod keyset;
mod remote;

pub use claims::ClaimMap;
pub use jsonwebtoken::Algorithm;
pub use keyset::{KeySet, KeySetError, KeySource};
pub use remote::{Remote, Source};

use claims::Claims;
use holdfast_model::principal::Proof;
use holdfast_model::{Principal, PrincipalId, UnixMillis};
use jsonwebtoken::errors::ErrorKind as Fault;
use jsonwebtoken::{Header, Validation};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds by which clocks may differ at most (RFC 8725 leaves it open; half a minute is what
/// synchronised clocks never reach).
pub const LEEWAY_SECONDS_MAX: u64 = 30;

/// The algorithms that an issuer may be allowed. No HMAC: whoever can verify could sign.
pub const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is refused; fit for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It cannot be decoded.
    #[error("it is no signed token")]
    Garbled,
    /// Its `iss` is none of the configured issuers.
    #[error("its issuer is not accepted here")]
    UnknownIssuer,
    /// Its algorithm is not allowed for its issuer.
    #[error("its signature algorithm is not accepted for its issuer")]
    Algorithm,
    /// Its header names extensions that must be understood (RFC 7515 §4.1.11).
    #[error("its header has `crit`, which is not supported")]
    Critical,
    /// It is another kind of token.
    #[error("it is no access token; send the access token, not an ID or refresh token")]
    Kind,
    /// No key fits it.
    #[error("it is signed with a key that is not known for its issuer; get a new token")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature does not match")]
    Signature,
    /// A claim is missing or of the wrong type.
    #[error("its claim `{0}` is missing or of the wrong type")]
    Claim(String),
    /// It is for somebody else.
    #[error(
        "it is for another audience: its `aud` must name {wanted}; have the issuer put that in (in Keycloak, add an Audience mapper with it to the client; with Auth0, request the token with `audience`)"
    )]
    Audience {
        /// The audiences of which it must name one.
        wanted: String,
    },
    /// It is encrypted, or names nobody.
    #[error(
        "it is opaque: nobody but its issuer can read it; request it with the `audience` of this service"
    )]
    Opaque,
    /// It is too old.
    #[error("it has expired; get a new one")]
    Expired,
    /// It is not good yet.
    #[error("it is not valid yet; check both clocks")]
    NotYet,
    /// Its claims do not name an account that can exist.
    #[error("its claim for the {0} is missing or is no name that can be used here")]
    Account(&'static str),
}

/// What an issuer's tokens are held against.
#[derive(Debug)]
pub struct Issuer {
    /// The `iss`, letter for letter.
    pub issuer: String,
    /// The audiences of which a token must name one.
    pub audience: Vec<String>,
    /// The algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// Seconds by which its clock may differ.
    pub leeway_seconds: u64,
    /// Its keys.
    pub keys: Keys,
    /// Which claims say who it is.
    pub map: ClaimMap,
}

/// Where an issuer's keys are.
#[derive(Debug)]
pub enum Keys {
    /// Here, once and for all.
    Fixed(KeySet),
    /// At its server.
    Remote(Arc<Remote>),
}

/// What verifying a token came to.
#[derive(Debug)]
pub enum Verdict {
    /// It is good: who it is, and until when.
    Good(Principal, UnixMillis),
    /// Nothing can be said, because the keys of this issuer could not be had yet.
    NoKeys(String),
}

/// The issuers whose tokens are accepted.
#[derive(Debug)]
pub struct Issuers {
    all: Vec<Issuer>,
    generation: u64,
}

impl Default for Issuers {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Issuers {
    /// These issuers, and no other.
    #[must_use]
    pub fn new(all: Vec<Issuer>) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        Self { all, generation }
    }

    /// Whether no token is accepted at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes over the keys that the former issuers have fetched, where they come from the same
    /// place.
    #[must_use]
    pub fn inheriting(mut self, former: &Self) -> Self {
        let fetched = |wanted: &Remote| {
            former.all.iter().find_map(|issuer| match &issuer.keys {
                Keys::Remote(remote) if remote.source() == wanted.source() => Some(remote),
                _ => None,
            })
        };
        for issuer in &mut self.all {
            if let Keys::Remote(remote) = &mut issuer.keys
                && let Some(known) = fetched(remote)
            {
                *remote = Arc::clone(known);
            }
        }
        self
    }

    /// Whose token this is, with the keys that are at hand.
    ///
    /// # Errors
    /// Any token that is not exactly what its issuer's access tokens must be.
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Verdict, TokenError> {
        let (issuer, header) = self.read(token)?;
        check_header(&header, issuer)?;
        let fetched = match &issuer.keys {
            Keys::Fixed(keys) => return issuer.judge(keys, token, &header, now),
            Keys::Remote(remote) => remote.keys(now),
        };
        match fetched {
            Some(keys) => issuer.judge(&keys, token, &header, now),
            None => Ok(Verdict::NoKeys(issuer.issuer.clone())),
        }
    }

    /// The same, fetching keys where that may help.
    ///
    /// # Errors
    /// As [`Issuers::verify`].
    pub async fn verify_fetching(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<Verdict, TokenError> {
        let first = self.verify(token, now);
        if !matches!(first, Ok(Verdict::NoKeys(_)) | Err(TokenError::UnknownKey)) {
            self.freshen(token, now);
            return first;
        }
        let (issuer, header) = self.read(token)?;
        let Keys::Remote(remote) = &issuer.keys else {
            return first;
        };
        match remote.seek(header.kid.as_deref(), now).await {
            true => self.verify(token, now),
            false => first,
        }
    }

    /// Has keys fetched again that are no longer fresh. Nobody waits for it.
    fn freshen(&self, token: &str, now: UnixMillis) {
        let Ok((issuer, _)) = self.read(token) else {
            return;
        };
        if let Keys::Remote(remote) = &issuer.keys
            && remote.is_old(now)
        {
            let remote = Arc::clone(remote);
            tokio::spawn(async move { remote.freshen(now).await });
        }
    }

    /// The issuer that a token names and its header. Both are read before anything is verified, to
    /// choose the keys, and for nothing else.
    fn read(&self, token: &str) -> Result<(&Issuer, Header), TokenError> {
        let unverified =
            jsonwebtoken::dangerous::insecure_decode::<Value>(token).map_err(|e| unread(&e))?;
        let name = issuer_of(&unverified.claims)?;
        let issuer = self.all.iter().find(|issuer| issuer.issuer == name);
        let issuer = issuer.ok_or(TokenError::UnknownIssuer)?;
        Ok((issuer, unverified.header))
    }
}

fn issuer_of(claims: &Value) -> Result<&str, TokenError> {
    // One string: a list of issuers would match whichever one is looked for.
    claims
        .get("iss")
        .and_then(Value::as_str)
        .ok_or_else(|| TokenError::Claim("iss".to_owned()))
}

fn check_header(header: &Header, issuer: &Issuer) -> Result<(), TokenError> {
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    if !issuer.algorithms.contains(&header.alg) {
        return Err(TokenError::Algorithm);
    }
    // RFC 9068 §4 wants `at+jwt`; issuers that do not follow it write `JWT`. Anything else is a
    // token for another purpose that happens to be signed with the same key.
    let typ = header.typ.as_deref().unwrap_or_default();
    let accepted = ["JWT", "at+jwt", "application/at+jwt"];
    if accepted.iter().any(|name| typ.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(TokenError::Kind)
}

impl Issuer {
    fn judge(
        &self,
        keys: &KeySet,
        token: &str,
        header: &Header,
        now: UnixMillis,
    ) -> Result<Verdict, TokenError> {
        let claims = self.verified_claims(keys, token, header)?;
        let (principal, end) = self.principal(&claims, now)?;
        Ok(Verdict::Good(principal, end))
    }

    fn verified_claims(
        &self,
        keys: &KeySet,
        token: &str,
        header: &Header,
    ) -> Result<Value, TokenError> {
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_audience(&self.audience);
        validation.set_issuer(&[&self.issuer]);
        // Times are compared below, with the clock that the program is given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut refused = TokenError::UnknownKey;
        for key in keys.candidates(header.kid.as_deref(), header.alg) {
            match jsonwebtoken::decode::<Value>(token, key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(e) => refused = self.refusal(&e),
            }
        }
        Err(refused)
    }

    fn principal(
        &self,
        verified: &Value,
        now: UnixMillis,
    ) -> Result<(Principal, UnixMillis), TokenError> {
        let claims = Claims::of(verified)?;
        let now = now.as_seconds();
        let leeway = self.leeway_seconds.min(LEEWAY_SECONDS_MAX);
        let end = claims.expires.saturating_add(leeway);
        if now >= end {
            return Err(TokenError::Expired);
        }
        let begin = claims
            .not_before
            .unwrap_or(0)
            .max(claims.issued.unwrap_or(0));
        if begin > now.saturating_add(leeway) {
            return Err(TokenError::NotYet);
        }
        // Keycloak signs ID and refresh tokens with the same key and tells them apart only here.
        if claims
            .kind
            .is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer"))
        {
            return Err(TokenError::Kind);
        }
        let principal = Principal {
            id: PrincipalId::of_token(&self.issuer, claims.subject),
            account: self.map.account(&self.issuer, verified)?,
            roles: self.map.roles(verified),
            proof: Proof::Token {
                issuer: self.issuer.clone(),
            },
        };
        Ok((principal, UnixMillis::from_seconds(end)))
    }

    fn wrong_audience(&self) -> TokenError {
        TokenError::Audience {
            wanted: self.audience.join(" or "),
        }
    }

    fn refusal(&self, error: &jsonwebtoken::errors::Error) -> TokenError {
        match error.kind() {
            Fault::InvalidAudience => self.wrong_audience(),
            // Keycloak leaves it out for a client without roles: the mend is the same.
            Fault::MissingRequiredClaim(claim) if claim == "aud" => self.wrong_audience(),
            _ => unread(error),
        }
    }
}

fn unread(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        Fault::InvalidSignature => TokenError::Signature,
        Fault::MissingRequiredClaim(claim) | Fault::InvalidClaimFormat(claim) => {
            TokenError::Claim(claim.clone())
        }
        Fault::InvalidIssuer => TokenError::UnknownIssuer,
        Fault::InvalidAlgorithm | Fault::MissingAlgorithm | Fault::UnsupportedAlgorithm => {
            TokenError::Algorithm
        }
        _ => TokenError::Garbled,
    }
}
