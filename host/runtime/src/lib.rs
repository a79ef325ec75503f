//! WebAssembly components behind one door: [`Plugins`].
//!
//! *Architecture invariants:* nobody outside sees wasmtime's types; a plugin can cost its own call a
//! clear error and nothing else; the runtime knows no store, no policy engine and no HTTP.

use holdfast_model::{
    AccountId, Action, Cid, Currency, Money, PrincipalId, Roles, TenantId, Usage,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where plugins are and how they are kept.
#[derive(Debug, Clone)]
pub struct PluginsConfig {
    /// The watched folder: `NAME.wasm`, beside it perhaps `NAME.toml` with settings and limits.
    pub dir: PathBuf,
    /// Where compiled components are cached; only the host can write it.
    pub cache: Option<PathBuf>,
}

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
        /// A quota or funds are used up (answered 409 INSUFFICIENT_FUNDS) rather than forbidden (403).
        exhausted: bool,
        /// What to tell the caller.
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

/// Why a plugin's answer cannot be used. It costs this call and nothing else.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PluginError {
    /// No component of this kind is loaded.
    #[error("no {0} component is loaded; put one into the plugins folder")]
    None(&'static str),
    /// It failed.
    #[error("plugin {plugin}: {why}")]
    Failed {
        /// Which.
        plugin: String,
        /// How.
        why: String,
    },
}

/// One loaded plugin, as `/v1/plugins` shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PluginInfo {
    /// Its name: the file's.
    pub name: String,
    /// `authorizer` or `pricing`.
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

/// The plugins.
#[derive(Debug)]
pub struct Plugins {}

#[allow(
    unused_variables,
    missing_docs,
    clippy::missing_errors_doc,
    clippy::unimplemented,
    clippy::allow_attributes_without_reason
)]
impl Plugins {
    /// Loads what is in the folder (a bad file is reported and left out) and begins to watch it.
    pub fn open(config: PluginsConfig) -> Result<Self, PluginError> {
        unimplemented!()
    }
    /// Asks every authorizer; the first that objects decides. A failing one objects (fails closed) with an error.
    pub fn authorize(&self, call: &AuthorizeCall<'_>) -> Result<Verdict, PluginError> {
        unimplemented!()
    }
    /// Whether any authorizer is live (so that callers can skip gathering facts).
    pub fn has_authorizers(&self) -> bool {
        unimplemented!()
    }
    /// Asks the pricing component.
    pub fn quote(&self, call: &QuoteCall<'_>) -> Result<Quote, PluginError> {
        unimplemented!()
    }
    pub fn list(&self) -> Vec<PluginInfo> {
        unimplemented!()
    }
    pub fn metrics(&self) -> Vec<Box<dyn prometheus::core::Collector>> {
        unimplemented!()
    }
}
