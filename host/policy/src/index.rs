//! Which policies can have a say.
//!
//! Cedar looks at every policy for every question. A policy whose scope (the part in parentheses)
//! does not match never contributes to an answer, so it may be left out beforehand: policies are
//! kept by action, then by the entity that their scope names for the principal, then by the one it
//! names for the resource. Looking up what the principal and the thing are or are in finds exactly
//! the policies whose scope matches; ten thousand policies of other tenants are never touched.

use crate::facts::{ActionFacts, Kinds, Named};
use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicBool;

/// A policy and what is asked of it often.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) policy: Policy,
    pub(crate) forbids: bool,
    /// What its author wants callers to be told when it denies.
    pub(crate) deny_message: Option<String>,
    /// What its author wants callers to do about it.
    pub(crate) remediation: Option<String>,
    pub(crate) reads_context: bool,
    /// Whether its failure has been logged.
    pub(crate) failed: AtomicBool,
    /// The kinds of entities that it names one of.
    names: HashSet<EntityTypeName>,
}

impl Rule {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            forbids: policy.effect() == Effect::Forbid,
            deny_message: policy.annotation("deny_message").map(Into::into),
            remediation: policy.annotation("remediation").map(Into::into),
            // The word cannot be avoided by whoever reads the context; found elsewhere (in a text,
            // say) it only costs time.
            reads_context: policy
                .to_cedar()
                .is_none_or(|text| text.contains("context")),
            failed: AtomicBool::new(false),
            names: policy
                .entity_literals()
                .iter()
                .map(|uid| uid.type_name().clone())
                .collect(),
            policy,
        }
    }
}

/// The number of a rule in its bundle.
pub(crate) type RuleNumber = u32;

/// One policy under the entities that its scope names.
#[derive(Debug, Clone, Copy)]
struct Entry {
    rule: RuleNumber,
    /// The scope wants the principal itself (`==`), not what it is in.
    principal_itself: bool,
    /// The same for the thing.
    resource_itself: bool,
}

/// The policies by the entity that their scope names; `None` when it names none.
type ByResource = HashMap<Option<EntityUid>, Vec<Entry>>;

/// The policies that can have a say about one action.
#[derive(Debug)]
pub(crate) struct ActionIndex {
    entries: HashMap<Option<EntityUid>, ByResource>,
    /// Whose ids the policies can tell apart.
    pub(crate) named: Named,
    /// Roles that some permit asks for, for the answer to those who have none of them.
    pub(crate) roles: BTreeSet<String>,
}

impl ActionIndex {
    /// Sorts out which of the rules can say something about an action on a kind of thing.
    pub(crate) fn new(
        rules: &[Rule],
        action: &ActionFacts,
        kinds: &Kinds,
        on: &EntityTypeName,
    ) -> Self {
        let mut index = Self {
            entries: HashMap::new(),
            named: Named {
                principal: false,
                resource: false,
            },
            roles: BTreeSet::new(),
        };
        for (number, rule) in (0..).zip(rules) {
            let scopes = (
                principal_scope(&rule.policy, &kinds.user),
                resource_scope(&rule.policy, on),
            );
            let (true, (Some(principal), Some(resource))) =
                (concerns(&rule.policy, action), scopes)
            else {
                continue;
            };
            index.named.principal |= rule.names.contains(&kinds.user);
            index.named.resource |= rule.names.contains(on);
            if let (false, Some(role)) = (rule.forbids, role_of(&principal, kinds)) {
                index.roles.insert(role);
            }
            let entry = Entry {
                rule: number,
                principal_itself: principal.itself,
                resource_itself: resource.itself,
            };
            let by_resource = index.entries.entry(principal.names).or_default();
            by_resource.entry(resource.names).or_default().push(entry);
        }
        index
    }

