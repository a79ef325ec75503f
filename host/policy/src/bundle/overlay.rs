//! What a tenant says for itself, compiled: its own policies and its grants.
//!
//! They have a say only where somebody of the tenant asks about something of the tenant, and the
//! platform's policies go on saying what they say: a forbid of either side holds. So a tenant can
//! take away what it likes among its own, and give what the schema's group `delegable` holds.

use super::memory::Memory;
use super::{Bundle, compile};
use crate::error::{Finding, PolicyError};
use crate::facts::Kinds;
use crate::gate::Revision;
use crate::index::{ActionIndex, Rule, RuleNumber};
use crate::source::Text;
use crate::tenant::{Grant, TenantSet};
use cedar_policy::{
    EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, SlotId, Template,
};
use holdfast_model::{Action, TenantId};
use std::collections::HashMap;

/// Policies of one tenant. Amazon Verified Permissions allows 200 kB for each resource; ours are
/// read and compiled again whenever the platform's change.
const OWN_POLICIES_MAX: usize = 256;

/// How findings call what a tenant wrote.
const OWN_NAME: &str = "policies";

/// What a tenant says for itself, ready to decide above one set of the platform's policies.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// The platform's revision and the tenant's.
    pub(crate) revision: Revision,
    pub(super) rules: Vec<Rule>,
    pub(super) numbers: HashMap<String, RuleNumber>,
    pub(super) indexes: HashMap<Action, ActionIndex>,
    pub(super) memory: Memory,
}

impl Overlay {
    /// Every policy and grant of the tenant, as Cedar wants them.
    pub(crate) fn all_policies(&self) -> Result<PolicySet, PolicyError> {
        PolicySet::from_policies(self.rules.iter().map(|rule| rule.policy.clone()))
            .map_err(|e| PolicyError::Setup(e.to_string()))
    }
}

/// Compiles a tenant's set above a bundle; everything that is wrong is in the answer. Grants whose
/// template is not there any more give nothing.
pub(crate) fn compile_own(bundle: &Bundle, set: &TenantSet) -> Result<Overlay, Vec<PolicyError>> {
    let text = Text {
        name: OWN_NAME.into(),
        text: set.policies().into(),
    };
    let (mut policies, problems) = written(bundle, set.tenant(), &text);
    if !problems.is_empty() {
        return Err(problems.into_iter().map(Into::into).collect());
    }
    for grant in set.grants() {
        match link(bundle, set.tenant(), grant) {
            Ok(policy) => policies.push(policy),
            Err(why) => tracing::warn!(
                tenant = %set.tenant(), grant = grant.id, why, "a grant gives nothing"
            ),
        }
    }
    let rules: Vec<Rule> = policies.into_iter().map(Rule::new).collect();
    let ids = rules.iter().map(|rule| rule.policy.id().to_string());
    let numbers = ids.zip(0..).collect();
    let indexes = bundle.actions.iter().map(|(action, about)| {
        let index = ActionIndex::new(&rules, &about.facts, &bundle.kinds, &about.on);
        (*action, index)
    });
    Ok(Overlay {
        revision: Revision(format!("{}+{}", bundle.revision.0, set.revision().0).into()),
        numbers,
        indexes: indexes.filter(|(_, index)| index.has_any()).collect(),
        rules,
        memory: Memory::of_tenant(),
    })
}

/// The policies that a tenant wrote, under ids that cannot be the platform's.
fn written(bundle: &Bundle, tenant: &TenantId, text: &Text) -> (Vec<Policy>, Vec<Finding>) {
    let files = std::slice::from_ref(text);
    let (parsed, mut problems) = compile::parse(files);
    if parsed.policies.len() > OWN_POLICIES_MAX {
        let why = format!(
            "{} policies, {OWN_POLICIES_MAX} at most",
            parsed.policies.len()
        );
        problems.push(Finding::whole(&text.name, why, "write one for many things"));
    }
    for one in &parsed.templates {
        let why = "a template, which only the platform's policies may have";
        let mend = "write the entity out instead of ?principal or ?resource";
        problems.push(Finding::at(text.parts(), one.offset, why, mend));
    }
    if problems.is_empty() {
        problems = compile::validate(bundle.schema.clone(), &parsed);
    }
    let mut policies = Vec::new();
    for one in parsed.policies {
        let at = |why: String, mend: &str| Finding::at(text.parts(), one.offset, why, mend);
        if let Some(uid) = foreign(bundle, tenant, &one.policy) {
            let mend = format!("speak of Tenant::\"{tenant}\" and its accounts alone");
            problems.push(at(format!("{uid} is not this tenant's"), &mend));
        }
        let id = format!("{tenant}:{}", one.policy.id());
        let policy = one.policy.new_id(PolicyId::new(id));
        if let Some(action) = not_to_give(bundle, &policy) {
            let mend = "name actions of Action::\"delegable\" in its scope";
            problems.push(at(format!("{action} is not a tenant's to permit"), mend));
        }
        policies.push(policy);
    }
    (policies, problems)
}

