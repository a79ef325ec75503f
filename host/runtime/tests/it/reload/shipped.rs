//! What we ship passes the stages with its own vectors and its own example of settings.

use crate::house::{House, component_bytes, dist};
use holdfast_runtime::InstallParts;
use std::fs;

const HOT: [&str; 5] = [
    "authorizer-quota",
    "authorizer-time-window",
    "pricing-per-operation",
    "pricing-tiered",
    "pricing-volume-discount",
];

#[test]
fn every_hot_plugin_of_ours_answers_its_golden_vectors() {
    let house = House::new();
    for name in HOT {
        let beside = |ending: &str| {
            let path = dist().join(format!("{name}.{ending}"));
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let vectors = beside("vectors.json");
        let install = |vectors: String| {
            let parts = InstallParts {
                wasm: component_bytes(name),
                manifest: Some(beside("toml.example")),
                vectors: Some(vectors),
                ..InstallParts::default()
            };
            house.plugins.install(name, parts)
        };
        // One digit more, somewhere: the vectors are really asked.
        let asked = ["\"micros\": 1", "\"exhausted\""];
        let other = asked.iter().find(|text| vectors.contains(**text));
        if let Some(text) = other {
            let wrong = match *text {
                "\"exhausted\"" => vectors.replacen(text, "\"forbidden\"", 1),
                text => vectors.replacen(text, "\"micros\": 91", 1),
            };
            let refused = install(wrong).unwrap_err().to_string();
            assert!(refused.contains("golden vectors"), "{name}: {refused}");
        }
        let info = install(vectors).unwrap_or_else(|refused| panic!("{refused}"));
        assert!(info.error.is_none(), "{name}: {info:?}");
    }
}
