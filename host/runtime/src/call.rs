//! What is asked of plugins, and what they answer.

use holdfast_model::{
    AccountId, Action, Cid, Currency, Money, PrincipalId, Roles, TenantId, UnixMillis, Usage,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call that an authorizer is asked about: what Cedar has already allowed.
#[derive(Debug, Clone)]
pub struct AuthorizeCall<'a> {
    /// What is to be done.
    pub action: Action,
    /// Who.
    pub principal: &'a PrincipalId,
    /// What they are.
    pub roles: Roles,
    /// For which account.
    pub account: &'a AccountId,
    /// What the operator says of the tenant.
    pub attributes: &'a BTreeMap<String, String>,
    /// The content, where there is one.
    pub cid: Option<Cid>,
    /// The request's `meta`, where there is one.
    pub meta: Option<&'a BTreeMap<String, String>>,
    /// Requests that the account has in all, without this one.
    pub request_count: u64,
    /// Bytes that the account has pinned.
    pub pinned_bytes: u128,
    /// Bytes that the content has, where they are known already.
    pub dag_size: Option<u64>,
    /// When the call came in.
    pub time: UnixMillis,
}

/// The same, kept beyond the call.
#[derive(Debug, Clone)]
pub(crate) struct OwnedCall {
    pub(crate) action: Action,
    pub(crate) principal: PrincipalId,
    pub(crate) roles: Roles,
    pub(crate) account: AccountId,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) cid: Option<Cid>,
    pub(crate) meta: Option<BTreeMap<String, String>>,
    pub(crate) request_count: u64,
    pub(crate) pinned_bytes: u128,
    pub(crate) dag_size: Option<u64>,
    pub(crate) time: UnixMillis,
}

impl OwnedCall {
    /// Keeps a call.
    pub(crate) fn of(call: &AuthorizeCall<'_>) -> Self {
        Self {
            action: call.action,
            principal: call.principal.clone(),
            roles: call.roles,
            account: call.account.clone(),
            attributes: call.attributes.clone(),
            cid: call.cid,
            meta: call.meta.cloned(),
            request_count: call.request_count,
            pinned_bytes: call.pinned_bytes,
            dag_size: call.dag_size,
            time: call.time,
        }
    }

    /// The call.
    pub(crate) const fn borrowed(&self) -> AuthorizeCall<'_> {
        AuthorizeCall {
            action: self.action,
            principal: &self.principal,
            roles: self.roles,
            account: &self.account,
            attributes: &self.attributes,
            cid: self.cid,
            meta: self.meta.as_ref(),
            request_count: self.request_count,
            pinned_bytes: self.pinned_bytes,
            dag_size: self.dag_size,
            time: self.time,
        }
    }
}

/// What the authorizers say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// None objects.
    Allow,
    /// One does.
    Deny {
        /// Which plugin.
        plugin: String,
        /// A quota or funds are used up (answered 409 INSUFFICIENT_FUNDS) rather than forbidden
        /// (403).
        exhausted: bool,
        /// What to tell the caller: one line without control characters.
        message: String,
    },
}

/// What one authorizer said. Its texts are the plugin's own, which every call shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its name.
    pub name: Arc<str>,
    /// SHA-256 of its component, in hex.
    pub digest: Arc<str>,
    /// `allow`, `deny` or `error`.
    pub verdict: &'static str,
}

/// What a quote is asked for.
#[derive(Debug, Clone)]
pub struct QuoteCall<'a> {
    /// Whose usage.
    pub account: &'a AccountId,
    /// Their tenant.
    pub tenant: &'a TenantId,
    /// What the operator says of the tenant.
    pub attributes: &'a BTreeMap<String, String>,
    /// What was used.
    pub usage: &'a Usage,
}

/// The same, kept beyond the call.
#[derive(Debug, Clone)]
pub(crate) struct OwnedQuoteCall {
    pub(crate) account: AccountId,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) usage: Usage,
}

impl OwnedQuoteCall {
    /// Keeps a call.
    pub(crate) fn of(call: &QuoteCall<'_>) -> Self {
        Self {
            account: call.account.clone(),
            attributes: call.attributes.clone(),
            usage: *call.usage,
        }
    }

    /// The call.
    pub(crate) const fn borrowed(&self) -> QuoteCall<'_> {
        QuoteCall {
            account: &self.account,
            tenant: self.account.tenant(),
            attributes: &self.attributes,
            usage: &self.usage,
        }
    }
}

/// One line of a quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteLine {
    /// What it is for, short.
    pub item: String,
    /// How it came about, for people: quantities, tier, unit price, rounding.
    pub explanation: String,
    /// How much of `unit`.
    pub quantity: u128,
    /// Of what: `byte-second`, `operation`.
    pub unit: String,
    /// What it costs.
    pub amount: Money,
}

/// A price, checked: every line in the quote's currency, the total their sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The lines.
    pub lines: Vec<QuoteLine>,
    /// Their sum.
    pub total: Money,
    /// Which plugin said so.
    pub plugin: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// The currency.
    pub currency: Currency,
}
