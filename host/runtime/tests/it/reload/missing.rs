//! What served before a restart and cannot be loaded after it: nothing is answered without it.

use crate::house::{Ask, put, told};
use holdfast_model::ErrorKind;
use holdfast_model::usage::Operations;
use holdfast_runtime::{PluginError, Plugins, PluginsConfig, QuoteCall, Trust, Verdict};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// A host that can be started again, on other terms.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    /// Starts; one that requires signatures refuses all that is there.
    fn start(&self, is_required: bool) -> Plugins {
        Plugins::open(PluginsConfig {
            dir: self.folder(),
            state: Some(self.0.path().join("plugins-state")),
            trust: Trust {
                is_required,
                ..Trust::default()
            },
            ..PluginsConfig::default()
        })
        .unwrap()
    }

    fn put(&self, plugins: &Plugins, component: &str, name: &str, deed: &str) {
        put(&self.folder(), component, name, &told(deed));
        plugins.rescan();
    }
}

fn ask(plugins: &Plugins) -> Result<Verdict, PluginError> {
    Ask::new(&[]).of(plugins)
}

fn price(plugins: &Plugins) -> Result<i64, PluginError> {
    let account = crate::house::account();
    let quote = plugins.quote(&QuoteCall {
        account: &account,
        tenant: account.tenant(),
        attributes: &BTreeMap::new(),
        usage: &crate::house::usage(1, Operations::default()),
    })?;
    Ok(quote.total.micros)
}

fn is_missing<T: std::fmt::Debug>(answer: &Result<T, PluginError>, plugin: &str) -> bool {
    let Err(error @ PluginError::Open { plugin: which, why }) = answer else {
        return false;
    };
    which == plugin && why.contains("before the restart") && error.kind() == ErrorKind::Unavailable
}

#[test]
fn nothing_is_allowed_without_an_authorizer_that_served_before_a_restart() {
    let host = Host::new();
    let plugins = host.start(false);
    host.put(&plugins, "hostile-authorizer", "gate", "allow");
    assert_eq!(ask(&plugins).unwrap(), Verdict::Allow);
    drop(plugins);

    // Twice: what is missing at one start is not forgotten by the next.
    for _ in 0..2 {
        let plugins = host.start(true);
        assert!(plugins.has_authorizers());
        let answer = ask(&plugins);
        assert!(is_missing(&answer, "gate"), "{answer:?}");
        let [info] = plugins.list().try_into().unwrap();
        assert_eq!(
            (info.kind.as_str(), info.state.as_str()),
            ("authorizer", "refused")
        );
        assert!(info.note.unwrap().contains("served as authorizer"));
    }
    let plugins = host.start(false);
    assert_eq!(ask(&plugins).unwrap(), Verdict::Allow);
    drop(plugins);

    // Whoever takes its files away means it.
    let plugins = host.start(true);
    plugins.remove("gate").unwrap();
    assert!(!plugins.has_authorizers());
    assert_eq!(ask(&plugins).unwrap(), Verdict::Allow);
}

#[test]
fn an_authorizer_whose_file_cannot_be_read_serves_as_it_did() {
    let host = Host::new();
    let plugins = host.start(false);
    host.put(&plugins, "hostile-authorizer", "gate", "allow");
    drop(plugins);
    // A manifest that is no text is refused before the package is one.
    std::fs::write(host.folder().join("gate.toml"), [0xff, 0xfe]).unwrap();
    let plugins = host.start(false);
    assert_eq!(ask(&plugins).unwrap(), Verdict::Allow);
    let states: Vec<_> = plugins.list().into_iter().map(|info| info.state).collect();
    assert_eq!(states, ["live", "refused"]);
    drop(plugins);
    // Nor can what was kept: then nothing is allowed.
    let plugins = host.start(true);
    let answer = ask(&plugins);
    assert!(is_missing(&answer, "gate"), "{answer:?}");
}

#[test]
fn one_that_never_served_keeps_nobody_from_anything() {
    let host = Host::new();
    let plugins = host.start(true);
    host.put(&plugins, "hostile-authorizer", "gate", "allow");
    assert_eq!(plugins.list()[0].state, "refused");
    assert_eq!(
        plugins.list()[0].kind,
        "authorizer",
        "though nobody vouches for it"
    );
    assert!(!plugins.has_authorizers());
}

#[test]
fn no_other_price_takes_the_place_of_one_that_cannot_be_loaded() {
    let host = Host::new();
    let plugins = host.start(false);
    host.put(&plugins, "hostile-pricing", "old", "price-7");
    host.put(&plugins, "hostile-pricing", "young", "price-8");
    assert_eq!(price(&plugins).unwrap(), 8);
    drop(plugins);
    let kept = host.0.path().join("plugins-state/packages");
    for entry in std::fs::read_dir(kept).unwrap() {
        std::fs::write(entry.unwrap().path().join("plugin.wasm"), "spoilt").unwrap();
    }
    std::fs::write(host.folder().join("young.wasm"), "spoilt").unwrap();

    let plugins = host.start(false);
    let answer = price(&plugins);
    assert!(is_missing(&answer, "young"), "{answer:?}");
    // One that is chosen anew prices, and goes on doing so.
    host.put(&plugins, "hostile-pricing", "new", "price-9");
    assert_eq!(price(&plugins).unwrap(), 9);
    drop(plugins);
    assert_eq!(price(&host.start(false)).unwrap(), 9);
}
