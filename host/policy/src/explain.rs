//! Why something was decided: every policy that had a say, and the conditions that were not met.
//!
//! Cedar tells which policies determined an answer and nothing of why the others did not. So each
//! policy whose scope matches is evaluated by itself, and of one that says nothing each condition,
//! taken apart at its `&&`s. What comes out tells of policies and facts, so it is for those alone
//! who may explain decisions.

mod conditions;

use crate::bundle::{Bundle, Overlay, Seen, View, request};
use crate::gate::{Context, Gate, Revision};
use crate::index::Rule;
use cedar_policy::{AuthorizationError, Policy, PolicySet, Request};
use conditions::conditions;
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal};
use serde::Serialize;
use std::sync::Arc;

/// Policies of one explanation. Those that determined the answer go first, so what is left out is
/// only what had no say.
const POLICIES_MAX: usize = 200;

/// A decision as it was asked for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// What.
    pub action: Action,
    /// To what.
    pub resource: &'a Resource,
    /// In which call.
    pub context: &'a Context,
    /// By which policies; `None` asks those in force.
    pub revision: Option<&'a Revision>,
}

/// Why something was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `allow`, `deny` or `error`.
    pub outcome: &'static str,
    /// The policies that this explains by.
    pub revision: String,
    /// Whether they are those that decided then. If not, they have been replaced since, and this
    /// tells what would be decided now.
    pub by_the_same_policies: bool,
    /// The policies that determined the answer.
    pub determined_by: Vec<String>,
    /// Every policy that had a say or, but for a role, would have had one.
    pub policies: Vec<Explained>,
    /// Policies that are left out, because there are too many.
    pub unlisted: usize,
}

/// One policy's part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its `@id`.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// `true` (it says what its effect is), `false`, `error`, or `scope` (its scope asks for a role
    /// that the caller has not).
    pub result: &'static str,
    /// Whether it determined the answer.
    pub determines: bool,
    /// Of a policy that is false: the conditions that were not met.
    pub unmet: Vec<String>,
    /// How its evaluation failed.
    pub error: Option<String>,
}

impl Gate {
    /// Explains a decision, by the policies that made it as long as they are kept.
    ///
    /// # Errors
    /// The question cannot be asked of these policies.
    pub fn explain(&self, asked: &Asked<'_>) -> Result<Explanation, String> {
        let (bundle, is_same) = self.bundle_of(asked.revision);
        let (who, what) = (asked.principal, asked.resource);
        let compiled = self.own(&bundle, who, asked.action, what, asked.context);
        let own = match compiled.as_deref().map(|own| &own.overlay) {
            Some(Err(why)) => return Err(why.clone()),
            Some(Ok(own)) => own.as_ref(),
            None => None,
        };
        let view = bundle.view(own);
        explain(view, asked, is_same, &revision(&bundle, own))
    }

    /// The bundle of a revision; the one in force if that one is not kept any more.
    fn bundle_of(&self, revision: Option<&Revision>) -> (Arc<Bundle>, bool) {
        let current = self.current();
        let Some(wanted) = revision else {
            return (current, true);
        };
        let platform = wanted.0.split('+').next().unwrap_or_default();
        if *current.revision.0 == *platform {
            return (current, true);
        }
        match self.former(platform) {
            Some(former) => (former, true),
            None => (current, false),
        }
    }
}

fn revision(bundle: &Bundle, own: Option<&Overlay>) -> String {
    own.map_or(&bundle.revision, |own| &own.revision)
        .0
        .to_string()
}

fn explain(
    view: View<'_>,
    asked: &Asked<'_>,
    is_same: bool,
    revision: &str,
) -> Result<Explanation, String> {
    let (who, what) = (asked.principal, asked.resource);
    let verdict = view.decide(asked.action, who, what, asked.context);
    let seen = view.seen(asked.action, who, what)?;
    let mut policies = Vec::new();
    for Seen { rule, facts } in seen {
        let request = request(view.action(asked.action)?, &facts, asked.context)?;
        let asker = Asker {
            view,
            request: &request,
            entities: &facts.entities,
        };
        policies.push(asker.explained(rule, &verdict.determined_by));
    }
    let near = view.short_of_a_role(asked.action, who, what);
    policies.extend(near.into_iter().map(|(rule, role)| Explained {
        id: rule.policy.id().to_string(),
        effect: effect(rule),
        result: "scope",
        determines: false,
        unmet: vec![format!("principal in {role}")],
        error: None,
    }));
    policies.sort_by_key(|one| (!one.determines, one.result != "error"));
    let unlisted = policies.len().saturating_sub(POLICIES_MAX);
    policies.truncate(POLICIES_MAX);
    Ok(Explanation {
        outcome: verdict.outcome.as_str(),
        revision: revision.to_owned(),
        by_the_same_policies: is_same,
        determined_by: verdict.determined_by.to_vec(),
        policies,
        unlisted,
    })
}

const fn effect(rule: &Rule) -> &'static str {
    match rule.forbids {
        true => "forbid",
        false => "permit",
    }
}

/// What one policy, or one condition of it, says to the question.
struct Asker<'a> {
    view: View<'a>,
    request: &'a Request,
    entities: &'a cedar_policy::Entities,
}

impl Asker<'_> {
    fn explained(&self, rule: &Rule, determined_by: &[String]) -> Explained {
        let id = rule.policy.id().to_string();
        let said = self.says(&rule.policy);
        let (result, error) = match &said {
            Ok(true) => ("true", None),
            Ok(false) => ("false", None),
            Err(why) => ("error", Some(why.clone())),
        };
        let unmet = match said {
            Ok(false) => self.unmet(&rule.policy),
            Ok(true) | Err(_) => Vec::new(),
        };
        Explained {
            determines: determined_by.contains(&id),
            id,
            effect: effect(rule),
            result,
            unmet,
            error,
        }
    }

    fn unmet(&self, policy: &Policy) -> Vec<String> {
        let all = conditions(policy).into_iter();
        let unmet = all.filter(|one| self.says(&one.policy) != Ok(true));
        unmet.map(|one| one.text).collect()
    }

    fn says(&self, policy: &Policy) -> Result<bool, String> {
        let alone = PolicySet::from_policies([policy.clone()]).map_err(|e| e.to_string())?;
        let answer = self
            .view
            .authorizer()
            .is_authorized(self.request, &alone, self.entities);
        let diagnostics = answer.diagnostics();
        if let Some(AuthorizationError::PolicyEvaluationError(error)) = diagnostics.errors().next()
        {
            return Err(error.inner().to_string());
        }
        Ok(diagnostics.reason().next().is_some())
    }
}
