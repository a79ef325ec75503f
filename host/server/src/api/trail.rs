//! Every decision, on its way to the audit log.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::ops::audit::{Event, Outcome};
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::request::Parts;
use holdfast_model::Action;
use holdfast_model::action::Resource;
use holdfast_policy::Decision;
use std::net::SocketAddr;

/// What the policies said in one call.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) decision: Decision,
}

/// What is to be recorded of a call; nothing of one that needs no key and tells nothing.
pub(crate) fn event(call: &mut Call, outcome: &Result<Reply, Problem>) -> Option<Event> {
    let decided = call.decided.take();
    if decided.is_none() && call.noted.is_none() && outcome.is_ok() {
        return None;
    }
    let (action, resource, decision) = match decided {
        Some(decided) => (
            Some(decided.action),
            Some(decided.resource),
            Some(decided.decision),
        ),
        None => (None, None, None),
    };
    let problem = outcome.as_ref().err();
    let plugin = problem.and_then(Problem::plugin).cloned();
    let note = match (problem.map(Problem::note), call.noted.take()) {
        (Some(why), Some(what)) => Some(format!("{what}: {why}")),
        (Some(why), None) => Some(why.to_owned()),
        (None, what) => what,
    };
    Some(Event {
        at: call.app().clock.now(),
        request_id: call.request_id,
        principal: call.principal.clone(),
        action,
        resource,
        outcome: ended(problem),
        decision,
        plugin: plugin.map(Box::new),
        note: note.map(Into::into),
        status: status(outcome).as_u16(),
        remote: remote(&call.parts),
    })
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
