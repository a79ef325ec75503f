//! From text to policies with ids, and to findings with places.

use crate::error::Finding;
use crate::source::Text;
use cedar_policy::{Policy, PolicyId, PolicySet, Schema};
use miette::Diagnostic;
use std::collections::HashMap;
use std::str::FromStr;

/// Bytes of one policy. Amazon Verified Permissions has the same limit.
const POLICY_BYTES_MAX: usize = 10_000;

/// What to do about text that cannot be read, where Cedar has no better advice.
const SYNTAX: &str = "see https://docs.cedarpolicy.com/policies/syntax-grammar.html";

/// A policy and where it stands.
pub(super) struct Parsed<'a> {
    pub(super) policy: Policy,
    pub(super) file: &'a Text,
    pub(super) offset: usize,
}

/// Reads the schema; a warning is an error.
pub(super) fn schema(file: &Text) -> Result<Schema, Vec<Finding>> {
    let mend = "see https://docs.cedarpolicy.com/schema/human-readable-schema.html";
    match Schema::from_cedarschema_str(&file.text) {
        Err(problem) => Err(vec![finding(file, 0, &problem, mend)]),
        Ok((schema, warnings)) => {
            let warnings: Vec<Finding> = warnings
                .map(|warning| finding(file, 0, &warning, mend))
                .collect();
            if warnings.is_empty() {
                Ok(schema)
            } else {
                Err(warnings)
            }
        }
    }
}

/// Reads policies; what is wrong with some does not keep it from finding what is wrong with others.
pub(super) fn policies(files: &[Text]) -> (Vec<Parsed<'_>>, Vec<Finding>) {
    let mut problems = Vec::new();
    let mut parsed: Vec<Parsed<'_>> = Vec::new();
    let mut places: HashMap<String, (String, usize)> = HashMap::new();
    for file in files {
        let set = match PolicySet::from_str(&file.text) {
            Ok(set) => set,
            Err(errors) => {
                problems.extend(errors.iter().map(|e| finding(file, 0, e, SYNTAX)));
                continue;
            }
        };
        problems.extend(set.templates().map(|template| {
            let offset = file.text.find(&template.to_cedar()).unwrap_or_default();
            let mend = "write the entity out instead of ?principal or ?resource";
            Finding::at(
                file.parts(),
                offset,
                "a template, which nothing would ever link",
                mend,
            )
        }));
        for (policy, offset) in in_order(&set, file) {
            match checked(&policy, file, offset, &mut places) {
                Ok(policy) => parsed.push(Parsed {
                    policy,
                    file,
                    offset,
                }),
                Err(problem) => problems.push(problem),
            }
        }
    }
    (parsed, problems)
}

/// A file's policies with their offsets. Cedar numbers them as they stand: `policy0`, `policy1`, …
fn in_order(set: &PolicySet, file: &Text) -> Vec<(Policy, usize)> {
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(|policy| {
        let id: &str = policy.id().as_ref();
        id.trim_start_matches("policy").parse::<usize>().ok()
    });
    let mut from = 0;
    policies
        .into_iter()
        .map(|policy| {
            let text = policy.to_cedar().unwrap_or_default();
            let rest = file.text.get(from..).unwrap_or_default();
            let offset = from + rest.find(&text).unwrap_or_default();
            from = offset + text.len();
            (policy.clone(), offset)
        })
        .collect()
}

/// Gives a policy the id that it was written with, if that is its own and it is not too long.
fn checked(
    policy: &Policy,
    file: &Text,
    offset: usize,
    places: &mut HashMap<String, (String, usize)>,
) -> Result<Policy, Finding> {
    let wrong = |why: String, mend: &str| Finding::at(file.parts(), offset, why, mend);
    let bytes = policy.to_cedar().unwrap_or_default().len();
    if bytes > POLICY_BYTES_MAX {
        return Err(wrong(
            format!("a policy of {bytes} bytes, {POLICY_BYTES_MAX} at most"),
            "split it",
        ));
    }
    let Some(id) = policy.annotation("id").filter(|id| !id.trim().is_empty()) else {
        return Err(wrong(
            "a policy without an id".into(),
            "write @id(\"what-it-does\") before it; decisions and logs name it by that",
        ));
    };
    let here = Finding::at(file.parts(), offset, "", "");
    if let Some((other, line)) = places.insert(id.into(), (file.name.clone(), here.line)) {
        return Err(wrong(
            format!("@id(\"{id}\") is taken already by {other}:{line}"),
            "give it an id of its own",
        ));
    }
    Ok(policy.new_id(PolicyId::new(id)))
}

/// A finding from what Cedar says, at the place that it points to.
pub(super) fn finding(file: &Text, offset: usize, problem: &dyn Diagnostic, mend: &str) -> Finding {
    let label = problem.labels().and_then(|mut labels| labels.next());
    let offset = label.as_ref().map_or(offset, |label| label.offset());
    let mut why = problem.to_string();
    if let Some(hint) = label.as_ref().and_then(|label| label.label()) {
        why = format!("{why}: {hint}");
    }
    let mend = problem
        .help()
        .map_or_else(|| mend.to_owned(), |help| help.to_string());
    Finding::at(file.parts(), offset, why.replace('\n', " "), mend)
}
