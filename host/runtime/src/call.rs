//! What is asked of plugins, and what they answer.

use holdfast_model::{
    AccountId, Action, Cid, Currency, Money, PrincipalId, Roles, TenantId, UnixMillis, Usage,
};
use std::collections::BTreeMap;

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

/// One line of a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// One loaded plugin, as `/v1/plugins` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PluginInfo {
    /// Its name: the file's.
    pub name: String,
    /// `authorizer` or `pricing`; empty for a refused file whose kind is not known.
    pub kind: String,
    /// What it says of itself.
    pub version: String,
    /// SHA-256 in hex.
    pub digest: String,
    /// Grows with each replacement.
    pub generation: u64,
    /// `live`, `standby`, `refused`.
    pub state: String,
    /// Why it was refused.
    pub error: Option<String>,
}
