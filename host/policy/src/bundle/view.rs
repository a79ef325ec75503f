//! A question, and who has a say in it: the platform's policies, and above them what a tenant says
//! for itself.

use super::memory::{Memory, Question};
use super::{ActionRules, Bundle, Outcome, Overlay, Scene, Slice, Verdict};
use crate::facts::{self, ActionFacts, Facts, Named};
use crate::gate::Context;
use crate::index::{Rule, RuleNumber};
use cedar_policy::{Authorizer, Decision, Entities, EntityTypeName, EntityUid, PolicySet, Request};
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal, Role};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The platform's policies, alone or with a tenant's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) own: Option<&'a Overlay>,
}

/// A policy that was looked at for an explanation.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) facts: Arc<Facts>,
}

impl<'a> View<'a> {
    /// Decides, remembering what can be remembered.
    pub(crate) fn decide(
        self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
        context: &Context,
    ) -> Arc<Verdict> {
        let rules = match self.rules_about(action, resource) {
            Ok(rules) => rules,
            Err(why) => return Arc::new(Verdict::unanswerable(why)),
        };
        match &*self.remembered(rules, action, principal, resource) {
            Scene::Settled(verdict) => Arc::clone(verdict),
            Scene::Open { facts, slice } => {
                Arc::new(self.evaluate(&rules.facts, facts, &slice.policies, context))
            }
        }
    }

    /// The one answer to this question about everything that has the same owner; `None` if policies
    /// can tell such things apart by their ids, or look at the call.
    pub(crate) fn settled(
        self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Option<Outcome> {
        let Ok(rules) = self.rules_about(action, resource) else {
            return Some(Outcome::Error);
        };
        if self.named(rules, action).resource {
            return None;
        }
        match &*self.remembered(rules, action, principal, resource) {
            Scene::Settled(verdict) => Some(verdict.outcome),
            Scene::Open { .. } => None,
        }
    }

    fn remembered(
        self,
        rules: &ActionRules,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Arc<Scene> {
        let named = self.named(rules, action);
        let question = Question::new(action, principal, resource, named);
        let memory = self.memory();
        memory.scene(&question).unwrap_or_else(|| {
            let scene = Arc::new(self.scene(rules, action, principal, resource));
            memory.keep(question, &scene);
            scene
        })
    }

    /// The policies whose scope matches, and the facts of the question with every id as it is.
    pub(crate) fn seen(
        self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Result<Vec<Seen<'a>>, String> {
        let rules = self.rules_about(action, resource)?;
        let facts = Facts::new(
            &self.bundle.kinds,
            &rules.facts,
            principal,
            resource,
            Named::BOTH,
        )?;
        let facts = Arc::new(facts);
        let found = self.matching(rules, action, principal, resource);
        let seen = found.into_iter().filter_map(|number| {
            Some(Seen {
                rule: self.rule_at(number)?,
                facts: Arc::clone(&facts),
            })
        });
        Ok(seen.collect())
    }

    /// What Cedar decides with.
    pub(crate) const fn authorizer(self) -> &'a Authorizer {
        &self.bundle.authorizer
    }

    /// An action as policies call it.
    pub(crate) fn action(self, action: Action) -> Result<&'a ActionFacts, &'static str> {
        let rules = self.bundle.actions.get(&action);
        rules
            .map(|rules| &rules.facts)
            .ok_or("the action is not in the schema")
    }

    /// An action, and the kind of thing that it is done to.
    pub(crate) fn about(
        self,
        action: Action,
    ) -> Result<(&'a ActionFacts, &'a EntityTypeName), &'static str> {
        let rules = self.bundle.actions.get(&action);
        let rules = rules.ok_or("the action is not in the schema")?;
        Ok((&rules.facts, &rules.on))
    }

