//! Files of golden vectors, read to be written anew.

use super::Asked;
use crate::kind::Kind;
use crate::vectors;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A file of golden vectors: inputs of one kind of plugin, and what must be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Of what kind of plugin.
    pub kind: Kind,
    /// The vectors.
    pub vectors: Vec<Vector>,
}

/// One vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What it shows, for people.
    pub name: String,
    /// What `init` is given; none are those of an operator who wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
    /// What is asked.
    #[serde(default)]
    pub input: Value,
    /// What must be answered.
    #[serde(default)]
    pub output: Value,
    /// What of the environment is granted and set, for plugins that may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Value>,
    /// The calls that it makes to others, and what they answer, for plugins that call out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanges: Option<Value>,
}

impl Golden {
    /// Reads a file's text, which must be for plugins of this kind.
    ///
    /// # Errors
    /// The text is not one; the error names the place.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        let vectors = vectors::read_file(text, kind)?;
        Ok(Self { kind, vectors })
    }
}

impl Vector {
    /// The settings as `init` takes them.
    #[must_use]
    pub fn settings_json(&self) -> String {
        let settings = self.settings.clone().unwrap_or_default();
        Value::Object(settings).to_string()
    }

    /// Whether it is about settings that `init` refuses.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let error = self.output.get("error");
        error.and_then(|error| error.get("init")).is_some()
    }
}

/// The input without what was not asked for: all that the answer can depend on.
pub(super) fn asked_alone(input: &Value, asked: &[Asked]) -> Value {
    let Some(object) = input.as_object() else {
        return input.clone();
    };
    let mut kept = Map::new();
    // What a call is about makes a vector readable, asked for or not.
    for field in ["action", "account"] {
        keep(&mut kept, object, field);
    }
    for question in asked {
        let about = question.about.as_str();
        match question.what {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_is_left_out() {
        let input = json!({
            "action": "create_request", "account": "a/b", "attributes": {"x": "1", "y": "2"},
            "roles": ["operator"], "time": 7, "meta": {"k": "v"},
        });
        let asked = |what, about: &str| Asked {
            what,
            about: about.to_owned(),
        };
        let kept = asked_alone(
            &input,
            &[
                asked("attribute", "y"),
                asked("meta", "none"),
                asked("time", ""),
            ],
        );
        let expected = json!({
            "action": "create_request", "account": "a/b", "attributes": {"y": "2"}, "time": 7,
        });
        assert_eq!(kept, expected);
    }

    #[test]
    fn unknown_keys_and_other_kinds_are_refused() {
        let parse = |text| Golden::parse(text, Kind::Pricing);
        assert!(parse(r#"{"kind": "pricing", "vectors": []}"#).is_ok());
        let refused = parse(r#"{"kind": "pricing", "vector": []}"#).unwrap_err();
        assert!(refused.contains("vector"), "{refused}");
        assert!(parse(r#"{"kind": "payment", "vectors": []}"#).is_err());
    }
}
