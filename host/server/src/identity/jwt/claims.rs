//! What a verified token says.

use super::TokenError;
use holdfast_model::{AccountId, Role, Roles, TenantId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The account of a tenant for which a token names none.
const ACCOUNT_DEFAULT: &str = "default";

/// The claim of which an account may be made although it is no name: `auth0|abc` is a subject.
const DIGEST_PREFIX: &str = "sub-";
const SUBJECT_CLAIM: &str = "/sub";

/// Which claims say who somebody is. Claims are named by JSON pointers (RFC 6901), such as
/// `/realm_access/roles`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimMap {
    /// The claim with the tenant; without it, `tenant` is everybody's.
    pub tenant_claim: Option<String>,
    /// The tenant of all of this issuer's tokens.
    pub tenant: Option<TenantId>,
    /// The claim with the account's name in its tenant; without it, all share the account
    /// `default`.
    pub account_claim: Option<String>,
    /// Claims with roles: lists, or text with spaces between.
    pub roles_claims: Vec<String>,
    /// What the issuer's words for roles mean here. A word that is not in it means nothing.
    pub roles: BTreeMap<String, Role>,
}

/// The claims that every token has, in their right types.
pub(super) struct Claims<'a> {
    pub(super) subject: &'a str,
    pub(super) expires: u64,
    pub(super) not_before: Option<u64>,
    pub(super) issued: Option<u64>,
    pub(super) kind: Option<&'a str>,
}

impl<'a> Claims<'a> {
    pub(super) fn of(verified: &'a Value) -> Result<Self, TokenError> {
        let missing = |claim: &str| TokenError::Claim(claim.to_owned());
        let subject = verified
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if subject.is_empty() {
            return Err(missing("sub"));
        }
        Ok(Self {
            subject,
            expires: date(verified, "exp")?.ok_or_else(|| missing("exp"))?,
            not_before: date(verified, "nbf")?,
            issued: date(verified, "iat")?,
            kind: verified
                .get("typ")
                .map(|kind| kind.as_str().ok_or_else(|| missing("typ")))
                .transpose()?,
        })
    }
}

/// A NumericDate (RFC 7519 §2): seconds, with a fraction perhaps, which is cut.
fn date(verified: &Value, claim: &str) -> Result<Option<u64>, TokenError> {
    let Some(value) = verified.get(claim) else {
        return Ok(None);
    };
    let wrong = || TokenError::Claim(claim.to_owned());
    let Value::Number(number) = value else {
        return Err(wrong());
    };
    if let Some(seconds) = number.as_u64() {
        return Ok(Some(seconds));
    }
    let text = number.to_string();
    let (whole, _fraction) = text.split_once('.').ok_or_else(wrong)?;
    whole.parse().map(Some).map_err(|_| wrong())
}

impl ClaimMap {
    /// The account that a token acts for.
    pub(super) fn account(&self, issuer: &str, verified: &Value) -> Result<AccountId, TokenError> {
        let tenant = match &self.tenant_claim {
            Some(claim) => word(verified, claim)
                .and_then(|name| TenantId::parse(name).ok())
                .ok_or(TokenError::Account("tenant"))?,
            None => self.tenant.clone().ok_or(TokenError::Account("tenant"))?,
        };
        let name = match &self.account_claim {
            Some(claim) => word(verified, claim).ok_or(TokenError::Account("account"))?,
            None => ACCOUNT_DEFAULT,
        };
        let name = match self.account_claim.as_deref() {
            Some(SUBJECT_CLAIM) => &name_of_subject(issuer, name),
            _ => name,
        };
        AccountId::new(&tenant, name).map_err(|_| TokenError::Account("account"))
    }

    /// The roles that a token's words mean here.
    pub(super) fn roles(&self, verified: &Value) -> Roles {
        self.roles_claims
            .iter()
            .filter_map(|claim| verified.pointer(claim))
            .flat_map(words)
            .filter_map(|word| self.roles.get(word).copied())
            .collect()
    }
}

/// An account's name for a subject: the subject itself if it can be one, else a digest of it.
fn name_of_subject(issuer: &str, subject: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    // Names of this beginning are digests, so no subject may choose one.
    if subject.bytes().all(is_plain) && !subject.starts_with(DIGEST_PREFIX) && subject.len() <= 64 {
        return subject.to_owned();
    }
    let digest = Sha256::new()
        .chain_update(issuer.as_bytes())
        .chain_update([0])
        .chain_update(subject.as_bytes())
        .finalize();
    let digits = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("{DIGEST_PREFIX}{}", digits.collect::<String>())
}

/// A claim's one word: text, or a list of just one (Keycloak's `organization`).
fn word<'a>(verified: &'a Value, claim: &str) -> Option<&'a str> {
    match verified.pointer(claim)? {
        Value::String(text) => Some(text),
        Value::Array(list) => match list.as_slice() {
            [Value::String(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
