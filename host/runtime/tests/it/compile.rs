//! Compiled components outlive a restart, and nothing but what was put there is run.

use crate::house::{Ask, put, told};
use holdfast_runtime::{Compiler, Plugins, PluginsConfig, Verdict};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("plugins")).unwrap();
        Self(home)
    }

    fn plugins(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn config(&self) -> PluginsConfig {
        PluginsConfig {
            dir: self.plugins(),
            cache: Some(self.cache()),
            ..PluginsConfig::default()
        }
    }

    fn open(&self) -> Plugins {
        Plugins::open(self.config()).unwrap()
    }

    /// The compiled components.
    fn entries(&self) -> Vec<PathBuf> {
        let is_entry = |path: &PathBuf| path.extension().is_some_and(|end| end == "cwasm");
        let listed = fs::read_dir(self.cache()).unwrap();
        let mut entries: Vec<_> = listed
            .map(|entry| entry.unwrap().path())
            .filter(is_entry)
            .collect();
        entries.sort();
        entries
    }
}

/// How often components were made ready in this way.
fn count(plugins: &Plugins, metric: &str, label: &str) -> u64 {
    let families = plugins.metrics();
    let families = families.iter().flat_map(|collector| collector.collect());
    families
        .filter(|family| family.name() == metric)
        .flat_map(|family| family.get_metric().to_vec())
        .filter(|metric| metric.get_label().iter().any(|pair| pair.value() == label))
        .map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

fn ways(plugins: &Plugins) -> [u64; 3] {
    ["compiled", "cached", "failed"]
        .map(|way| count(plugins, "holdfast_plugin_compilations_total", way))
}

fn allows(plugins: &Plugins) {
    assert_eq!(Ask::new(&[]).of(plugins).unwrap(), Verdict::Allow);
}

fn fill(dir: &Path) {
    put(dir, "hostile-authorizer", "first", &told("allow"));
    put(dir, "authorizer-quota", "second", "");
    put(dir, "hostile-pricing", "third", &told("price-7"));
}

#[test]
fn a_restart_compiles_nothing() {
    let home = Home::new();
    fill(&home.plugins());
    let first = home.open();
    assert_eq!(ways(&first), [3, 0, 0]);
    allows(&first);
    assert_eq!(home.entries().len(), 3);
    drop(first);
    let second = home.open();
    assert_eq!(ways(&second), [0, 3, 0]);
    allows(&second);
    // Another file is another entry.
    put(&home.plugins(), "pricing-tiered", "fourth", "");
    second.rescan();
    assert_eq!(home.entries().len(), 4);
}

#[test]
fn an_entry_that_was_changed_is_compiled_anew_and_counted() {
    let home = Home::new();
    fill(&home.plugins());
    drop(home.open());
    let entries = home.entries();
    let mut bytes = fs::read(&entries[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&entries[0], &bytes).unwrap();
    // A whole entry, under the name of another.
    fs::copy(&entries[2], &entries[1]).unwrap();
    let again = home.open();
    assert_eq!(ways(&again), [2, 1, 0]);
    let unproven = "holdfast_plugin_cache_dropped_entries_total";
    assert_eq!(count(&again, unproven, "unproven"), 2);
    allows(&again);
    drop(again);
    assert_eq!(ways(&home.open()), [0, 3, 0]);
}

#[test]
fn a_cache_that_others_can_write_keeps_the_host_from_starting() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    drop(home.open());
    fs::set_permissions(home.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let why = Plugins::open(home.config()).unwrap_err().to_string();
    assert!(why.contains("mode 777") && why.contains("700"), "{why}");
}

#[test]
fn a_compiler_that_cannot_be_started_is_named_and_costs_the_candidate_alone() {
    let home = Home::new();
    fill(&home.plugins());
    drop(home.open());
    put(&home.plugins(), "pricing-tiered", "fourth", "");
    let plugins = Plugins::open(PluginsConfig {
        compiler: Compiler::Child {
            program: "/does/not/exist".into(),
            args: Vec::new(),
        },
        ..home.config()
    })
    .unwrap();
    // What was compiled before needs no compiler.
    assert_eq!(ways(&plugins), [0, 3, 1]);
    allows(&plugins);
    let infos = plugins.list();
    let fourth = infos.iter().find(|info| info.name == "fourth").unwrap();
    assert_eq!(fourth.state, "refused");
    let why = fourth.error.as_ref().unwrap();
    assert!(why.contains("/does/not/exist cannot be started"), "{why}");
}