/// An entity of another tenant that a policy names.
fn foreign(bundle: &Bundle, tenant: &TenantId, policy: &Policy) -> Option<EntityUid> {
    let kinds = &bundle.kinds;
    policy.entity_literals().into_iter().find(|uid| {
        let (kind, id) = (uid.type_name(), uid.id().unescaped());
        if *kind == kinds.tenant {
            id != tenant.as_str()
        } else if *kind == kinds.account {
            id.split_once('/').map(|(of, _)| of) != Some(tenant.as_str())
        } else {
            false
        }
    })
}

/// The first action that a permit gives although no tenant may give it.
pub(super) fn not_to_give(bundle: &Bundle, policy: &Policy) -> Option<Action> {
    let rule = Rule::new(policy.clone());
    if rule.forbids {
        return None;
    }
    let rules = std::slice::from_ref(&rule);
    Action::ALL.iter().copied().find(|action| {
        bundle.actions.get(action).is_some_and(|about| {
            let is_ours_to_keep = !about.facts.is_delegable();
            is_ours_to_keep
                && ActionIndex::new(rules, &about.facts, &bundle.kinds, &about.on).has_any()
        })
    })
}

/// The policy that a grant is.
fn link(bundle: &Bundle, tenant: &TenantId, grant: &Grant) -> Result<Policy, String> {
    let template = bundle.templates.get(&grant.template).ok_or_else(|| {
        let known: Vec<&str> = bundle.templates.keys().map(String::as_str).collect();
        let known = known.join(", ");
        format!(
            "there is no template {:?}; there are: {known}",
            grant.template
        )
    })?;
    let on = granted(&bundle.kinds, tenant, &grant.on)?;
    let principal = uid(&bundle.kinds.user, &grant.principal);
    instantiate(template, &format!("grant:{}", grant.id), principal, on)
}

/// Whether a grant would give something, before it is kept.
pub(crate) fn check_grant(bundle: &Bundle, tenant: &TenantId, grant: &Grant) -> Result<(), String> {
    link(bundle, tenant, grant).map(drop)
}

/// What a grant is about: the tenant, or one of its accounts.
fn granted(kinds: &Kinds, tenant: &TenantId, on: &str) -> Result<EntityUid, String> {
    match on.split_once('/') {
        None if on == tenant.as_str() => Ok(uid(&kinds.tenant, on)),
        Some((of, _)) if of == tenant.as_str() => Ok(uid(&kinds.account, on)),
        _ => Err(format!(
            "{on:?} is not this tenant's; write {tenant} or {tenant}/ACCOUNT"
        )),
    }
}

/// A policy from a template. The slots are filled in Cedar's syntax tree, never in its text.
pub(super) fn instantiate(
    template: &Template,
    id: &str,
    principal: EntityUid,
    resource: EntityUid,
) -> Result<Policy, String> {
    let mut set = PolicySet::new();
    set.add_template(template.clone())
        .map_err(|e| e.to_string())?;
    let both = [
        (SlotId::principal(), principal),
        (SlotId::resource(), resource),
    ];
    let wanted = |slot: &SlotId| template.slots().any(|has| has == slot);
    let values = both.into_iter().filter(|(slot, _)| wanted(slot)).collect();
    let id = PolicyId::new(id);
    set.link(template.id().clone(), id.clone(), values)
        .map_err(|e| e.to_string())?;
    let linked = set.policy(&id).ok_or("the link is not there")?;
    let tree = linked.to_json().map_err(|e| e.to_string())?;
    Policy::from_json(Some(id), tree).map_err(|e| e.to_string())
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
