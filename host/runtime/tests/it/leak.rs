//! A thousand rounds of each kind of misbehaviour leave nothing behind: no instance, no memory, no
//! thread, no open file.

use crate::house::{
    Ask, House, component_bytes, gauge, invoice, passes_in_a_process_of_its_own, progress, told,
};
use holdfast_runtime::Snapshot;
use std::fs;
use std::time::Duration;

/// Rounds of each deed. One page lost in each would be 4 MiB.
const ROUNDS: usize = 1_000;

/// Stopped soon; neither taken out of service for its failures nor taken back for them.
const CALM: &str = "[limits]\ncpu_ms = 1\n[breaker]\nfailures = 1000000\n[promote]\nwatch_ms = 0\n";

/// Rounds before the first look at the memory: allocators and pools take what they keep.
const WARM_UP: usize = 100;

/// What the resident memory may grow by in the rounds of one deed: less than a page lost in each
/// comes to. What allocators keep, and what warm instances touch, moves within it.
const GROWTH_BYTES_MAX: usize = 3 << 20;

/// How often the rounds are repeated if the memory grows more: fresh instances come to lie in
/// places of the pool that nobody has touched yet, of which there are only so many. What is lost in
/// each round is lost in each repetition.
const REPETITIONS: usize = 8;

/// Deeds in a call.
const IN_CALLS: &[&str] = &[
    "trap",
    "exit",
    "panic",
    "loop",
    "memory",
    "stack",
    "wide-stack",
    "handles",
    "giant-string",
    "gigabyte-string",
    "not-utf8",
    "ten-thousand-lines",
    "wrong-sum",
    "rating-error",
];

/// Deeds at the load, after which the good one before goes on.
const AT_LOAD: &[&str] = &["init-error", "init-trap", "init-memory", "init-error-long"];

/// Deeds of authorizers.
const AT_THE_GATE: &[&str] = &[
    "trap",
    "call-storm",
    "handles",
    "giant-message",
    "log-flood",
];

/// Deeds of jobs.
const IN_JOBS: &[&str] = &[
    "trap",
    "memory",
    "handles",
    "call-storm",
    "call-out",
    "gigabyte-reference",
    "wrong-amount",
];

/// Deeds of those that configure.
const IN_CONFIGURATION: &[&str] = &[
    "trap",
    "memory",
    "handles",
    "call-storm",
    "log-flood",
    "million-entries",
    "gigabyte-value",
    "check-trap",
];

/// Other tests would move this process's memory, so the rounds have one to themselves.
#[test]
fn a_thousand_rounds_of_each_deed_leave_nothing_behind() {
    passes_in_a_process_of_its_own("leak::rounds_in_a_process_of_their_own");
}

