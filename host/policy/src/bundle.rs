//! One set of policies, checked and ready to decide.

mod compile;
mod memory;
#[cfg(test)]
mod tests;
mod verdict;

use crate::error::PolicyError;
use crate::facts::{self, ActionFacts, Facts, Kinds};
use crate::gate::{Context, Revision};
use crate::index::{ActionIndex, Rule, RuleNumber};
use cedar_policy::{Authorizer, Decision, Entities, EntityTypeName, PolicySet, Request, Schema};
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal};
use memory::{Memory, Question};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) use compile::compile;
pub(crate) use verdict::{Outcome, Verdict};

/// The policies that have a say in one question.
#[derive(Debug)]
struct Slice {
    policies: PolicySet,
    /// Whether one of them reads the context, so that no answer can be remembered.
    reads_context: bool,
}

/// An action with the policies about it.
#[derive(Debug)]
struct ActionRules {
    facts: ActionFacts,
    on: EntityTypeName,
    index: ActionIndex,
}

/// A question as far as it is known without the context.
#[derive(Debug)]
enum Scene {
    /// It has one answer.
    Settled(Arc<Verdict>),
    /// The answer depends on the context.
    Open {
        facts: Box<Facts>,
        slice: Arc<Slice>,
    },
}

/// One set of policies, checked and ready to decide.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) revision: Revision,
    pub(crate) schema: Schema,
    kinds: Kinds,
    rules: Vec<Rule>,
    /// By id, for what Cedar answers.
    numbers: HashMap<String, RuleNumber>,
    actions: HashMap<Action, ActionRules>,
    authorizer: Authorizer,
    memory: Memory,
}

impl Bundle {
    /// How many policies there are.
    pub(crate) const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Roles that some permit for this action asks for.
    pub(crate) fn roles_that_can(&self, action: Action) -> Option<&BTreeSet<String>> {
        self.actions.get(&action).map(|rules| &rules.index.roles)
    }

    /// Decides, remembering what can be remembered.
    pub(crate) fn decide(
        &self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
        context: &Context,
    ) -> Arc<Verdict> {
        let Some(rules) = self.actions.get(&action) else {
            return Arc::new(Verdict::unanswerable("the action is not in the schema"));
        };
        if *self.kinds.of(resource) != rules.on {
            return Arc::new(Verdict::unanswerable("the action is not for such a thing"));
        }
        let question = Question::new(action, principal, resource, rules.index.named);
        let scene = self.memory.scene(&question).unwrap_or_else(|| {
            let scene = Arc::new(self.scene(rules, action, principal, resource));
            self.memory.keep(question, &scene);
            scene
        });
        match &*scene {
            Scene::Settled(verdict) => Arc::clone(verdict),
            Scene::Open { facts, slice } => {
                Arc::new(self.evaluate(&rules.facts, facts, &slice.policies, context))
            }
        }
    }

