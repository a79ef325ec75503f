//! Every case of the hostile kit is answered as `plugins/hostile/kit.json` writes, and hurts nobody
//! else.

use crate::house::{
    House, digest, invoice, kit, passes_in_a_process_of_its_own, progress, told, variant,
};
use holdfast_runtime::Plugins;
use holdfast_runtime::attack::{Arena, Isolation};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn every_case_is_answered_as_written_by_a_shared_instance() {
    attack_all(Isolation::Warm);
}

#[test]
fn every_case_is_answered_as_written_by_an_instance_for_each_call() {
    attack_all(Isolation::Call);
}

fn attack_all(isolation: Isolation) {
    let kit = kit();
    let dir = tempfile::tempdir().unwrap();
    let arena = Arena::open(&kit, dir.path(), isolation).unwrap();
    let broken: Vec<String> = kit
        .cases()
        .iter()
        .map(|case| arena.attack(&kit, case).unwrap())
        .filter(|attacked| !attacked.is_held)
        .map(|attacked| format!("{attacked:#?}"))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Other tests would move this process's memory, so the bomb has one to itself.
#[test]
fn a_compressed_bomb_takes_no_memory() {
    passes_in_a_process_of_its_own("kit::a_bomb_in_a_process_of_its_own");
}

/// The bomb unpacks to 256 MiB. Another answer comes first, for all that a call takes anyway.
#[test]
#[ignore = "run by a_compressed_bomb_takes_no_memory"]
fn a_bomb_in_a_process_of_its_own() {
    const GROWTH_KIB_MAX: u64 = 64 * 1024;
    let kit = kit();
    let dir = tempfile::tempdir().unwrap();
    let arena = Arena::open(&kit, dir.path(), Isolation::Call).unwrap();
    let attack = |name: &str| {
        let mut cases = kit.cases().iter().filter(|case| case.name == name);
        let attacked = arena.attack(&kit, cases.next().unwrap()).unwrap();
        assert!(attacked.is_held, "{attacked:#?}");
        resident_kib_most()
    };
    for kind in ["payment", "config"] {
        let before = attack(&format!(
            "{kind}: a name with a metadata address beside a good one"
        ));
        for bomb in [
            "a compressed bomb in an answer",
            "a compressed bomb that is too large as it comes",
        ] {
            let growth = attack(&format!("{kind}: {bomb}")) - before;
            assert!(growth <= GROWTH_KIB_MAX, "{kind}: {bomb}: {growth} KiB");
        }
    }
}

/// KiB of memory that this process has had at most.
fn resident_kib_most() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

/// What the kit's own server keeps waiting waits alone: a fair payment plugin, on the same threads,
/// collects meanwhile.
#[test]
fn others_collect_while_a_hostile_plugin_is_kept_waiting() {
    let kit = kit();
    let dir = tempfile::tempdir().unwrap();
    let arena = Arena::open(&kit, dir.path(), Isolation::Warm).unwrap();
    let cases = kit.cases().iter();
    let slow: Vec<_> = cases
        .filter(|case| case.calls_out() && case.name.starts_with("payment: a slow body"))
        .collect();
    assert_eq!(slow.len(), 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    std::thread::scope(|scope| {
        let attack = scope.spawn(|| arena.attack(&kit, slow[0]).unwrap());
        let (invoice, progress) = (invoice(), progress());
        let mut collected = 0;
        while !attack.is_finished() {
            if !is_busy(arena.plugins(), "hostile") {
                std::thread::yield_now();
                continue;
            }
            let step = arena.plugins().collect("fair-pay", &invoice, &progress);
            runtime.block_on(step).unwrap();
            collected += u32::from(is_busy(arena.plugins(), "hostile"));
        }
        let attacked = attack.join().unwrap();
        assert!(attacked.is_held, "{attacked:#?}");
        assert!(collected > 0, "nothing was collected beside it");
    });
}

/// Whether a plugin has a call that runs.
fn is_busy(plugins: &Plugins, name: &str) -> bool {
    let collectors = plugins.metrics();
    let families = collectors.iter().flat_map(|collector| collector.collect());
    families
        .filter(|family| family.name() == "holdfast_plugin_pool_state_count")
        .flat_map(|family| family.get_metric().to_vec())
        .filter(|series| {
            let has = |value: &str| series.get_label().iter().any(|pair| pair.value() == value);
            has(name) && has("busy")
        })
        .any(|series| series.get_gauge().get_value() > 0.0)
}

/// Somebody writes over a file in place, in pieces, again and again, while the host reads it.
#[test]
fn a_file_that_is_written_while_it_is_read_is_taken_in_whole_or_not_at_all() {
    const VERSIONS: u8 = 40;
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    let path = house.dir.path().join("price.wasm");
    let versions: Vec<Vec<u8>> = (0..VERSIONS)
        .map(|mark| variant("hostile-pricing", mark))
        .collect();
    let whole: Vec<String> = versions.iter().map(|bytes| digest(bytes)).collect();
    let first = house.last("price").digest;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for bytes in &versions {
                let mut file = File::create(&path).unwrap();
                for piece in bytes.chunks(bytes.len() / 20 + 1) {
                    file.write_all(piece).unwrap();
                    std::thread::yield_now();
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
        while !is_over.load(Ordering::SeqCst) {
            house.plugins.rescan();
            let infos = house.plugins.list();
            let live = infos.iter().find(|info| info.state == "live").unwrap();
            assert!(live.digest == first || whole.contains(&live.digest));
            assert_eq!(house.quote().unwrap().total.micros, 7);
        }
    });
    house.plugins.rescan();
    let infos = house.plugins.list();
    assert_eq!(infos.len(), 1, "{infos:?}");
    assert_eq!(Some(&infos[0].digest), whole.last());
}
