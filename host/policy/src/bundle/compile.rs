//! From text to policies that can be trusted to decide, or to everything that is wrong with them.

mod contract;
mod parse;

use super::memory::Memory;
use super::{ActionRules, Bundle};
use crate::error::{Finding, PolicyError};
use crate::facts::Kinds;
use crate::index::{ActionIndex, Rule};
use crate::source::Source;
use cedar_policy::{Authorizer, PolicySet, Schema, ValidationMode, Validator};
use holdfast_model::Action;
use miette::Diagnostic;
use parse::Parsed;
use std::collections::{HashMap, HashSet};

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
    if parsed.len() > POLICIES_MAX {
        problems.push(Finding::whole(
            &source.schema.name,
            format!(
                "{} policies beside it, {POLICIES_MAX} at most",
                parsed.len()
            ),
            "scope one policy to many tenants instead of writing one for each",
        ));
    }
    if problems.is_empty() {
        problems = validate(schema.clone(), &parsed);
    }
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    let rules: Vec<Rule> = parsed
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
        actions,
        authorizer: Authorizer::new(),
        memory: Memory::new(),
    };
    contract::wall(&bundle).map_err(|hole| refused(vec![hole]))?;
    Ok(bundle)
}

fn refused(findings: Vec<Finding>) -> Vec<PolicyError> {
    findings.into_iter().map(Into::into).collect()
}

/// Strict validation against the schema; a warning is an error.
fn validate(schema: Schema, parsed: &[Parsed<'_>]) -> Vec<Finding> {
    let policies = match PolicySet::from_policies(parsed.iter().map(|one| one.policy.clone())) {
        Ok(policies) => policies,
        Err(why) => {
            return vec![Finding::whole(
                "policies",
                why.to_string(),
                "give each its own @id",
            )];
        }
    };
    let by_id: HashMap<&str, &Parsed<'_>> = parsed
        .iter()
        .map(|one| (one.policy.id().as_ref(), one))
        .collect();
    let result =
        Validator::new(schema).validate_with_level(&policies, ValidationMode::Strict, STEPS_MAX);
    let about = |id: &str, problem: &dyn Diagnostic, mend: &str| {
        let Some(one) = by_id.get(id) else {
            return Finding::whole("policies", problem.to_string(), mend);
        };
        parse::finding(one.file, one.offset, problem, mend)
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
