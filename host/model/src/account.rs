//! Who owns what: tenants, and the accounts within them.
//!
//! A *tenant* is the wall: nothing of one is ever seen by another. An *account* belongs to one
//! tenant; pin requests, usage and invoices belong to an account.

use crate::error::Invalid;
use crate::limits::ACCOUNT_NAME_CHARS_MAX;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The name of a tenant: 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Checks and keeps a name.
    ///
    /// # Errors
    /// A name that is empty, too long or has other characters. Case is refused, not folded: two
    /// spellings of one tenant would be a hole in its wall.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        check_name("tenant", name)?;
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Invalid> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = name.len() <= ACCOUNT_NAME_CHARS_MAX
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Invalid::new(
        what,
        format!(
            "{shown:?} is no name; write 1 to {ACCOUNT_NAME_CHARS_MAX} of a-z 0-9 . _ -, beginning with a letter or digit"
        ),
    ))
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = Invalid;

    fn try_from(name: String) -> Result<Self, Invalid> {
        Self::parse(&name)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.as_ref().into()
    }
}

/// An account: its tenant and its name within it, written `tenant/name`.
///
/// The tenant is part of the id, so an account cannot be paired with a tenant it is not of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId {
    text: Arc<str>,
    tenant: TenantId,
}

impl AccountId {
    /// Checks a name and puts it under its tenant.
    ///
    /// # Errors
    /// As [`TenantId::parse`].
    pub fn new(tenant: &TenantId, name: &str) -> Result<Self, Invalid> {
        check_name("account", name)?;
        Ok(Self {
            text: format!("{tenant}/{name}").into(),
            tenant: tenant.clone(),
        })
    }

    /// Parses `tenant/name`.
    ///
    /// # Errors
    /// Text without exactly one `/`, or with a part that is no name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (tenant, name) = text.split_once('/').ok_or_else(|| {
            Invalid::new("account", "names no tenant; write it as tenant/account")
        })?;
        Self::new(&TenantId::parse(tenant)?, name)
    }

    /// `tenant/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tenant it belongs to.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for AccountId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.text.as_ref().into()
    }
}

/// What the operator says of a tenant. Plugins read the attributes (`quota_bytes`, `plan`, …).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// When it was first known.
    pub created: UnixMillis,
    /// Free pairs that policies and plugins may read.
    pub attributes: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_carries_its_tenant() {
        let account = AccountId::parse("acme/web").unwrap();
        assert_eq!(account.tenant().as_str(), "acme");
        assert_eq!(account.to_string(), "acme/web");
    }

    #[test]
    fn odd_names_are_refused() {
        let long = "a".repeat(ACCOUNT_NAME_CHARS_MAX + 1);
        for text in [
            "",
            "acme",
            "acme/",
            "/web",
            "acme/web/x",
            "Acme/web",
            "acme/-web",
            "a b/c",
            "acme/wéb",
            &long,
        ] {
            assert!(AccountId::parse(text).is_err(), "{text:?}");
        }
    }
}