    /// The platform's policies that can have a say for a caller, each with the entity that its
    /// scope names for the thing.
    pub(crate) fn whatever(
        self,
        action: Action,
        principal: &Principal,
    ) -> Result<Vec<(&'a Rule, Option<&'a EntityUid>)>, &'static str> {
        let rules = self.bundle.actions.get(&action);
        let rules = rules.ok_or("the action is not in the schema")?;
        let who = facts::principal_closure(&self.bundle.kinds, principal);
        let found = rules.index.whatever(&who).into_iter();
        let found = found.filter_map(|(number, what)| Some((self.rule_at(number)?, what)));
        Ok(found.collect())
    }

    /// The policies about an action that the caller is out of the scope of for want of a role, each
    /// with that role. Those whose scope names anybody or anything else are nobody's to hear of.
    pub(crate) fn short_of_a_role(
        self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Vec<(&'a Rule, EntityUid)> {
        let Ok(rules) = self.rules_about(action, resource) else {
            return Vec::new();
        };
        let kinds = &self.bundle.kinds;
        let what = facts::resource_closure(kinds, resource);
        let has: Vec<EntityUid> = facts::principal_closure(kinds, principal);
        let missing = Role::ALL
            .into_iter()
            .map(|role| facts::role_uid(kinds, role));
        let missing = missing.filter(|role| !has.contains(role));
        let near = missing.flat_map(|role| {
            let found = rules.index.of_principal(&role, &what);
            found.into_iter().map(move |number| (number, role.clone()))
        });
        near.filter_map(|(number, role)| Some((self.rule_at(number)?, role)))
            .collect()
    }

    fn rules_about(
        self,
        action: Action,
        resource: &Resource,
    ) -> Result<&'a ActionRules, &'static str> {
        let rules = self.bundle.actions.get(&action);
        let rules = rules.ok_or("the action is not in the schema")?;
        if *self.bundle.kinds.of(resource) == rules.on {
            Ok(rules)
        } else {
            Err("the action is not for such a thing")
        }
    }

    fn memory(self) -> &'a Memory {
        self.own.map_or(&self.bundle.memory, |own| &own.memory)
    }

    fn named(self, rules: &ActionRules, action: Action) -> Named {
        let own = self.own.and_then(|own| own.indexes.get(&action));
        own.map_or(rules.index.named, |own| rules.index.named.or(own.named))
    }

    fn matching(
        self,
        rules: &ActionRules,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Vec<RuleNumber> {
        let kinds = &self.bundle.kinds;
        let who = facts::principal_closure(kinds, principal);
        let what = facts::resource_closure(kinds, resource);
        let mut found = rules.index.matching(&who, &what);
        if let Some(index) = self.own.and_then(|own| own.indexes.get(&action)) {
            let first = self.first_own();
            let own = index.matching(&who, &what).into_iter();
            found.extend(own.map(|number| number.saturating_add(first)));
        }
        found
    }

    fn scene(
        self,
        rules: &ActionRules,
        action: Action,
        principal: &Principal,
        resource: &Resource,
    ) -> Scene {
        let found = self.matching(rules, action, principal, resource);
        let named = self.named(rules, action);
        let facts = Facts::new(&self.bundle.kinds, &rules.facts, principal, resource, named);
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

    /// The policies of these numbers, together.
    pub(super) fn slice(
        self,
        action: Action,
        found: Vec<RuleNumber>,
    ) -> Result<Arc<Slice>, String> {
        if let Some(slice) = self.memory().slice(action, &found) {
            return Ok(slice);
        }
        let chosen = || found.iter().filter_map(|number| self.rule_at(*number));
        let policies = PolicySet::from_policies(chosen().map(|rule| rule.policy.clone()))
            .map_err(|e| e.to_string())?;
        let reads_context = chosen().any(|rule| rule.reads_context);
        let slice = Arc::new(Slice {
            policies,
            reads_context,
        });
        self.memory().keep_slice(action, found, &slice);
        Ok(slice)
    }

    pub(super) fn evaluate(
        self,
        action: &ActionFacts,
        facts: &Facts,
        policies: &PolicySet,
        context: &Context,
    ) -> Verdict {
        match request(action, facts, context) {
            Ok(request) => self.ask(&request, policies, &facts.entities),
            Err(why) => Verdict::unanswerable(&why),
        }
    }

    /// Asks Cedar. Cedar skips a policy that fails; a forbid that fails denies here.
    pub(crate) fn ask(
        self,
        request: &Request,
        policies: &PolicySet,
        entities: &Entities,
    ) -> Verdict {
        let authorizer = &self.bundle.authorizer;
        let response = authorizer.is_authorized(request, policies, entities);
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

    /// The number of a tenant's first policy: they follow the platform's.
    fn first_own(self) -> RuleNumber {
        RuleNumber::try_from(self.bundle.rules.len()).unwrap_or(RuleNumber::MAX)
    }

    fn rule_at(self, number: RuleNumber) -> Option<&'a Rule> {
        match number.checked_sub(self.first_own()) {
            None => self.bundle.rules.get(number as usize),
            Some(number) => self.own?.rules.get(number as usize),
        }
    }

    fn rule(self, id: &str) -> Option<&'a Rule> {
        if let Some(number) = self.bundle.numbers.get(id) {
            return self.bundle.rules.get(*number as usize);
        }
        let own = self.own?;
        own.rules.get(*own.numbers.get(id)? as usize)
    }

    fn messages(self, ids: &[String]) -> Vec<String> {
        let rules = ids.iter().filter_map(|id| self.rule(id));
        let told = rules.flat_map(|rule| [&rule.deny_message, &rule.remediation]);
        told.flatten().cloned().collect()
    }

    /// Logs a policy's first failure; whether it forbids.
    fn report_failure(self, id: &str, why: &str) -> bool {
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

    /// Every policy that can have a say in anything.
    #[cfg(test)]
    pub(crate) fn everything(self) -> PolicySet {
        let own = self.own.iter().flat_map(|own| &own.rules);
        let all = self.bundle.rules.iter().chain(own);
        PolicySet::from_policies(all.map(|rule| rule.policy.clone())).unwrap()
    }

    /// All of these policies over the same facts, nothing left out or remembered: what tests
    /// compare with.
    #[cfg(test)]
    pub(crate) fn decide_plainly(
        self,
        all: &PolicySet,
        (principal, action, resource, context): &(Principal, Action, Resource, Context),
    ) -> Verdict {
        let rules = &self.bundle.actions[action];
        let kinds = &self.bundle.kinds;
        let facts = Facts::new(kinds, &rules.facts, principal, resource, Named::BOTH).unwrap();
        self.evaluate(&rules.facts, &facts, all, context)
    }
}

/// A question as Cedar wants it.
pub(crate) fn request(
    action: &ActionFacts,
    facts: &Facts,
    context: &Context,
) -> Result<Request, String> {
    let context = facts::context(context)?;
    let (who, what) = (facts.principal.clone(), facts.resource.clone());
    Request::new(who, action.uid.clone(), what, context, None).map_err(|e| e.to_string())
}
