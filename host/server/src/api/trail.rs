//! Every decision, on its way to the audit log.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::app::App;
use crate::ops::audit::{Audit, AuditError, Event, Kind, Outcome};
use crate::policies;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::request::Parts;
use holdfast_model::action::Resource;
use holdfast_model::{Action, Cid};
use holdfast_policy::Decision;
use holdfast_runtime::Heard;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the policies said in one call.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) cid: Option<Cid>,
    pub(crate) decision: Decision,
    pub(crate) is_allowed: bool,
}

/// Puts down what an administrator is about to try, before anything of it is done: durably, or it
/// is not done.
pub(crate) async fn intend(call: &mut Call) -> Result<(), Problem> {
    let name = rand::random();
    let event = Event {
        kind: Kind::Intent(name),
        outcome: Outcome::Begun,
        ..bare(call)
    };
    call.intent = Some(name);
    let recorded = call.app().audit.record_durably(event).await;
    recorded.map_err(|error| Problem::unrecorded(&error))
}

/// What a call does that is recorded: what its caller is answered only after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It changes nothing.
    Read,
    /// It may have changed something.
    Change,
}

/// Records how a call ended. What an administrator has changed is answered once that is durable,
/// any other change once it is in the file, for a killed host is not to have done what it has not
/// written down. Reads and denials wait for nothing.
pub(crate) async fn record(
    audit: &Audit,
    event: Option<Event>,
    deed: Deed,
) -> Result<(), AuditError> {
    let Some(event) = event else { return Ok(()) };
    match (event.kind, deed) {
        (Kind::Outcome(_), _) => audit.record_durably(event).await,
        (_, Deed::Change) if event.outcome != Outcome::Deny => audit.record_in_file(event).await,
        (_, Deed::Change | Deed::Read) => audit.record(event).await,
    }
}

/// A call as far as it is known before anything was asked.
fn bare(call: &Call) -> Event {
    Event {
        kind: Kind::Call,
        at: call.app().clock.now(),
        request_id: call.request_id,
        route: Some((call.route.method.as_str(), call.route.path)),
        principal: call.principal.clone(),
        action: None,
        resource: None,
        tenant: None,
        cid: None,
        outcome: Outcome::Allow,
        decision: None,
        is_allowed: false,
        components: Arc::default(),
        plugin: None,
        note: None,
        status: 0,
        remote: remote(&call.parts),
    }
}

/// What is to be recorded of a call; nothing of one that needs no key and tells nothing.
pub(crate) fn event(call: &mut Call, outcome: &Result<Reply, Problem>) -> Option<Event> {
    let decided = call.decided.take();
    let tells = call.principal.is_some() || call.noted.is_some() || call.route.is_change();
    if decided.is_none() && !tells && outcome.is_ok() {
        return None;
    }
    let mut event = bare(call);
    if let Some(decided) = decided {
        event.components = heard(call, &decided);
        event.action = Some(decided.action);
        event.resource = Some(decided.resource);
        event.cid = decided.cid;
        event.decision = Some(decided.decision);
        event.is_allowed = decided.is_allowed;
    }
    event.tenant = call.concerns.take();
    let problem = outcome.as_ref().err();
    let plugin = problem.and_then(Problem::plugin).cloned();
    let note = match (problem.map(Problem::note), call.noted.take()) {
        (Some(why), Some(what)) => Some(format!("{what}: {why}")),
        (Some(why), None) => Some(why.to_owned()),
        (None, what) => what,
    };
    Some(Event {
        kind: call.intent.map_or(Kind::Call, Kind::Outcome),
        outcome: ended(problem),
        plugin: plugin.map(Box::new),
        note: note.map(Into::into),
        status: status(outcome).as_u16(),
        ..event
    })
}

/// What is to be recorded of a call that no route takes, by somebody who is not let in.
pub(crate) fn turned_away(app: &App, parts: &Parts, request_id: u128, why: &Problem) -> Event {
    Event {
        kind: Kind::Call,
        request_id,
        status: why.status().as_u16(),
        remote: remote(parts),
        ..Event::of_host(app.clock.now(), ended(Some(why)), why.note())
    }
}

/// What the authorizer components said after the policies.
fn heard(call: &Call, decided: &Decided) -> Arc<[Heard]> {
    let app = call.app();
    if !decided.is_allowed || !app.plugins.has_authorizers() {
        return Arc::default();
    }
    let known = policies::known(app, decided.decision.id);
    known.map(|known| known.components).unwrap_or_default()
}

/// Where the call came from, as the listener says.
pub(crate) fn remote(parts: &Parts) -> Option<SocketAddr> {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    info.map(|ConnectInfo(remote)| *remote)
}

fn ended(problem: Option<&Problem>) -> Outcome {
    match problem {
        None => Outcome::Allow,
        Some(problem) if problem.is_denial() => Outcome::Deny,
        Some(_) => Outcome::Error,
    }
}

fn status(outcome: &Result<Reply, Problem>) -> StatusCode {
    match outcome {
        Ok(reply) => reply.status,
        Err(problem) => problem.status(),
    }
}
