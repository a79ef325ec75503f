//! The settings, as `init` is handed them.

use serde::de::DeserializeOwned;

/// Reads settings. Give the type `#[serde(default, deny_unknown_fields)]`, so that a misspelt key
/// is told and not ignored.
///
/// # Errors
/// Settings that are not as the type has them, for the operator to read.
pub fn parse<T: DeserializeOwned>(settings: &str) -> Result<T, String> {
    // A list would do for a type whose keys all have defaults.
    if !settings.trim_start().starts_with('{') {
        return Err("settings: they are no JSON object; write {} for none".into());
    }
    serde_json::from_str(settings).map_err(|e| format!("settings: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_wrong_is_said() {
        let good: BTreeMap<String, u8> = parse(r#"{"a": 1}"#).unwrap();
        assert_eq!(good["a"], 1);
        let refused = parse::<BTreeMap<String, u8>>(r#"{"a": -1}"#).unwrap_err();
        assert!(refused.starts_with("settings: "), "{refused}");
        let refused = parse::<Vec<u8>>("[1]").unwrap_err();
        assert!(refused.contains("object"), "{refused}");
    }
}
