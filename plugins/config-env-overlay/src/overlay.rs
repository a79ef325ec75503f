//! From a variable to a key and a value.

use serde_json::Value;

/// `STORE__DATA_DIR` is `store.data_dir`.
pub(crate) fn key(path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split("__").collect();
    let is_part = |part: &&str| {
        let is_letter = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        !part.is_empty() && !part.starts_with('_') && part.bytes().all(is_letter)
    };
    if parts.iter().all(is_part) {
        return Ok(parts.join(".").to_ascii_lowercase());
    }
    Err(
        "names no key; write it as SECTION__KEY in capitals, with two underscores for the dot"
            .into(),
    )
}

/// The text as JSON, of the type of the value that is there.
pub(crate) fn value(text: &str, current: Option<&str>) -> Result<String, String> {
    let current: Option<Value> = current.and_then(|json| serde_json::from_str(json).ok());
    let read: Option<Value> = serde_json::from_str(text.trim()).ok();
    let wrong = |what: &str| Err(format!("{text:?} is {what}"));
    let value = match (current, read) {
        (Some(Value::String(_)), _) => Value::String(text.into()),
        (Some(Value::Number(_)), Some(number @ Value::Number(_))) => number,
        (Some(Value::Number(_)), _) => return wrong("no number, and the value there is one"),
        (Some(Value::Bool(_)), Some(truth @ Value::Bool(_))) => truth,
        (Some(Value::Bool(_)), _) => {
            return wrong("neither true nor false, and the value there is one of them");
        }
        (Some(Value::Array(_)), Some(list @ Value::Array(_))) => list,
        (Some(Value::Array(_)), _) => list(text),
        (Some(Value::Object(_)), Some(table @ Value::Object(_))) => table,
        (Some(Value::Object(_)), _) => {
            return wrong("no table in JSON, and the value there is one");
        }
        (None | Some(Value::Null), Some(read)) => read,
        (None | Some(Value::Null), None) => Value::String(text.into()),
    };
    Ok(value.to_string())
}

/// Names with commas between; nothing is an empty list.
fn list(text: &str) -> Value {
    let parts = text.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    Value::Array(parts.map(Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_underscores_are_the_dot() {
        assert_eq!(key("STORE__DATA_DIR").unwrap(), "store.data_dir");
        assert_eq!(key("A__B__C").unwrap(), "a.b.c");
        assert_eq!(key("LOG").unwrap(), "log");
        for wrong in ["", "__A", "A__", "A____B", "a__b", "A___B", "A-B"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_has_the_type_of_the_one_there() {
        for (text, current, expected) in [
            ("8080", Some("\"x\""), "\"8080\""),
            ("8080", Some("1"), "8080"),
            ("false", Some("true"), "false"),
            ("a, b,", Some("[]"), r#"["a","b"]"#),
            ("[1]", Some("[]"), "[1]"),
            ("", Some("[\"x\"]"), "[]"),
            ("8080", None, "8080"),
            ("embedded", None, "\"embedded\""),
            ("\"8080\"", None, "\"8080\""),
            ("say \"hi\"", Some("null"), r#""say \"hi\"""#),
        ] {
            assert_eq!(
                value(text, current).unwrap(),
                expected,
                "{text} over {current:?}"
            );
        }
        for (text, current) in [("x", "1"), ("1", "true"), ("x", "{}"), ("\"1\"", "1")] {
            assert!(value(text, Some(current)).is_err(), "{text} over {current}");
        }
    }
}