    fn scene(
        &self,
        rules: &ActionRules,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Scene {
        let found = rules.index.matching(
            &facts::principal_closure(&self.kinds, principal),
            &facts::resource_closure(&self.kinds, resource),
        );
        let named = rules.index.named;
        let facts = Facts::new(&self.kinds, &rules.facts, principal, resource, named);
        let (facts, slice) = match (facts, self.slice(action, found)) {
            (Ok(facts), Ok(slice)) => (facts, slice),
            (Err(why), _) | (_, Err(why)) => {
                return Scene::Settled(Arc::new(Verdict::unanswerable(&why)));
            }
        };
        if slice.reads_context {
            return Scene::Open {
                facts: Box::new(facts),
                slice,
            };
        }
        let context = Context::default();
        let verdict = self.evaluate(&rules.facts, &facts, &slice.policies, &context);
        Scene::Settled(Arc::new(verdict))
    }

    fn slice(&self, action: Action, found: Vec<RuleNumber>) -> Result<Arc<Slice>, String> {
        if let Some(slice) = self.memory.slice(action, &found) {
            return Ok(slice);
        }
        let chosen = || {
            found
                .iter()
                .filter_map(|number| self.rules.get(*number as usize))
        };
        let policies = PolicySet::from_policies(chosen().map(|rule| rule.policy.clone()))
            .map_err(|e| e.to_string())?;
        let reads_context = chosen().any(|rule| rule.reads_context);
        let slice = Arc::new(Slice {
            policies,
            reads_context,
        });
        self.memory.keep_slice(action, found, &slice);
        Ok(slice)
    }

    /// Every policy, as Cedar wants them.
    pub(crate) fn all_policies(&self) -> Result<PolicySet, PolicyError> {
        PolicySet::from_policies(self.rules.iter().map(|rule| rule.policy.clone()))
            .map_err(|e| PolicyError::Setup(e.to_string()))
    }

    fn evaluate(
        &self,
        action: &ActionFacts,
        facts: &Facts,
        policies: &PolicySet,
        context: &Context,
    ) -> Verdict {
        let request = facts::context(context).and_then(|context| {
            let (who, what) = (facts.principal.clone(), facts.resource.clone());
            Request::new(who, action.uid.clone(), what, context, None).map_err(|e| e.to_string())
        });
        match request {
            Ok(request) => self.ask(&request, policies, &facts.entities),
            Err(why) => Verdict::unanswerable(&why),
        }
    }

    /// Asks Cedar. Cedar skips a policy that fails; a forbid that fails denies here.
    pub(crate) fn ask(
        &self,
        request: &Request,
        policies: &PolicySet,
        entities: &Entities,
    ) -> Verdict {
        let response = self.authorizer.is_authorized(request, policies, entities);
        let mut failed_forbids = Vec::new();
        let mut errors = 0;
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            errors += 1;
            let id: &str = error.policy_id().as_ref();
            if self.report_failure(id, &error.inner().to_string()) {
                failed_forbids.push(id.to_owned());
            }
        }
        if !failed_forbids.is_empty() {
            failed_forbids.sort_unstable();
            return Verdict {
                outcome: Outcome::Error,
                determined_by: failed_forbids.into(),
                messages: Vec::new(),
                errors,
            };
        }
        let reasons = response.diagnostics().reason();
        let mut determined_by: Vec<String> = reasons.map(ToString::to_string).collect();
        determined_by.sort_unstable();
        let outcome = match response.decision() {
            Decision::Allow => Outcome::Allow,
            Decision::Deny => Outcome::Deny,
        };
        Verdict {
            outcome,
            messages: self.messages(&determined_by),
            determined_by: determined_by.into(),
            errors,
        }
    }

    fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(*self.numbers.get(id)? as usize)
    }

    fn messages(&self, ids: &[String]) -> Vec<String> {
        let rules = ids.iter().filter_map(|id| self.rule(id));
        rules.filter_map(|rule| rule.deny_message.clone()).collect()
    }

    /// Logs a policy's first failure; whether it forbids.
    fn report_failure(&self, id: &str, why: &str) -> bool {
        // What is not known to permit must be taken to forbid.
        let Some(rule) = self.rule(id) else {
            return true;
        };
        if !rule.failed.swap(true, Ordering::Relaxed) {
            tracing::error!(
                policy = id,
                why,
                denies = rule.forbids,
                "a policy failed while it was evaluated; mend it so that it cannot"
            );
        }
        rule.forbids
    }

    /// Every policy over the same facts, nothing left out or remembered: what tests compare with.
    #[cfg(test)]
    pub(crate) fn decide_plainly(
        &self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
        context: &Context,
    ) -> Verdict {
        let rules = &self.actions[&action];
        let facts = Facts::new(
            &self.kinds,
            &rules.facts,
            principal,
            resource,
            facts::Named::BOTH,
        )
        .unwrap();
        let all = self.all_policies().unwrap();
        self.evaluate(&rules.facts, &facts, &all, context)
    }
}
