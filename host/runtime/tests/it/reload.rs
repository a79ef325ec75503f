//! Replacing plugins while they serve.

mod missing;
mod rollback;
mod shadow;
mod shipped;
mod stages;

use crate::house::{Ask, House, PATIENCE, component_bytes, put, told, variant};
use holdfast_runtime::{PluginInfo, Verdict};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

fn micros(house: &House) -> i64 {
    house.quote().unwrap().total.micros
}

/// Waits for what other threads do.
fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never came");
        std::thread::yield_now();
    }
}

/// Told what to do, and given time however busy the machine is: not what swaps are about.
fn calm(deed: &str) -> String {
    format!("{}[limits]\nwall_ms = 60000\n", told(deed))
}

fn is_live(infos: &[PluginInfo], name: &str, generation: u64) -> bool {
    infos
        .iter()
        .any(|info| info.name == name && info.generation == generation && info.state == "live")
}

#[test]
fn what_lies_there_is_loaded_at_once() {
    let house = House::with(|dir| put(dir, "hostile-pricing", "price", &told("price-7")));
    assert_eq!(micros(&house), 7);
    let info = house.last("price");
    assert_eq!(
        (info.kind.as_str(), info.state.as_str(), info.generation),
        ("pricing", "live", 1)
    );
    assert_eq!(info.version, "0.1.0");
    assert_eq!(info.digest.len(), 64);
}

#[test]
fn a_folder_that_is_not_there_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let plugins = holdfast_runtime::Plugins::open(holdfast_runtime::PluginsConfig {
        dir: dir.path().join("a/b"),
        ..holdfast_runtime::PluginsConfig::default()
    })
    .unwrap();
    assert!(plugins.list().is_empty() && dir.path().join("a/b").is_dir());
}

#[test]
fn the_watcher_sees_what_comes_changes_and_goes() {
    let house = House::new();
    put(
        house.dir.path(),
        "hostile-pricing",
        "price",
        &told("price-1"),
    );
    let wait = |ready: &dyn Fn(&[PluginInfo]) -> bool| {
        assert!(
            house.plugins.wait_until(PATIENCE, ready),
            "{:?}",
            house.plugins.list()
        );
    };
    wait(&|infos| is_live(infos, "price", 1));
    assert_eq!(micros(&house), 1);
    // Settings alone.
    fs::write(house.dir.path().join("price.toml"), told("price-2")).unwrap();
    wait(&|infos| is_live(infos, "price", 2));
    assert_eq!(micros(&house), 2);
    fs::remove_file(house.dir.path().join("price.wasm")).unwrap();
    wait(&<[PluginInfo]>::is_empty);
    assert!(house.quote().is_err());
}

#[test]
fn a_slow_copy_is_taken_in_when_it_is_whole() {
    let house = House::new();
    let bytes = component_bytes("pricing-tiered");
    let path = house.dir.path().join("price.wasm");
    // Half a file, at rest for long enough to be looked at: it is refused, and harms nothing.
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(house.plugins.wait_until(PATIENCE, |infos| {
        infos.iter().any(|info| info.state == "refused")
    }));
    fs::write(&path, &bytes).unwrap();
    assert!(
        house
            .plugins
            .wait_until(PATIENCE, |infos| is_live(infos, "price", 1))
    );
    assert_eq!(house.plugins.list().len(), 1);
}

#[test]
fn a_bad_candidate_leaves_the_good_one() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    let wasm = house.dir.path().join("price.wasm");
    let mut broken = component_bytes("hostile-pricing");
    let middle = broken.len() / 2;
    broken[middle..].fill(0);
    let wrong_world = {
        // The export's name alone makes the world.
        let mut bytes = component_bytes("hostile-pricing");
        let (from, to) = (
            &b"holdfast:plugin/rating"[..],
            &b"holdfast:plugin/raking"[..],
        );
        while let Some(at) = bytes.windows(from.len()).position(|w| w == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    };
    for (bytes, said) in [
        (&b"garbage"[..], "no WebAssembly component"),
        (b"", "empty"),
        (b"\0asm\x01\0\0\0", "core module: build for wasm32-wasip2"),
        (&broken, "price.wasm"),
        (
            &wrong_world,
            "exports none of the worlds authorizer, pricing, payment, config",
        ),
        (&vec![0; 33 << 20], "may have"),
    ] {
        fs::write(&wasm, bytes).unwrap();
        house.plugins.rescan();
        let infos = house.plugins.list();
        assert_eq!(
            infos.iter().map(|i| i.state.as_str()).collect::<Vec<_>>(),
            ["live", "refused"]
        );
        let error = infos[1].error.as_ref().unwrap();
        assert!(error.contains(said), "{error}");
        assert_eq!(micros(&house), 7);
    }
    for (manifest, said) in [
        ("[settings", "price.toml"),
        ("[limits]\ncpu_ms = 0", "limits.cpu_ms"),
        ("[limit]", "limit"),
    ] {
        let info = house.install("hostile-pricing", "price", manifest);
        assert!(info.error.unwrap().contains(said));
        assert_eq!(micros(&house), 7);
    }
    let mended = house.install("hostile-pricing", "price", &told("price-8"));
    assert_eq!((mended.state.as_str(), micros(&house)), ("live", 8));
}

