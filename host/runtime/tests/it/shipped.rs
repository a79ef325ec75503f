//! The plugins that are shipped, each with the settings of its example.

use crate::house::{House, dist};
use std::fs;

/// Each shipped plugin and its kind.
const SHIPPED: &[(&str, &str)] = &[
    ("authorizer-quota", "authorizer"),
    ("authorizer-time-window", "authorizer"),
    ("config-env-overlay", "config"),
    ("config-guard", "config"),
    ("payment-webhook", "payment"),
    ("pricing-per-operation", "pricing"),
    ("pricing-tiered", "pricing"),
    ("pricing-volume-discount", "pricing"),
];

/// The vectors lie beside it as an operator would copy them: one that does not hold refuses it.
#[test]
fn every_shipped_plugin_loads_with_its_example_and_its_vectors() {
    for (name, kind) in SHIPPED {
        let house = House::in_environment(&[("HOLDFAST_WEBHOOK_TOKEN", "hush-hush")]);
        let manifest = fs::read_to_string(dist().join(format!("{name}.toml.example"))).unwrap();
        let vectors = format!("{name}.vectors.json");
        fs::copy(dist().join(&vectors), house.dir.path().join(&vectors)).unwrap();
        let info = house.install(name, name, &manifest);
        assert_eq!(info.error, None, "{name}");
        assert_eq!(
            (info.kind.as_str(), info.state.as_str()),
            (*kind, "live"),
            "{name}"
        );
    }
}

/// A small stack leaves their data low in their memory, where the host keeps it in place from one
/// instance to the next: what `plugins/build` sets, and a page fault per call if it is lost.
#[test]
fn hot_plugins_begin_with_little_memory() {
    for (name, kind) in SHIPPED {
        if !matches!(*kind, "authorizer" | "pricing") {
            continue;
        }
        let wasm = fs::read(dist().join(format!("{name}.wasm"))).unwrap();
        let mut pages = 0;
        for part in wasmparser::Parser::new(0).parse_all(&wasm) {
            if let wasmparser::Payload::MemorySection(memories) = part.unwrap() {
                pages += memories
                    .into_iter()
                    .map(|m| m.unwrap().initial)
                    .sum::<u64>();
            }
        }
        assert!((1..=3).contains(&pages), "{name} begins with {pages} pages");
    }
}

/// What is shipped is all that has vectors, so that a new one cannot be forgotten here.
#[test]
fn the_list_is_whole() {
    let mut names: Vec<String> = fs::read_dir(dist())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".vectors.json").map(str::to_owned)
        })
        .collect();
    names.sort();
    let listed: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, listed);
}
