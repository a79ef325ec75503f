//! What an authorizer can ask, answered from a vector's input.

use crate::workbench::Asked;
use serde_json::{Map, Value, json};

/// What stands for a fact that the input does not have.
const ACCOUNT: &str = "acme/web";
const PRINCIPAL: &str = "key:test";

/// The answer to one of the call's getters, in the mirror of its type. `about` is its parameter.
pub(super) fn answer(input: &Value, what: &str, about: Option<&str>) -> Result<Value, String> {
    let told = |field: &str| input.get(field).filter(|value| !value.is_null()).cloned();
    let text = |field: &str, default: &str| told(field).unwrap_or_else(|| json!(default));
    let account = text("account", ACCOUNT);
    let about = about.unwrap_or_default();
    Ok(match what {
        "action" => action(&told("action").ok_or("action: is missing")?),
        "principal" => text("principal", PRINCIPAL),
        "account" => account,
        "tenant" => {
            let account = account.as_str().unwrap_or_default();
            let (tenant, _) = account.split_once('/').unwrap_or((account, ""));
            text("tenant", tenant)
        }
        "has_role" => {
            let roles = told("roles").unwrap_or_else(|| json!([]));
            let roles = roles.as_array().ok_or("roles: must be a list of texts")?;
            json!(roles.iter().any(|role| role == about))
        }
        "attribute" => inner(input, "attributes", about),
        "attribute_number" => match inner(input, "attributes", about) {
            Value::String(text) => match text.trim().parse::<u64>() {
                Ok(number) => json!({ "ok": number }),
                Err(_) => json!({ "error": null }),
            },
            _ => Value::Null,
        },
        "meta" => inner(input, "meta", about),
        "cid" | "dag_size" => told(what).unwrap_or(Value::Null),
        "pinned_bytes" => text(what, "0"),
        "request_count" | "time" => told(what).unwrap_or_else(|| json!(0)),
        other => return Err(format!("{other}: this workbench cannot answer it")),
    })
}

/// The names that an input may have.
const FIELDS: [&str; 12] = [
    "action",
    "principal",
    "roles",
    "account",
    "tenant",
    "attributes",
    "cid",
    "meta",
    "request_count",
    "pinned_bytes",
    "dag_size",
    "time",
];

/// Refuses an input with names that mean nothing.
pub(super) fn check(input: &Value) -> Result<(), String> {
    let object = input.as_object().ok_or("the input must be an object")?;
    match object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        Some(key) => Err(format!(
            "the input has no field {key:?}; there are {}",
            FIELDS.join(", ")
        )),
        None => Ok(()),
    }
}

/// The input without what was not asked for: all that the answer can depend on.
pub(super) fn asked_alone(input: &Value, asked: &[Asked]) -> Value {
    let Some(object) = input.as_object().filter(|_| !asked.is_empty()) else {
        return input.clone();
    };
    let mut kept = Map::new();
    // What a call is about makes a vector readable, asked for or not.
    for field in ["action", "account"] {
        keep(&mut kept, object, field);
    }
    for question in asked {
        let about = question.about.as_deref().unwrap_or_default();
        match question.what.as_str() {
            "has_role" => keep(&mut kept, object, "roles"),
            "attribute" | "attribute_number" => keep_inner(&mut kept, input, "attributes", about),
            "meta" => keep_inner(&mut kept, input, "meta", about),
            field => keep(&mut kept, object, field),
        }
    }
    Value::Object(kept)
}

fn keep(kept: &mut Map<String, Value>, object: &Map<String, Value>, field: &str) {
    if let Some(value) = object.get(field) {
        kept.insert(field.to_owned(), value.clone());
    }
}

fn keep_inner(kept: &mut Map<String, Value>, input: &Value, field: &str, name: &str) {
    let value = inner(input, field, name);
    if value.is_null() {
        return;
    }
    let within = kept.entry(field).or_insert_with(|| json!({}));
    if let Some(within) = within.as_object_mut() {
        within.insert(name.to_owned(), value);
    }
}

fn inner(input: &Value, field: &str, name: &str) -> Value {
    let found = input.get(field).and_then(|pairs| pairs.get(name));
    found.cloned().unwrap_or(Value::Null)
}

/// An action by the contract's name or by that of the policies.
fn action(told: &Value) -> Value {
    /// The contract's own cases; every other action is `other`.
    const CASES: [&str; 7] = [
        "create_request",
        "list_requests",
        "read_request",
        "replace_request",
        "delete_request",
        "read_usage",
        "read_quote",
    ];
    let Value::String(name) = told else {
        return told.clone();
    };
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    match CASES.contains(&snake.as_str()) {
        true => json!(snake),
        false => json!({ "other": name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_told_as_the_contract_types_it() {
        let input = json!({
            "action": "createRequest", "account": "a/b", "roles": ["operator"],
            "attributes": {"n": "7", "x": "seven"}, "pinned_bytes": "340282366920938463463374607431768211455",
        });
        let told = |what, about| answer(&input, what, about).unwrap();
        assert_eq!(told("action", None), json!("create_request"));
        assert_eq!(told("tenant", None), json!("a"));
        assert_eq!(told("has_role", Some("operator")), json!(true));
        assert_eq!(told("has_role", Some("auditor")), json!(false));
        assert_eq!(told("attribute_number", Some("n")), json!({"ok": 7}));
        assert_eq!(told("attribute_number", Some("x")), json!({"error": null}));
        assert_eq!(told("attribute_number", Some("y")), Value::Null);
        assert_eq!(told("cid", None), Value::Null);
        assert!(answer(&input, "weather", None).is_err());
        let other = answer(&json!({"action": "readAudit"}), "action", None).unwrap();
        assert_eq!(other, json!({"other": "readAudit"}));
    }

    #[test]
    fn a_recorded_input_has_what_was_asked_and_no_more() {
        let input = json!({
            "action": "create_request", "attributes": {"a": "1", "b": "2"}, "dag_size": 3, "time": 4,
        });
        let asked = |what: &str, about: Option<&str>| Asked {
            what: what.into(),
            about: about.map(str::to_owned),
            answer: Value::Null,
        };
        let questions = [
            asked("attribute", Some("b")),
            asked("dag_size", None),
            asked("attribute", Some("c")),
        ];
        assert_eq!(
            asked_alone(&input, &questions),
            json!({"action": "create_request", "attributes": {"b": "2"}, "dag_size": 3})
        );
        assert_eq!(asked_alone(&input, &[]), input);
    }
}