#[test]
fn a_function_that_this_host_does_not_have_is_named_before_anybody_calls_it() {
    // What a component built against a newer wit/ looks like: one getter has a name not known here.
    let known = b"[method]call.attribute-number";
    let mut newer = component_bytes("authorizer-quota");
    let mut renamed = 0;
    for at in 0..newer.len() - known.len() {
        if newer[at..].starts_with(known) {
            newer[at + known.len() - 6..at + known.len()].copy_from_slice(b"moment");
            renamed += 1;
        }
    }
    assert!(renamed > 0, "the component does not import the getter");
    let house = House::with(|dir| fs::write(dir.join("newer.wasm"), &newer).unwrap());
    let error = house.last("newer").error.unwrap();
    assert!(error.contains("call.attribute-moment"), "{error}");
    assert!(error.contains("this host does not have"), "{error}");
}

#[test]
fn an_import_from_outside_the_world_is_named() {
    let house = House::new();
    // The same length, so that the file stays whole.
    let mut bytes = component_bytes("authorizer-quota");
    let (from, to) = (&b"holdfast:plugin/log@"[..], &b"holdfast:plugin/net@"[..]);
    while let Some(at) = bytes.windows(from.len()).position(|w| w == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(house.dir.path().join("quota.wasm"), bytes).unwrap();
    house.plugins.rescan();
    let error = house.last("quota").error.unwrap();
    assert!(
        error.contains(
            "imports holdfast:plugin/net@1.0.0, which the authorizer world does not have"
        ),
        "{error}"
    );
}

#[test]
fn the_newest_pricing_file_is_live() {
    let house = House::new();
    let set_age = |name: &str, seconds: u64| {
        let file = fs::File::options()
            .write(true)
            .open(house.dir.path().join(format!("{name}.wasm")))
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
        house.plugins.rescan();
    };
    let states = || -> Vec<String> {
        let infos = house.plugins.list();
        infos.into_iter().map(|info| info.state).collect()
    };
    house.install("hostile-pricing", "a", &told("price-1"));
    house.install("hostile-pricing", "b", &told("price-2"));
    set_age("a", 1_000);
    set_age("b", 2_000);
    assert_eq!(
        (states(), micros(&house)),
        (vec!["standby".into(), "live".into()], 2)
    );
    set_age("a", 3_000);
    assert_eq!(
        (states(), micros(&house)),
        (vec!["live".into(), "standby".into()], 1)
    );
    set_age("b", 3_000);
    assert_eq!(
        (states(), micros(&house)),
        (vec!["standby".into(), "live".into()], 2)
    );
    fs::remove_file(house.dir.path().join("b.wasm")).unwrap();
    house.plugins.rescan();
    assert_eq!((states(), micros(&house)), (vec!["live".into()], 1));
}

#[test]
fn a_swap_under_load_fails_no_call() {
    const SWAPS: u8 = 5;
    let house = House::new();
    house.install("hostile-pricing", "price", &calm("price-1"));
    house.install("hostile-authorizer", "gate", &calm("allow"));
    let is_over = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    let load = || {
        let mut last = 1;
        while !is_over.load(Ordering::Relaxed) {
            let micros = micros(&house);
            assert!(micros >= last, "an older one after a newer one");
            last = micros;
            assert_eq!(Ask::new(&[]).of(&house.plugins).unwrap(), Verdict::Allow);
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(load);
        }
        for swap in 2..=SWAPS {
            let before = calls.load(Ordering::Relaxed);
            // New code and new settings for both, so all of it is done: compile, link, start, swap.
            for (name, deed) in [("price", format!("price-{swap}")), ("gate", "allow".into())] {
                let component = if name == "price" {
                    "hostile-pricing"
                } else {
                    "hostile-authorizer"
                };
                let beside = house.dir.path().join("new.tmp");
                fs::write(&beside, variant(component, swap)).unwrap();
                fs::rename(&beside, house.dir.path().join(format!("{name}.wasm"))).unwrap();
                fs::write(house.dir.path().join(format!("{name}.toml")), calm(&deed)).unwrap();
            }
            house.plugins.rescan();
            assert_eq!(house.last("price").state, "live");
            assert_eq!(micros(&house), i64::from(swap));
            wait_for(|| calls.load(Ordering::Relaxed) > before);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_change_of_settings_is_a_new_generation_of_the_same_component() {
    let house = House::new();
    let first = house.install("hostile-pricing", "price", &told("price-1"));
    let second = house.install("hostile-pricing", "price", &told("price-2"));
    assert_eq!(first.digest, second.digest);
    assert!(second.generation > first.generation);
    assert_eq!(micros(&house), 2);
}
