//! Cases that policies must decide as their authors say, in the format of `cedar run-tests`
//! (`cedar-policy-cli/src/command/run_test.rs`), so that either tool can run them.

use crate::bundle::{Bundle, Outcome, Verdict};
use crate::error::{Finding, PolicyError};
use crate::source::read_text;
use cedar_policy::{Context, Entities, EntityUid, PolicySet, Request};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Component, Path};

/// Bytes of a file of cases or entities: thousands of cases.
const CASES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One case and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name, or its number in the file.
    pub name: String,
    /// Why it failed; `None` if it did not.
    pub failure: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    request: Asked,
    entities: Value,
    decision: Expected,
    /// Policies that must be among those that determined it.
    reason: Vec<String>,
    num_errors: u64,
}

#[derive(Deserialize)]
struct Asked {
    principal: String,
    action: String,
    resource: String,
    #[serde(default = "no_context")]
    context: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

/// Runs every case of a file.
pub(crate) fn run(bundle: &Bundle, file: &Path) -> Result<Vec<CaseReport>, PolicyError> {
    let text = read_text(file, CASES_BYTES_MAX)?;
    let cases: Vec<Value> = serde_json::from_str(&text.text).map_err(|e| {
        let mend = "write a JSON array of cases as `cedar run-tests` takes it";
        Finding::whole(&text.name, format!("no list of cases ({e})"), mend)
    })?;
    let policies = bundle.all_policies()?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let numbered = cases.into_iter().enumerate();
    Ok(numbered
        .map(|(number, case)| {
            let name = case.get("name").and_then(Value::as_str);
            CaseReport {
                name: name.map_or_else(|| format!("#{}", number + 1), Into::into),
                failure: run_one(bundle, &policies, folder, case).err(),
            }
        })
        .collect())
}

fn run_one(
    bundle: &Bundle,
    policies: &PolicySet,
    folder: &Path,
    case: Value,
) -> Result<(), String> {
    let case: Case = serde_json::from_value(case).map_err(|e| e.to_string())?;
    let request = request(bundle, case.request)?;
    let entities = entities(bundle, folder, case.entities)?;
    let verdict = bundle.view(None).ask(&request, policies, &entities);
    compare(case.decision, &case.reason, case.num_errors, &verdict)
}

fn compare(
    decision: Expected,
    reason: &[String],
    errors: u64,
    verdict: &Verdict,
) -> Result<(), String> {
    let by = verdict.determined_by.join(", ");
    let decided = match verdict.outcome {
        Outcome::Allow => Expected::Allow,
        Outcome::Deny | Outcome::Error => Expected::Deny,
    };
    if decided != decision {
        return Err(format!("expected {decision:?}, got {decided:?} by [{by}]"));
    }
    if let Some(missing) = reason
        .iter()
        .find(|id| !verdict.determined_by.contains(*id))
    {
        return Err(format!("{missing} is not among what determined it: [{by}]"));
    }
    if verdict.errors != errors {
        return Err(format!(
            "expected {errors} evaluation errors, got {}",
            verdict.errors
        ));
    }
    Ok(())
}

fn request(bundle: &Bundle, asked: Asked) -> Result<Request, String> {
    let entity = |text: &str| -> Result<EntityUid, String> {
        text.parse()
            .map_err(|e| format!("{text:?} names no entity ({e}); write Type::\"id\""))
    };
    let (principal, action) = (entity(&asked.principal)?, entity(&asked.action)?);
    let resource = entity(&asked.resource)?;
    let context = Context::from_json_value(asked.context, Some((&bundle.schema, &action)))
        .map_err(|e| e.to_string())?;
    Request::new(principal, action, resource, context, Some(&bundle.schema))
        .map_err(|e| e.to_string())
}

/// Entities in the case, or in a file of the case's folder.
fn entities(bundle: &Bundle, folder: &Path, written: Value) -> Result<Entities, String> {
    let written = match written.as_str() {
        None => written,
        Some(name) => {
            let path = Path::new(name);
            if !path
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
            {
                return Err(format!(
                    "{name:?} leads out of the cases' folder; put the file into it"
                ));
            }
            let text = read_text(&folder.join(path), CASES_BYTES_MAX).map_err(|e| e.to_string())?;
            serde_json::from_str(&text.text).map_err(|e| format!("{name}: {e}"))?
        }
    };
    Entities::from_json_value(written, Some(&bundle.schema)).map_err(|e| chain(&e))
}

/// An error with what is behind it, which says which entity it is.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn no_context() -> Value {
    Value::Object(serde_json::Map::new())
}
