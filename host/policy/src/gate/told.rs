//! What somebody is told who may not.

use super::Context;
use crate::bundle::{Bundle, Outcome, Verdict, View};
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::{Action, Principal};

/// Whether the caller may not know that the thing exists: they may not read it either. That the
/// host is there is no secret, nor are one's own tenant and its accounts.
pub(super) fn is_hidden(
    view: View<'_>,
    principal: &Principal,
    action: Action,
    resource: &Resource,
    context: &Context,
) -> bool {
    let (read, of) = match resource {
        Resource::Host => return false,
        Resource::Request(RequestRef { .. }) => (Action::ReadRequest, resource.clone()),
        Resource::Key(KeyRef { account, .. }) => (Action::ListKeys, account.clone().into()),
        Resource::Tenant(_) | Resource::Account(_)
            if resource.tenant() == Some(principal.tenant()) =>
        {
            return false;
        }
        Resource::Tenant(_) => (Action::ReadTenant, resource.clone()),
        Resource::Account(_) => (Action::ReadUsage, resource.clone()),
    };
    read == action || view.decide(read, principal, &of, context).outcome != Outcome::Allow
}

/// What a caller may be told. Nothing of it depends on the thing or on anybody else.
pub(super) fn messages(bundle: &Bundle, verdict: &Verdict, action: Action) -> Vec<String> {
    if verdict.outcome == Outcome::Error {
        return vec![
            "a policy could not be evaluated, so nothing is allowed; tell the operator".into(),
        ];
    }
    if !verdict.messages.is_empty() {
        return verdict.messages.clone();
    }
    if !verdict.determined_by.is_empty() {
        return vec![format!("a policy forbids {action} here")];
    }
    let roles: Vec<&str> = bundle
        .roles_that_can(action)
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|role| *role != "system")
        .collect();
    if roles.is_empty() {
        return vec![format!("no policy grants {action} to anybody who calls")];
    }
    let roles = roles.join(", ");
    vec![format!(
        "no policy grants {action} here; roles that can, within their reach: {roles}"
    )]
}
