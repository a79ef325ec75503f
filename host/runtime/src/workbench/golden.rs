//! Golden vectors on the workbench: run, compared to the field, and written anew.

use super::{Piece, Question, Trial};
use crate::kind::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Vectors of one file: each takes a call or two, and an author waits for them.
const VECTORS_MAX: usize = 1_000;

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
    /// Reads a file's text.
    ///
    /// # Errors
    /// The text is not one; the error names the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let golden: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if golden.vectors.len() > VECTORS_MAX {
            return Err(format!(
                "there are {} vectors; keep the {VECTORS_MAX} that tell most",
                golden.vectors.len()
            ));
        }
        Ok(golden)
    }
}

impl Vector {
    /// The settings as `init` takes them.
    #[must_use]
    pub fn settings_json(&self) -> String {
        let settings = self.settings.clone().unwrap_or_default();
        Value::Object(settings).to_string()
    }

    /// What it asks, with settings as `init` takes them.
    #[must_use]
    pub const fn question<'a>(&'a self, settings: &'a str) -> Question<'a> {
        Question {
            settings,
            input: &self.input,
            environment: self.environment.as_ref(),
        }
    }

    /// Whether it is about settings that `init` refuses.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.refusal().is_some()
    }

    /// What of `init`'s refusal must be said, if this vector is about one.
    fn refusal(&self) -> Option<&str> {
        self.output.get("error")?.get("init")?.as_str()
    }
}

impl Piece {
    /// Runs a vector.
    ///
    /// # Errors
    /// The plugin fails, or answers otherwise: the error says where and what.
    pub fn replay(&self, vector: &Vector) -> Result<Trial, String> {
        let outcome = self.try_once(&vector.question(&vector.settings_json()));
        if let Some(expected) = vector.refusal() {
            return refused_as(outcome, expected);
        }
        let trial = outcome?;
        match difference("output", &vector.output, &trial.output) {
            Some(difference) => Err(difference),
            None => Ok(trial),
        }
    }

    /// The vector with what the plugin answers now.
    ///
    /// # Errors
    /// The plugin fails: there is no answer to write down.
    pub fn rewrite(&self, vector: &Vector) -> Result<Vector, String> {
        if vector.is_refusal() || !self.can_replay(vector) {
            return Ok(vector.clone());
        }
        let trial = self.try_once(&vector.question(&vector.settings_json()))?;
        Ok(Vector {
            output: trial.output,
            ..vector.clone()
        })
    }
}

fn refused_as(outcome: Result<Trial, String>, expected: &str) -> Result<Trial, String> {
    match outcome {
        Err(why) if why.starts_with("init: ") && why.contains(expected) => Ok(Trial {
            output: Value::Null,
            fuel: 0,
            asked: Vec::new(),
            log: Vec::new(),
        }),
        Err(why) => Err(format!(
            "init must refuse with a text that has {expected:?}, and it was: {why}"
        )),
        Ok(_) => Err(format!(
            "init must refuse these settings with a text that has {expected:?}, and it took them"
        )),
    }
}

/// Where two answers first differ, and how.
fn difference(place: &str, expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::Object(left), Value::Object(right)) => {
            let missing = left.iter().filter(|(key, _)| !right.contains_key(*key));
            let mut missing = missing.filter(|(_, value)| !value.is_null());
            if let Some((key, value)) = missing.next() {
                return Some(format!("{place}: has no {key}, which must be {value}"));
            }
            right.iter().find_map(|(key, value)| {
                let expected = left.get(key).unwrap_or(&Value::Null);
                difference(&format!("{place}.{key}"), expected, value)
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            let mut pairs = pairs
                .filter_map(|(n, (left, right))| difference(&format!("{place}[{n}]"), left, right));
            pairs.next()
        }
        (Value::Array(left), Value::Array(right)) => Some(format!(
            "{place}: has {} items, and must have {}",
            right.len(),
            left.len()
        )),
        (left, right) if left == right => None,
        (left, right) => Some(format!("{place}: is {right}, and must be {left}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_told_by_its_place() {
        let expected = json!({"ok": {"lines": [{"micros": 1}, {"micros": 2}]}});
        let told = |got: Value| difference("output", &expected, &got);
        assert_eq!(told(expected.clone()), None);
        assert_eq!(
            told(json!({"ok": {"lines": [{"micros": 1}, {"micros": 3}]}})).unwrap(),
            "output.ok.lines[1].micros: is 3, and must be 2"
        );
        assert!(
            told(json!({"ok": {"lines": []}}))
                .unwrap()
                .contains("has 0 items")
        );
        assert!(told(json!({"error": "x"})).unwrap().contains("has no ok"));
        assert!(told(json!("allow")).is_some());
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(Golden::parse(r#"{"kind": "pricing", "vectors": []}"#).is_ok());
        let refused = Golden::parse(r#"{"kind": "pricing", "vector": []}"#).unwrap_err();
        assert!(refused.contains("vector"), "{refused}");
        assert!(Golden::parse(r#"{"kind": "weather", "vectors": []}"#).is_err());
    }
}
