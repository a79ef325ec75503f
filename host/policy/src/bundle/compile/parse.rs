//! From text to policies with ids, and to findings with places.

use crate::error::Finding;
use crate::source::Text;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, Template};
use miette::Diagnostic;
use std::collections::HashMap;
use std::str::FromStr;

/// Bytes of one policy. Amazon Verified Permissions has the same limit.
const POLICY_BYTES_MAX: usize = 10_000;

/// Templates in force at once. Amazon Verified Permissions has the same limit; grants are many,
/// kinds of grants are few.
const TEMPLATES_MAX: usize = 40;

/// What to do about text that cannot be read, where Cedar has no better advice.
const SYNTAX: &str = "see https://docs.cedarpolicy.com/policies/syntax-grammar.html";

/// Where something stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::bundle) struct Place<'a> {
    pub(super) file: &'a Text,
    pub(super) offset: usize,
}

/// A policy and where it stands.
pub(in crate::bundle) struct ParsedPolicy<'a> {
    pub(in crate::bundle) policy: Policy,
    pub(super) file: &'a Text,
    pub(in crate::bundle) offset: usize,
}

/// A template and where it stands.
pub(in crate::bundle) struct ParsedTemplate<'a> {
    pub(in crate::bundle) template: Template,
    pub(super) file: &'a Text,
    pub(in crate::bundle) offset: usize,
}

/// What files say.
#[derive(Default)]
pub(in crate::bundle) struct Parsed<'a> {
    pub(in crate::bundle) policies: Vec<ParsedPolicy<'a>>,
    pub(in crate::bundle) templates: Vec<ParsedTemplate<'a>>,
}

impl Parsed<'_> {
    /// Where each policy and template stands, by id.
    pub(super) fn places(&self) -> HashMap<&str, Place<'_>> {
        let policies = self.policies.iter().map(|one| {
            let (file, offset) = (one.file, one.offset);
            (one.policy.id().as_ref(), Place { file, offset })
        });
        let templates = self.templates.iter().map(|one| {
            let (file, offset) = (one.file, one.offset);
            (one.template.id().as_ref(), Place { file, offset })
        });
        policies.chain(templates).collect()
    }
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
pub(in crate::bundle) fn policies(files: &[Text]) -> (Parsed<'_>, Vec<Finding>) {
    let mut problems = Vec::new();
    let mut parsed = Parsed::default();
    let mut places: HashMap<String, (String, usize)> = HashMap::new();
    for file in files {
        let set = match PolicySet::from_str(&file.text) {
            Ok(set) => set,
            Err(errors) => {
                problems.extend(errors.iter().map(|e| finding(file, 0, e, SYNTAX)));
                continue;
            }
        };
        for (piece, offset) in in_order(&set, file) {
            let id = match checked(&piece, file, offset, &mut places) {
                Ok(id) => id,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            match piece {
                Piece::Policy(policy) => parsed.policies.push(ParsedPolicy {
                    policy: policy.new_id(id),
                    file,
                    offset,
                }),
                Piece::Template(template) => parsed.templates.push(ParsedTemplate {
                    template: template.new_id(id),
                    file,
                    offset,
                }),
            }
        }
    }
    problems.extend(too_many_templates(&parsed));
    (parsed, problems)
}

fn too_many_templates(parsed: &Parsed<'_>) -> Option<Finding> {
    let count = parsed.templates.len();
    let first_too_many = parsed.templates.get(TEMPLATES_MAX)?;
    Some(Finding::at(
        first_too_many.file.parts(),
        first_too_many.offset,
        format!("{count} templates, {TEMPLATES_MAX} at most"),
        "give what belongs together by one template",
    ))
}

/// What stands between two semicolons.
enum Piece {
    Policy(Policy),
    Template(Template),
}

impl Piece {
    /// Cedar numbers what it reads as it stands: `policy0`, `policy1`, …
    fn number(&self) -> Option<usize> {
        let id: &str = match self {
            Self::Policy(policy) => policy.id().as_ref(),
            Self::Template(template) => template.id().as_ref(),
        };
        id.trim_start_matches("policy").parse().ok()
    }

    fn text(&self) -> String {
        match self {
            Self::Policy(policy) => policy.to_cedar().unwrap_or_default(),
            Self::Template(template) => template.to_cedar(),
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Self::Policy(policy) => policy.annotation("id"),
            Self::Template(template) => template.annotation("id"),
        }
    }
}

/// A file's policies and templates with their offsets.
fn in_order(set: &PolicySet, file: &Text) -> Vec<(Piece, usize)> {
    let policies = set.policies().cloned().map(Piece::Policy);
    let templates = set.templates().cloned().map(Piece::Template);
    let mut pieces: Vec<Piece> = policies.chain(templates).collect();
    pieces.sort_by_key(Piece::number);
    let mut from = 0;
    pieces
        .into_iter()
        .map(|piece| {
            let text = piece.text();
            let rest = file.text.get(from..).unwrap_or_default();
            let offset = from + rest.find(&text).unwrap_or_default();
            from = offset + text.len();
            (piece, offset)
        })
        .collect()
}

/// The id that something was written with, if that is its own and it is not too long.
fn checked(
    piece: &Piece,
    file: &Text,
    offset: usize,
    places: &mut HashMap<String, (String, usize)>,
) -> Result<PolicyId, Finding> {
    let wrong = |why: String, mend: &str| Finding::at(file.parts(), offset, why, mend);
    let bytes = piece.text().len();
    if bytes > POLICY_BYTES_MAX {
        return Err(wrong(
            format!("a policy of {bytes} bytes, {POLICY_BYTES_MAX} at most"),
            "split it",
        ));
    }
    let Some(id) = piece.id().filter(|id| !id.trim().is_empty()) else {
        return Err(wrong(
            "a policy without an id".into(),
            "write @id(\"what-it-does\") before it; decisions and logs name it by that",
        ));
    };
    if matches!(piece, Piece::Template(template) if template.effect() == Effect::Forbid) {
        return Err(wrong(
            "a template that forbids".into(),
            "a grant gives and takes nothing away; write the forbid as a policy of its own",
        ));
    }
    let here = Finding::at(file.parts(), offset, "", "");
    if let Some((other, line)) = places.insert(id.into(), (file.name.clone(), here.line)) {
        return Err(wrong(
            format!("@id(\"{id}\") is taken already by {other}:{line}"),
            "give it an id of its own",
        ));
    }
    Ok(PolicyId::new(id))
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
