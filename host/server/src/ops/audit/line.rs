//! One event, and the line that it becomes.

use holdfast_model::action::Resource;
use holdfast_model::principal::Proof;
use holdfast_model::{Action, Principal, UnixMillis};
use holdfast_policy::{Decision, DecisionId};
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use std::net::SocketAddr;
use std::sync::Arc;

/// How a call ended for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was allowed and done.
    Allow,
    /// It was not allowed: by policy, by a plugin, or because nobody we know called.
    Deny,
    /// It was allowed and failed.
    Error,
}

/// What is recorded of a call. Made on the hot path, so it shares what it can and formats nothing.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// The call, as logs name it.
    pub request_id: u128,
    /// Who; nobody if the call carried no good credentials.
    pub principal: Option<Arc<Principal>>,
    /// What was tried, as far as it is known.
    pub action: Option<Action>,
    /// On what, as far as it is known.
    pub resource: Option<Resource>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the policies decided, if they were asked.
    pub decision: Option<Decision>,
    /// What a plugin objected with, or how it failed: its name and its text.
    pub plugin: Option<Box<(String, String)>>,
    /// What else a reader should know: why credentials were refused, which error came.
    pub note: Option<Box<str>>,
    /// The status of the answer.
    pub status: u16,
    /// Where the call came from.
    pub remote: Option<SocketAddr>,
}

impl Event {
    /// The decision's name, if there was one.
    #[must_use]
    pub fn decision_id(&self) -> Option<DecisionId> {
        self.decision.as_ref().map(|decision| decision.id)
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("event", 13)?;
        line.serialize_field("time", &self.at)?;
        line.serialize_field("request_id", &Hex(self.request_id))?;
        line.serialize_field("actor", &self.principal.as_deref().map(Actor::of))?;
        line.serialize_field("action", &self.action.map(Action::as_str))?;
        line.serialize_field("resource", &self.resource.as_ref().map(On::of))?;
        line.serialize_field("outcome", &self.outcome)?;
        line.serialize_field("status", &self.status)?;
        line.serialize_field("remote", &self.remote)?;
        if let Some(decision) = &self.decision {
            line.serialize_field("decision_id", &Hex(decision.id.0))?;
            line.serialize_field("policy_revision", decision.revision.0.as_ref())?;
            line.serialize_field("determined_by", decision.determined_by.as_ref())?;
        }
        if let Some(plugin) = &self.plugin {
            let (name, said) = plugin.as_ref();
            line.serialize_field("plugin", &Plugin { name, said })?;
        }
        if let Some(note) = &self.note {
            line.serialize_field("note", note)?;
        }
        line.end()
    }
}

struct Hex(u128);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

#[derive(Serialize)]
struct Plugin<'a> {
    name: &'a str,
    said: &'a str,
}

#[derive(Serialize)]
struct Actor<'a> {
    id: &'a str,
    tenant: &'a str,
    account: &'a str,
    roles: Vec<&'static str>,
    proof: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
}

impl<'a> Actor<'a> {
    fn of(principal: &'a Principal) -> Self {
        let (proof, issuer) = match &principal.proof {
            Proof::Key(_) => ("key", None),
            Proof::Token { issuer } => ("token", Some(issuer.as_str())),
            Proof::Password => ("password", None),
            Proof::Did => ("did", None),
            Proof::Internal => ("internal", None),
        };
        Self {
            id: principal.id.as_str(),
            tenant: principal.tenant().as_str(),
            account: principal.account.as_str(),
            roles: principal
                .roles
                .iter()
                .map(holdfast_model::Role::as_str)
                .collect(),
            proof,
            issuer,
        }
    }
}

#[derive(Serialize)]
struct On<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl<'a> On<'a> {
    fn of(resource: &'a Resource) -> Self {
        let on = |kind, account, id| Self { kind, account, id };
        match resource {
            Resource::Host => on("host", None, None),
            Resource::Tenant(tenant) => on("tenant", None, Some(tenant.to_string())),
            Resource::Account(account) => on("account", Some(account.as_str()), None),
            Resource::Request(request) => on(
                "request",
                Some(request.account.as_str()),
                Some(request.id.to_string()),
            ),
            Resource::Key(key) => on("key", Some(key.account.as_str()), Some(key.id.to_string())),
        }
    }
}
