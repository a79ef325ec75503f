//! From text to policies that can be trusted to decide, or to everything that is wrong with them.

mod contract;
mod parse;

use super::memory::Memory;
use super::overlay;
use super::{ActionRules, Bundle};
use crate::error::{Finding, PolicyError};
use crate::facts::Kinds;
use crate::index::{ActionIndex, Rule};
use crate::source::Source;
use cedar_policy::{
    Authorizer, EntityId, EntityTypeName, EntityUid, PolicySet, PolicySetError, Schema, Template,
    ValidationMode, Validator,
};
use holdfast_model::Action;
use miette::Diagnostic;
use std::collections::{HashMap, HashSet};

pub(crate) use contract::{PINNING, sample};
pub(super) use parse::{Parsed, policies as parse};

/// Policies in force at once. Loading takes about 0.1 ms each, and ten thousand must fit.
const POLICIES_MAX: usize = 50_000;

/// How many steps a policy may go from entity to entity. The host gives all that can be reached;
/// what a limit keeps out is to read an attribute of an entity that the policy itself names, which
/// is there by chance only.
const STEPS_MAX: u32 = 4;

/// Compiles and checks; everything that is wrong is in the answer.
pub(crate) fn compile(source: &Source) -> Result<Bundle, Vec<PolicyError>> {
    let kinds = Kinds::new().map_err(|e| vec![e])?;
    let schema = parse::schema(&source.schema).map_err(refused)?;
    let mut problems = Vec::new();
    let actions = contract::check(&source.schema, &schema, &kinds)
        .map_err(|found| problems.extend(found))
        .unwrap_or_default();
    let (parsed, found) = parse::policies(&source.policies);
    problems.extend(found);
    let count = parsed.policies.len();
    if count > POLICIES_MAX {
        problems.push(Finding::whole(
            &source.schema.name,
            format!("{count} policies beside it, {POLICIES_MAX} at most"),
            "scope one policy to many tenants instead of writing one for each",
        ));
    }
    if problems.is_empty() {
        problems = validate(schema.clone(), &parsed);
    }
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    let Parsed {
        policies,
        templates,
    } = parsed;
    let rules: Vec<Rule> = policies
        .into_iter()
        .map(|one| Rule::new(one.policy))
        .collect();
    let actions = actions
        .into_iter()
        .map(|(action, facts, on)| {
            let index = ActionIndex::new(&rules, &facts, &kinds, &on);
            (action, ActionRules { facts, on, index })
        })
        .collect::<HashMap<Action, ActionRules>>();
    let ids = rules.iter().map(|rule| rule.policy.id().to_string());
    let bundle = Bundle {
        revision: source.revision(),
        numbers: ids.zip(0..).collect(),
        schema,
        kinds,
        rules,
        templates: templates
            .iter()
            .map(|one| (one.template.id().to_string(), one.template.clone()))
            .collect(),
        actions,
        authorizer: Authorizer::new(),
        memory: Memory::new(),
    };
    contract::wall(&bundle).map_err(|hole| refused(vec![hole]))?;
    let beyond: Vec<Finding> = templates
        .iter()
        .filter_map(|one| {
            let action = gives_too_much(&bundle, &one.template)?;
            let why = format!("{action} is not a tenant's to give, and a grant of this would");
            let mend = "name actions of Action::\"delegable\" in its scope";
            Some(Finding::at(one.file.parts(), one.offset, why, mend))
        })
        .collect();
    if beyond.is_empty() {
        Ok(bundle)
    } else {
        Err(refused(beyond))
    }
}

/// The first action that a grant of a template would give although no tenant may give it.
fn gives_too_much(bundle: &Bundle, template: &Template) -> Option<Action> {
    let kinds = &bundle.kinds;
    let sample = |kind: &EntityTypeName, id| {
        EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
    };
    let on = [sample(&kinds.tenant, "t"), sample(&kinds.account, "t/a")];
    on.into_iter().find_map(|on| {
        let who = sample(&kinds.user, "sample");
        let policy = overlay::instantiate(template, "sample", who, on).ok()?;
        overlay::not_to_give(bundle, &policy)
    })
}

fn refused(findings: Vec<Finding>) -> Vec<PolicyError> {
    findings.into_iter().map(Into::into).collect()
}

/// Strict validation against the schema; a warning is an error.
pub(super) fn validate(schema: Schema, parsed: &Parsed<'_>) -> Vec<Finding> {
    let policies = match together(parsed) {
        Ok(policies) => policies,
        Err(why) => {
            let mend = "give each its own @id";
            return vec![Finding::whole("policies", why.to_string(), mend)];
        }
    };
    let places = parsed.places();
    let result =
        Validator::new(schema).validate_with_level(&policies, ValidationMode::Strict, STEPS_MAX);
    let about = |id: &str, problem: &dyn Diagnostic, mend: &str| {
        let Some(place) = places.get(id) else {
            return Finding::whole("policies", problem.to_string(), mend);
        };
        parse::finding(place.file, place.offset, problem, mend)
    };
    // Of a policy that has errors or several warnings the first says most.
    let mut told = HashSet::new();
    let mut findings = Vec::new();
    for error in result.validation_errors() {
        told.insert(error.policy_id().clone());
        let mend = "see schema.cedarschema";
        findings.push(about(error.policy_id().as_ref(), error, mend));
    }
    for warning in result.validation_warnings() {
        if told.insert(warning.policy_id().clone()) {
            let mend = "a policy that cannot do what it seems to is refused; mend or delete it";
            findings.push(about(warning.policy_id().as_ref(), warning, mend));
        }
    }
    findings
}

fn together(parsed: &Parsed<'_>) -> Result<PolicySet, Box<PolicySetError>> {
    let policies = parsed.policies.iter().map(|one| one.policy.clone());
    let mut set = PolicySet::from_policies(policies)?;
    for one in &parsed.templates {
        set.add_template(one.template.clone())?;
    }
    Ok(set)
}
