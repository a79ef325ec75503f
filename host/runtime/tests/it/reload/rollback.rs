//! Going back: by itself, by hand, and after a restart.

use crate::house::{Ask, House, PATIENCE, counted, invoice, progress, put, told, usage};
use holdfast_model::ErrorKind;
use holdfast_model::usage::Operations;
use holdfast_runtime::{PluginError, Plugins, PluginsConfig, QuoteCall, Snapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// Asks until the plugin has gone back; how often it failed before.
fn until_back(house: &House) -> u64 {
    let start = Instant::now();
    let mut failed = 0;
    while house.last("price").state != "refused" {
        failed += u64::from(house.quote().is_err());
        assert!(start.elapsed() < PATIENCE, "{:?}", house.plugins.list());
    }
    failed
}

#[test]
fn a_promotion_that_only_fails_goes_back_by_itself() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    let bad = house.install("hostile-pricing", "price", &told("trap"));
    assert_eq!((bad.state.as_str(), bad.generation), ("live", 2));
    let failed = until_back(&house);
    assert!(failed >= 5, "{failed}");
    assert_eq!(house.quote().unwrap().total.micros, 7);
    let infos = house.plugins.list();
    assert_eq!((infos[0].generation, infos[0].state.as_str()), (1, "live"));
    let note = infos[0].note.as_ref().unwrap();
    assert!(note.contains("rolled back from generation 2"), "{note}");
    let why = infos[1].error.as_ref().unwrap();
    assert!(why.contains("failed 5 times in a row"), "{why}");
    assert_eq!(
        counted(&house.plugins, "holdfast_plugin_rollbacks_total", "watch"),
        1
    );
    // Neither a look at the folder nor time brings it back; another file does.
    house.plugins.rescan();
    assert_eq!(house.quote().unwrap().total.micros, 7);
    house.install("hostile-pricing", "price", &told("price-8"));
    assert_eq!(house.quote().unwrap().total.micros, 8);
    assert_eq!(house.plugins.list().len(), 1);
}

#[test]
fn a_promotion_that_fails_more_often_goes_back_by_itself() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    for _ in 0..50 {
        house.quote().unwrap();
    }
    // An error that it answers is none of a breaker's, and still no price.
    house.install("hostile-pricing", "price", &told("rating-error"));
    assert!(until_back(&house) >= 20);
    let why = house.last("price").error.unwrap();
    assert!(why.contains("max_error_percent"), "{why}");
    assert_eq!(house.quote().unwrap().total.micros, 7);
}

#[test]
fn a_promotion_that_takes_longer_goes_back_by_itself() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    // Times are compared once there are so many of each.
    for _ in 0..200 {
        house.quote().unwrap();
    }
    let slow = house.install("hostile-pricing", "price", &told("slow"));
    assert_eq!((slow.state.as_str(), slow.generation), ("live", 2));
    assert_eq!(until_back(&house), 0, "it answers, if late");
    let why = house.last("price").error.unwrap();
    assert!(why.contains("max_slowdown"), "{why}");
    let infos = house.plugins.list();
    assert_eq!((infos[0].generation, infos[0].state.as_str()), (1, "live"));
}

#[test]
fn without_a_watch_nothing_goes_back_and_the_breaker_says_so() {
    let house = House::new();
    house.install("hostile-authorizer", "gate", &told("allow"));
    let manifest = format!(
        "{}[promote]\nwatch_ms = 0\n[breaker]\nfailures = 3\nopen_ms = 3600000\n",
        told("trap")
    );
    house.install("hostile-authorizer", "gate", &manifest);
    let ask = || Ask::new(&[]).of(&house.plugins);
    for _ in 0..3 {
        assert!(matches!(ask(), Err(PluginError::Failed { .. })));
    }
    let open = ask().unwrap_err();
    assert_eq!(open.kind(), ErrorKind::Unavailable);
    let said = open.to_string();
    assert!(said.contains("failed 3 times in a row"), "{said}");
    assert!(said.contains("trapped"), "{said}");
    assert!(
        house
            .plugins
            .wait_until(PATIENCE, |infos| infos[0].state == "open")
    );
    let told = house.last("gate").error.unwrap();
    assert!(told.contains("out of service"), "{told}");
}

#[test]
fn a_breaker_lets_a_mended_plugin_in_again() {
    let house = House::new();
    let manifest = format!("{}[breaker]\nfailures = 1\nopen_ms = 1\n", told("trap"));
    house.install("hostile-pricing", "price", &manifest);
    let start = Instant::now();
    let mut seen = [0; 2];
    // It is tried again and again, and turned away in between.
    while seen.contains(&0) {
        match house.quote() {
            Err(PluginError::Failed { .. }) => seen[0] += 1,
            Err(PluginError::Open { .. }) => seen[1] += 1,
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < PATIENCE, "{seen:?}");
    }
    let start = Instant::now();
    while !matches!(house.quote(), Err(PluginError::Failed { .. })) {
        assert!(start.elapsed() < PATIENCE, "it was never tried again");
    }
}

/// A host that can be started again.
struct Host {
    root: TempDir,
}

impl Host {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    fn start(&self) -> Plugins {
        Plugins::open(PluginsConfig {
            dir: self.folder(),
            state: Some(self.root.path().join("plugins-state")),
            ..PluginsConfig::default()
        })
        .unwrap()
    }

    fn put(&self, plugins: &Plugins, deed: &str, rule: &str) {
        let manifest = format!("{}[promote]\n{rule}\n", told(deed));
        put(&self.folder(), "hostile-pricing", "price", &manifest);
        plugins.rescan();
    }
}

