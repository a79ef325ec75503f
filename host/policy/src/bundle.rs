//! One set of policies, checked and ready to decide.

mod compile;
#[cfg(test)]
mod corpus;
mod memory;
mod overlay;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;
mod view;

use crate::error::PolicyError;
use crate::facts::{ActionFacts, Facts, Kinds};
use crate::gate::{Context, Revision};
use crate::index::{ActionIndex, Rule, RuleNumber};
use cedar_policy::{Authorizer, EntityTypeName, PolicySet, Schema, Template};
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal};
use memory::Memory;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(crate) use compile::{PINNING, compile, sample};
pub(crate) use overlay::{Overlay, check_grant, compile_own};
pub(crate) use verdict::{Outcome, Verdict};
pub(crate) use view::{Seen, View, request};

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
    /// What grants are made from, by id.
    pub(crate) templates: BTreeMap<String, Template>,
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

    /// The kinds of entities.
    pub(crate) const fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The platform's policies, alone or with what a tenant says for itself.
    pub(crate) const fn view<'a>(&'a self, own: Option<&'a Overlay>) -> View<'a> {
        View { bundle: self, own }
    }

    /// Decides by the platform's policies alone.
    pub(crate) fn decide(
        &self,
        action: Action,
        principal: &Principal,
        resource: &Resource,
        context: &Context,
    ) -> Arc<Verdict> {
        self.view(None).decide(action, principal, resource, context)
    }

    /// Every policy, as Cedar wants them.
    pub(crate) fn all_policies(&self) -> Result<PolicySet, PolicyError> {
        PolicySet::from_policies(self.rules.iter().map(|rule| rule.policy.clone()))
            .map_err(|e| PolicyError::Setup(e.to_string()))
    }
}