#[test]
#[ignore = "run by a_thousand_rounds_of_each_deed_leave_nothing_behind"]
fn rounds_in_a_process_of_their_own() {
    let house = House::new();
    for (deed, isolation) in IN_CALLS
        .iter()
        .flat_map(|deed| [(deed, "warm"), (deed, "call")])
    {
        // Little of everything, so that each deed comes to its end soon.
        let limits = "[limits]\ncpu_ms = 1\nmemory_bytes = 3000000\n";
        let manifest = format!("isolation = \"{isolation}\"\n{}", manifest(deed, limits));
        house.install("hostile-pricing", "price", &manifest);
        assert_eq!(house.last("price").state, "live", "{deed}");
        rounds(&house, &format!("{deed}, {isolation}"), || {
            assert!(house.quote().is_err(), "{deed}");
        });
    }
    for deed in AT_LOAD {
        install(&house, "price-7");
        rounds(&house, deed, || {
            install(&house, deed);
            assert_eq!(house.last("price").state, "refused", "{deed}");
            assert_eq!(house.quote().unwrap().total.micros, 7);
        });
    }
    for deed in AT_THE_GATE {
        let manifest = format!("{}{CALM}", told(deed));
        assert_eq!(
            house.install("hostile-authorizer", "gate", &manifest).state,
            "live"
        );
        rounds(&house, deed, || {
            let answer = Ask::new(&[]).of(&house.plugins);
            assert!(answer.is_err() || ends(deed), "{deed}");
        });
    }
    let waiter = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for deed in IN_JOBS {
        let manifest = format!("{}{CALM}", told(deed));
        let info = house.install("hostile-payment", "pay", &manifest);
        assert_eq!(info.state, "live", "{deed}: {info:?}");
        rounds(&house, deed, || {
            let collected = waiter.block_on(house.plugins.collect("pay", &invoice(), &progress()));
            assert!(collected.is_err(), "{deed}");
        });
    }
    rounds_of_configuration(&house);
    install(&house, "price-7");
    let wasm = house.dir.path().join("price.wasm");
    let whole = component_bytes("hostile-pricing");
    let mut kept = 0;
    rounds(&house, "truncated files", || {
        kept = (kept + 61) % whole.len();
        fs::write(&wasm, &whole[..kept]).unwrap();
        house.plugins.rescan();
        assert_eq!(house.last("price").state, "refused", "{kept} bytes");
        assert_eq!(house.quote().unwrap().total.micros, 7);
    });
    let mut price = 0;
    rounds(&house, "reloads", || {
        price += 1;
        install(&house, &format!("price-{price}"));
        assert_eq!(house.quote().unwrap().total.micros, price);
    });
}

fn rounds_of_configuration(house: &House) {
    for deed in IN_CONFIGURATION {
        let manifest = format!("{}{CALM}", told(deed));
        let info = house.install("hostile-config", "configure", &manifest);
        assert_eq!(info.state, "live", "{deed}: {info:?}");
        rounds(house, deed, || {
            let current = Snapshot::default();
            let supplied = house.plugins.supply(&current).map(drop);
            let checked =
                supplied.and_then(|()| house.plugins.check_configuration(&current, None).map(drop));
            assert!(checked.is_err() || ends(deed), "{deed}");
        });
    }
}

/// Whether the deed comes to its end by itself: a quick processor tells ten thousand lines in time.
fn ends(deed: &str) -> bool {
    deed == "log-flood"
}

/// Neither taken out of service for its failures nor taken back for them.
fn manifest(deed: &str, limits: &str) -> String {
    let calm = "[breaker]\nfailures = 1000000\n[promote]\nwatch_ms = 0\n";
    format!("{}{limits}{calm}", told(deed))
}

fn install(house: &House, deed: &str) {
    house.install("hostile-pricing", "price", &manifest(deed, ""));
}

/// Repeats, and compares what there is before with what there is after.
fn rounds(house: &House, what: &str, mut round: impl FnMut()) {
    for _ in 0..WARM_UP {
        round();
    }
    let standing = instances(house);
    let (threads, files) = (entries("/proc/self/task"), entries("/proc/self/fd"));
    let growths = (0..REPETITIONS).map(|_| {
        let before = resident_bytes();
        for _ in 0..ROUNDS {
            round();
        }
        resident_bytes().saturating_sub(before)
    });
    // Ends with the first repetition that leaves the memory as it was.
    let grown: Vec<usize> = growths
        .take_while(|bytes| *bytes > GROWTH_BYTES_MAX)
        .collect();
    assert!(
        grown.len() < REPETITIONS,
        "{what}: grew in each {ROUNDS} rounds, by {grown:?} bytes"
    );
    // What is dropped in the background may take a moment.
    let patience = Duration::from_secs(10);
    crate::house::wait_for(patience, || instances(house) <= standing.max(1.0));
    crate::house::wait_for(patience, || entries("/proc/self/task") <= threads);
    crate::house::wait_for(patience, || entries("/proc/self/fd") <= files);
}

/// How many entries a folder has.
fn entries(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn instances(house: &House) -> f64 {
    gauge(&house.plugins, "holdfast_plugin_instances")
}

/// What of this process is in memory.
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