fn micros(plugins: &Plugins) -> i64 {
    let account = crate::house::account();
    let call = QuoteCall {
        account: &account,
        tenant: account.tenant(),
        attributes: &BTreeMap::new(),
        usage: &usage(1, Operations::default()),
    };
    plugins.quote(&call).unwrap().total.micros
}

#[test]
fn a_restart_forgets_no_promotion_and_no_rollback() {
    let host = Host::new();
    let plugins = host.start();
    host.put(&plugins, "price-7", "");
    host.put(&plugins, "price-8", "");
    assert_eq!(micros(&plugins), 8);
    plugins.rollback("price").unwrap();
    assert_eq!(micros(&plugins), 7);
    drop(plugins);

    // The folder holds 8, and 7 is what serves.
    let plugins = host.start();
    assert_eq!(micros(&plugins), 7);
    let refused = plugins.list().into_iter().next_back().unwrap();
    assert_eq!(refused.state, "refused");
    assert!(refused.error.unwrap().contains("rolled back by hand"));
    // A candidate that waits is not promoted by a restart, and still waits.
    host.put(&plugins, "price-9", "by = \"hand\"");
    assert_eq!(micros(&plugins), 7);
    drop(plugins);
    let plugins = host.start();
    assert_eq!(micros(&plugins), 7);
    let candidate = plugins.describe("price").unwrap().generations[0].generation;
    plugins.promote("price", Some(candidate)).unwrap();
    assert_eq!(micros(&plugins), 9);
    drop(plugins);

    // What was promoted by hand serves at once, and can still be gone back from.
    let plugins = host.start();
    assert_eq!(micros(&plugins), 9);
    plugins.rollback("price").unwrap();
    assert_eq!(micros(&plugins), 7);
    drop(plugins);
    let plugins = host.start();
    assert_eq!(micros(&plugins), 7);

    // What goes from the folder is gone, whatever was kept of it.
    std::fs::remove_file(host.folder().join("price.wasm")).unwrap();
    plugins.rescan();
    drop(plugins);
    assert!(host.start().list().is_empty());
    let kept = host.root.path().join("plugins-state/packages");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 0);
}

#[test]
fn what_did_not_pass_its_shadow_is_not_tried_again_by_a_restart() {
    let host = Host::new();
    let plugins = host.start();
    host.put(&plugins, "price-7", "");
    let rule = "by = \"shadow\"\nshadow_calls = 1000000\nmax_differences = 0";
    host.put(&plugins, "price-9", rule);
    let is_refused = |plugins: &Plugins| plugins.list().iter().any(|info| info.state == "refused");
    let start = Instant::now();
    while !is_refused(&plugins) {
        assert_eq!(micros(&plugins), 7);
        assert!(start.elapsed() < PATIENCE, "{:?}", plugins.list());
    }
    drop(plugins);
    let plugins = host.start();
    assert_eq!(micros(&plugins), 7);
    let refused = plugins.list().into_iter().next_back().unwrap();
    assert_eq!(refused.state, "refused");
    let why = refused.error.unwrap();
    assert!(why.contains("max_differences allows 0"), "{why}");
    plugins.rescan();
    assert_eq!(plugins.describe("price").unwrap().generations.len(), 1);
    // A hand can still have it, and another file is tried.
    host.put(&plugins, "price-8", "");
    assert_eq!(micros(&plugins), 8);
}

#[test]
fn a_storm_of_reloads_under_load_fails_no_call_and_leaves_nothing_behind() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let house = House::new();
    // However busy the machine is meanwhile: this is about reloads alone.
    let calm = |deed: &str| {
        format!(
            "{}[promote]\nwatch_ms = 0\n[limits]\nwall_ms = 60000\n",
            told(deed)
        )
    };
    house.install("hostile-pricing", "price", &calm("price-1"));
    house.install("hostile-authorizer", "gate", &calm("allow"));
    house.install("hostile-payment", "pay", &calm("nothing"));
    house.install("hostile-config", "configure", &calm("nothing"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    house.quote().unwrap();
                    Ask::new(&[]).of(&house.plugins).unwrap();
                }
            });
        }
        scope.spawn(|| {
            let waiter = tokio::runtime::Builder::new_current_thread().build();
            let (waiter, invoice, progress) = (waiter.unwrap(), invoice(), progress());
            while !is_over.load(Ordering::Relaxed) {
                let step = house.plugins.collect("pay", &invoice, &progress);
                waiter.block_on(step).unwrap();
                house.plugins.supply(&Snapshot::default()).unwrap();
            }
        });
        for round in 2..60 {
            // Settings alone, so that most of the time goes into swapping. Every third one is bad.
            let deed = match round % 3 {
                0 => "init-error".to_owned(),
                _ => format!("price-{round}"),
            };
            house.install("hostile-pricing", "price", &calm(&deed));
            let gate = format!("{}#{round}", calm("allow"));
            house.install("hostile-authorizer", "gate", &gate);
            let job = format!("{}#{round}", calm("nothing"));
            house.install("hostile-payment", "pay", &job);
            house.install("hostile-config", "configure", &job);
            if round % 10 == 0 {
                house.plugins.rollback("price").unwrap();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let start = Instant::now();
    while counted(&house.plugins, "holdfast_plugin_draining_generations", "") > 0 {
        house.quote().unwrap();
        assert!(start.elapsed() < PATIENCE, "generations never drained");
    }
    // What serves and what can be gone back to; no series of the others is left.
    for name in ["gate", "pay", "configure"] {
        let generations = house.plugins.describe(name).unwrap().generations;
        assert_eq!(generations.len(), 2, "{generations:?}");
    }
}
