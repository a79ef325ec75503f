//! One event, and the line that it becomes.

use holdfast_model::action::Resource;
use holdfast_model::principal::Proof;
use holdfast_model::{Action, Cid, Principal, TenantId, UnixMillis};
use holdfast_policy::{Decision, DecisionId};
use holdfast_runtime::Heard;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use std::net::SocketAddr;
use std::sync::Arc;

/// Bytes of a text that a line takes from elsewhere: an error's words, a plugin's. Escaped they may
/// be six times as long, and two of them must fit an entry.
const TEXT_BYTES_MAX: usize = 1_024;

/// Policies that a line names. Hundreds determine an answer only where a set is written badly.
pub(crate) const POLICIES_MAX: usize = 32;

/// Authorizer components that a line names.
const COMPONENTS_MAX: usize = 16;

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
    /// It is about to be done: see [`Kind::Intent`].
    Begun,
    /// Nobody saw how it ended.
    Unknown,
}

impl Outcome {
    /// The word in lines and filters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Begun => "begun",
            Self::Unknown => "unknown",
        }
    }
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A call.
    #[default]
    Call,
    /// What an administrator is about to change; the outcome follows, under this name.
    Intent(u128),
    /// How the change of that name ended.
    Outcome(u128),
    /// Something that the host did by itself.
    Host,
}

/// What is recorded of a call. Made on the hot path, so it shares what it can and formats nothing.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// When.
    pub at: UnixMillis,
    /// The call, as logs name it.
    pub request_id: u128,
    /// What was called: method and path as the table of routes has them.
    pub route: Option<(&'static str, &'static str)>,
    /// Who; nobody if the call carried no good credentials.
    pub principal: Option<Arc<Principal>>,
    /// What was tried, as far as it is known.
    pub action: Option<Action>,
    /// On what, as far as it is known.
    pub resource: Option<Resource>,
    /// Whose business it is, if the rest does not say so: a log-in is the user's tenant's.
    pub tenant: Option<TenantId>,
    /// The content that it was about, as the policies were told.
    pub cid: Option<Cid>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the policies decided, if they were asked.
    pub decision: Option<Decision>,
    /// Whether the policies allowed it; what came after them may have refused it all the same.
    pub is_allowed: bool,
    /// What the authorizer components said after them.
    pub components: Arc<[Heard]>,
    /// What a plugin objected with, or how it failed: its name and its text.
    pub plugin: Option<Box<(String, String)>>,
    /// What else a reader should know: why credentials were refused, which error came.
    pub note: Option<Box<str>>,
    /// The status of the answer; 0 where there is none.
    pub status: u16,
    /// Where the call came from.
    pub remote: Option<SocketAddr>,
}

impl Event {
    /// Something that the host did by itself.
    #[must_use]
    pub fn of_host(at: UnixMillis, outcome: Outcome, note: impl Into<String>) -> Self {
        Self {
            kind: Kind::Host,
            at,
            request_id: 0,
            route: None,
            principal: None,
            action: None,
            resource: None,
            tenant: None,
            cid: None,
            outcome,
            decision: None,
            is_allowed: false,
            components: Arc::default(),
            plugin: None,
            note: Some(note.into().into()),
            status: 0,
            remote: None,
        }
    }

    /// The decision's name, if there was one.
    #[must_use]
    pub fn decision_id(&self) -> Option<DecisionId> {
        self.decision.as_ref().map(|decision| decision.id)
    }

    /// Whose chain it goes to. What was done to a tenant's things is the tenant's to know, whoever
    /// did it; what was only tried stays with who tried it, and of nobody, or of one of the host's
    /// own, the host itself knows.
    fn chain(&self) -> &str {
        let of_thing = self.resource.as_ref().and_then(Resource::tenant);
        let actor = self.principal.as_deref();
        let actor = actor.filter(|actor| actor.proof != Proof::Internal);
        let of_actor = actor.map(Principal::tenant);
        let of_thing = of_thing.filter(|_| self.outcome != Outcome::Deny);
        let told = self.tenant.as_ref().or(of_thing).or(of_actor);
        told.map_or("", |tenant| tenant.as_str())
    }

    const fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Call => "call",
            Kind::Intent(_) => "intent",
            Kind::Outcome(_) => "outcome",
            Kind::Host => "host",
        }
    }
}

/// An event with the name that tells it from all others.
pub(super) struct Line<'a> {
    pub(super) id: u128,
    pub(super) event: &'a Event,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.event;
        let mut line = serializer.serialize_struct("event", 22)?;
        line.serialize_field("id", &Hex(self.id))?;
        line.serialize_field("kind", event.kind_name())?;
        if let Kind::Intent(name) | Kind::Outcome(name) = event.kind {
            line.serialize_field("intent", &Hex(name))?;
        }
        line.serialize_field("tenant", event.chain())?;
        line.serialize_field("time", &event.at)?;
        line.serialize_field("request_id", &Hex(event.request_id))?;
        if let Some((method, path)) = event.route {
            line.serialize_field("route", &Called(method, path))?;
        }
        line.serialize_field("actor", &event.principal.as_deref().map(Actor::of))?;
        line.serialize_field("action", &event.action.map(Action::as_str))?;
        line.serialize_field("resource", &event.resource.as_ref().map(On::of))?;
        if let Some(cid) = &event.cid {
            line.serialize_field("cid", cid)?;
        }
        line.serialize_field("outcome", &event.outcome)?;
        line.serialize_field("status", &event.status)?;
        line.serialize_field("remote", &event.remote)?;
        if let Some(decision) = &event.decision {
            line.serialize_field("decision_id", &Hex(decision.id.0))?;
            line.serialize_field("decided", if event.is_allowed { "allow" } else { "deny" })?;
            line.serialize_field("policy_revision", decision.revision.0.as_ref())?;
            let policies = decision.determined_by.iter();
            let named: Vec<_> = policies.take(POLICIES_MAX).map(|id| cut(id)).collect();
            line.serialize_field("determined_by", &named)?;
        }
        if !event.components.is_empty() {
            let said = event.components.iter().take(COMPONENTS_MAX);
            let said: Vec<_> = said.map(Component::of).collect();
            line.serialize_field("components", &said)?;
        }
        if let Some(plugin) = &event.plugin {
            let (name, said) = plugin.as_ref();
            line.serialize_field(
                "plugin",
                &Plugin {
                    name,
                    said: cut(said),
                },
            )?;
        }
        if let Some(note) = &event.note {
            line.serialize_field("note", cut(note))?;
        }
        line.end()
    }
}

/// As much of a text as a line takes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX))
        .unwrap_or(text)
}

struct Hex(u128);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

struct Called(&'static str, &'static str);

impl Serialize for Called {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} {}", self.0, self.1))
    }
}

#[derive(Serialize)]
struct Component<'a> {
    name: &'a str,
    digest: &'a str,
    verdict: &'static str,
}

impl<'a> Component<'a> {
    fn of(heard: &'a Heard) -> Self {
        Self {
            name: &heard.name,
            digest: &heard.digest,
            verdict: heard.verdict,
        }
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
