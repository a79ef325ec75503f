//! An environment for configuration plugins.

use holdfast_plugin::config::Environment;
use std::collections::BTreeMap;

/// Variables that are granted and set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

impl From<BTreeMap<String, String>> for Variables {
    fn from(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }
}

impl Environment for Variables {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_what_is_not_set_is_not_there() {
        let variables = Variables::new().set("B", "2").set("A", "1");
        assert_eq!(variables.names(), ["A", "B"]);
        assert_eq!(variables.get("B").as_deref(), Some("2"));
        assert_eq!(variables.get("C"), None);
    }
}
