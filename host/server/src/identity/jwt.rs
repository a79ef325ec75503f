//! Signed tokens (JWT) of configured issuers.
//!
//! What a token must be follows RFC 8725 (best practice), RFC 9068 (access tokens) and RFC 7515;
//! where the library is milder than these, the check stands here.

mod claims;
mod keyset;

pub use claims::ClaimMap;
pub use jsonwebtoken::Algorithm;
pub use keyset::{KeySet, KeySetError, KeySource};

use claims::Claims;
use holdfast_model::principal::Proof;
use holdfast_model::{Principal, PrincipalId, UnixMillis};
use jsonwebtoken::errors::ErrorKind as Fault;
use jsonwebtoken::{Header, Validation};
use serde_json::Value;
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
    #[error("it is for another audience")]
    Audience,
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
    pub keys: KeySet,
    /// Which claims say who it is.
    pub map: ClaimMap,
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

    /// Whose token this is, and until when it is good.
    ///
    /// # Errors
    /// Any token that is not exactly what its issuer's access tokens must be.
    pub fn verify(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<(Principal, UnixMillis), TokenError> {
        // The issuer is read before anything is verified, to choose the keys, and for nothing else.
        let unverified =
            jsonwebtoken::dangerous::insecure_decode::<Value>(token).map_err(|e| refusal(&e))?;
        let name = issuer_of(&unverified.claims)?;
        let issuer = self
            .all
            .iter()
            .find(|issuer| issuer.issuer == name)
            .ok_or(TokenError::UnknownIssuer)?;
        check_header(&unverified.header, issuer)?;
        let claims = issuer.verified_claims(token, &unverified.header)?;
        issuer.principal(&claims, now)
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
    fn verified_claims(&self, token: &str, header: &Header) -> Result<Value, TokenError> {
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_audience(&self.audience);
        validation.set_issuer(&[&self.issuer]);
        // Times are compared below, with the clock that the program is given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut refused = TokenError::UnknownKey;
        for key in self.keys.candidates(header.kid.as_deref(), header.alg) {
            match jsonwebtoken::decode::<Value>(token, key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(e) => refused = refusal(&e),
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
            account: self.map.account(verified)?,
            roles: self.map.roles(verified),
            proof: Proof::Token {
                issuer: self.issuer.clone(),
            },
        };
        Ok((principal, UnixMillis::from_seconds(end)))
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        Fault::InvalidSignature => TokenError::Signature,
        Fault::MissingRequiredClaim(claim) | Fault::InvalidClaimFormat(claim) => {
            TokenError::Claim(claim.clone())
        }
        Fault::InvalidIssuer => TokenError::UnknownIssuer,
        Fault::InvalidAudience => TokenError::Audience,
        Fault::InvalidAlgorithm | Fault::MissingAlgorithm | Fault::UnsupportedAlgorithm => {
            TokenError::Algorithm
        }
        _ => TokenError::Garbled,
    }
}