    /// The actions that a policy would have a say in, were it in force.
    pub(crate) fn has_any(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The rules whose scope matches, in their order. What is itself goes first in each closure.
    pub(crate) fn matching(
        &self,
        principal: &[EntityUid],
        resource: &[EntityUid],
    ) -> Vec<RuleNumber> {
        let mut found = Vec::new();
        for (who_itself, who) in with_none(principal) {
            self.look(who_itself, &who, resource, &mut found);
        }
        found.sort_unstable();
        found
    }

    /// The rules whose scope names just this for the principal, and whose resource matches.
    pub(crate) fn of_principal(&self, who: &EntityUid, resource: &[EntityUid]) -> Vec<RuleNumber> {
        let mut found = Vec::new();
        self.look(false, &Some(who.clone()), resource, &mut found);
        found
    }

    fn look(
        &self,
        who_itself: bool,
        who: &Option<EntityUid>,
        resource: &[EntityUid],
        found: &mut Vec<RuleNumber>,
    ) {
        let Some(by_resource) = self.entries.get(who) else {
            return;
        };
        for (what_itself, what) in with_none(resource) {
            let entries = by_resource.get(&what).into_iter().flatten();
            found.extend(
                entries
                    .filter(|entry| who_itself || !entry.principal_itself)
                    .filter(|entry| what_itself || !entry.resource_itself)
                    .map(|entry| entry.rule),
            );
        }
    }

    /// The rules that can match for a principal, whatever the thing is: each with the entity that
    /// its scope names for the thing.
    pub(crate) fn whatever(
        &self,
        principal: &[EntityUid],
    ) -> Vec<(RuleNumber, Option<&EntityUid>)> {
        let mut found = Vec::new();
        for (who_itself, who) in with_none(principal) {
            let by_resource = self.entries.get(&who).into_iter().flatten();
            for (what, entries) in by_resource {
                let entries = entries.iter();
                let entries = entries.filter(|entry| who_itself || !entry.principal_itself);
                found.extend(entries.map(|entry| (entry.rule, what.as_ref())));
            }
        }
        found.sort_unstable_by_key(|(rule, _)| *rule);
        found
    }
}

/// The keys to look under, each with whether it is the thing itself.
fn with_none(closure: &[EntityUid]) -> impl Iterator<Item = (bool, Option<EntityUid>)> {
    let named = closure.iter().enumerate();
    named
        .map(|(at, uid)| (at == 0, Some(uid.clone())))
        .chain([(false, None)])
}

/// One side of a scope.
struct Scope {
    names: Option<EntityUid>,
    itself: bool,
}

impl Scope {
    const ANY: Self = Self {
        names: None,
        itself: false,
    };

    const fn within(uid: EntityUid) -> Self {
        Self {
            names: Some(uid),
            itself: false,
        }
    }

    const fn exactly(uid: EntityUid) -> Self {
        Self {
            names: Some(uid),
            itself: true,
        }
    }
}

/// What a policy's scope asks of the principal; `None` if no principal can be that.
fn principal_scope(policy: &Policy, user: &EntityTypeName) -> Option<Scope> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => Some(Scope::ANY),
        PrincipalConstraint::Is(kind) => (kind == *user).then_some(Scope::ANY),
        PrincipalConstraint::In(uid) => Some(Scope::within(uid)),
        PrincipalConstraint::IsIn(kind, uid) => (kind == *user).then(|| Scope::within(uid)),
        PrincipalConstraint::Eq(uid) => (uid.type_name() == user).then(|| Scope::exactly(uid)),
    }
}

/// What a policy's scope asks of the thing; `None` if no thing of this kind can be that.
fn resource_scope(policy: &Policy, on: &EntityTypeName) -> Option<Scope> {
    match policy.resource_constraint() {
        ResourceConstraint::Any => Some(Scope::ANY),
        ResourceConstraint::Is(kind) => (kind == *on).then_some(Scope::ANY),
        ResourceConstraint::In(uid) => Some(Scope::within(uid)),
        ResourceConstraint::IsIn(kind, uid) => (kind == *on).then(|| Scope::within(uid)),
        ResourceConstraint::Eq(uid) => (uid.type_name() == on).then(|| Scope::exactly(uid)),
    }
}

fn concerns(policy: &Policy, action: &ActionFacts) -> bool {
    let is_or_is_in = |uid: &EntityUid| *uid == action.uid || action.groups.contains(uid);
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == action.uid,
        ActionConstraint::In(uids) => uids.iter().any(is_or_is_in),
    }
}

fn role_of(scope: &Scope, kinds: &Kinds) -> Option<String> {
    let uid = scope.names.as_ref()?;
    (*uid.type_name() == kinds.role).then(|| uid.id().unescaped().to_owned())
}
