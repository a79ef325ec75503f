//! A thousand rounds of each kind of misbehaviour leave nothing behind: no instance, no memory, no
//! thread, no open file.
//!
//! The cases are those of the hostile kit. What is called is called a thousand times; what is to be
//! refused, and what is about how a file comes in, comes in a thousand times. A deed that several
//! kinds have is done by them in turns.

use crate::house::{
    House, PATIENCE, component_bytes, counted, gauge, kit, passes_in_a_process_of_its_own, told,
    wait_for,
};
use holdfast_runtime::Plugins;
use holdfast_runtime::attack::{Arena, Case, Isolation, Kit};
use std::collections::BTreeMap;
use std::fs;

/// Rounds of each deed. One page lost in each would be 4 MiB.
const ROUNDS: usize = 1_000;

/// Of so many rounds, one is gone through before the first look at the memory: allocators and pools
/// take what they keep.
const WARM_UP: usize = 10;

/// What the resident memory may grow by in the rounds of one deed: less than a page lost in each
/// comes to. What allocators keep, and what warm instances touch, moves within it.
const GROWTH_BYTES_MAX: usize = 3 << 20;

/// How often the rounds are repeated if the memory grows more: fresh instances come to lie in
/// places of the pool that nobody has touched yet, of which there are only so many. What is lost in
/// each round is lost in each repetition.
const REPETITIONS: usize = 8;

/// Cases with fewer rounds, by what is in their names, and why.
const FEWER: &[(&str, usize)] = &[
    // Stopped after half a second of the processor, which nobody can shorten.
    ("an endless loop in init", 4),
    ("an endless loop in needs", 4),
    ("an endless loop in describe", 4),
    ("an endless loop at the start", 4),
    // Each round is forty reloads, or twenty looks at a file.
    ("a storm of reloads", 25),
    ("written in pieces", 50),
    // Each round is two thousand calls of the host, or ten thousand lines.
    ("more refused calls than it may hold handles", 10),
    ("a flood of log lines", 100),
    // Each round moves a good part of a megabyte, or more.
    ("a compressed bomb", 250),
    ("of two mebibytes", 250),
    // As any loop, but for the engine.
    ("on a stack of another size", 250),
];

/// Limits with which a case is soon at its end, by what is in its name; the first that is found.
const SHORT: &[(&str, &[(&str, i64)])] = &[
    ("an endless loop", &[("cpu_ms", 1)]),
    ("a storm of calls", &[("cpu_ms", 1)]),
    ("says nothing", &[("wall_ms", 5)]),
    ("a body that stalls", &[("wall_ms", 5)]),
    ("a slow body", &[("wall_ms", 5)]),
    ("an endless body", &[("egress_bytes", 20_000)]),
    // As much as a fair plugin needs, and as fast as it comes.
    (
        "a compressed bomb",
        &[("egress_bytes_per_second", 1_000_000_000)],
    ),
    (" bomb", &[("memory_bytes", 3_000_000)]),
    ("a million", &[("memory_bytes", 3_000_000)]),
    ("of a gigabyte", &[("memory_bytes", 3_000_000)]),
];

/// Other tests would move this process's memory, so the rounds have one to themselves.
#[test]
fn a_thousand_calls_of_each_deed_leave_nothing_behind() {
    passes_in_a_process_of_its_own("leak::calls_in_a_process_of_their_own");
}

#[test]
fn a_thousand_files_of_each_kind_leave_nothing_behind() {
    passes_in_a_process_of_its_own("leak::files_in_a_process_of_their_own");
}

#[test]
#[ignore = "run by a_thousand_calls_of_each_deed_leave_nothing_behind"]
fn calls_in_a_process_of_their_own() {
    let kit = kit();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let warm = Arena::open(&kit, dirs[0].path(), Isolation::Warm).unwrap();
    let fresh = Arena::open(&kit, dirs[1].path(), Isolation::Call).unwrap();
    for cases in deeds(&kit, |case| !comes_in_each_time(case)) {
        // Jobs have an instance of their own for each call anyway.
        let is_hot = |case: &&Case| ["pricing", "authorizer"].contains(&kind(case));
        let of_warm = cases.iter().map(|case| (&warm, *case));
        let of_fresh = cases.iter().filter(|case| is_hot(case));
        let all = of_warm.chain(of_fresh.map(|case| (&fresh, *case)));
        rounds_of(&kit, &[&warm, &fresh], &all.collect::<Vec<_>>());
    }
}

#[test]
#[ignore = "run by a_thousand_files_of_each_kind_leave_nothing_behind"]
fn files_in_a_process_of_their_own() {
    let kit = kit();
    let dir = tempfile::tempdir().unwrap();
    let arena = Arena::open(&kit, dir.path(), Isolation::Warm).unwrap();
    for cases in deeds(&kit, comes_in_each_time) {
        let all: Vec<_> = cases.iter().map(|case| (&arena, *case)).collect();
        rounds_of(&kit, &[&arena], &all);
    }
    drop(arena);
    let house = House::new();
    rounds_of_what_shadows(&house);
    rounds_of_what_is_cut_off(&house);
    let mut price = 0;
    rounds(&[&house.plugins], "reloads", ROUNDS, |many| {
        for _ in 0..many {
            price += 1;
            install(&house, &format!("price-{price}"), "");
            assert_eq!(house.quote().unwrap().total.micros, price);
        }
    });
}

/// Whether a case is about how it comes in, and not about its calls.
fn comes_in_each_time(case: &Case) -> bool {
    case.is_to_be_refused() || kind(case) == "file"
}

/// What stands before the colon in a case's name.
fn kind(case: &Case) -> &str {
    case.name.split_once(": ").unwrap().0
}

/// The kit's cases of which something is so, those with one deed of several kinds together.
fn deeds(kit: &Kit, is_so: impl Fn(&Case) -> bool) -> Vec<Vec<&Case>> {
    let mut deeds: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in kit.cases().iter().filter(|case| is_so(case)) {
        let (_, deed) = case.name.split_once(": ").unwrap();
        deeds.entry(deed).or_default().push(case);
    }
    assert!(deeds.len() > 40, "{}", deeds.len());
    deeds.into_values().collect()
}

/// Goes through cases of one deed, each of which has its share of the rounds.
fn rounds_of(kit: &Kit, arenas: &[&Arena], cases: &[(&Arena, &Case)]) {
    let (_, first) = cases.first().unwrap();
    let name = &first.name;
    let fewer = FEWER.iter().find(|(part, _)| name.contains(part));
    let many = fewer.map_or(ROUNDS, |(_, rounds)| *rounds);
    let plugins: Vec<&Plugins> = arenas.iter().map(|arena| arena.plugins()).collect();
    rounds(&plugins, name, many, |many| {
        for (arena, case) in cases {
            let short = SHORT.iter().find(|(part, _)| case.name.contains(part));
            let limits = short.map_or(&[][..], |(_, limits)| limits);
            let mut siege = arena.besiege(kit, case, limits).unwrap();
            for _ in 0..many.div_ceil(cases.len()) {
                let wrong = siege.round().unwrap();
                assert_eq!(wrong, None, "{}", case.name);
            }
        }
    });
}

/// A candidate runs beside what serves, and is dropped for the next.
fn rounds_of_what_shadows(house: &House) {
    install(house, "price-7", "");
    let compared = || {
        counted(
            &house.plugins,
            "holdfast_plugin_shadow_calls_total",
            "price",
        )
    };
    for deed in ["price-9", "trap"] {
        let mut round = 0;
        let what = format!("{deed} in the shadow");
        rounds(&[&house.plugins], &what, ROUNDS / 2, |many| {
            for _ in 0..many {
                round += 1;
                let before = compared();
                install(house, deed, &format!("by = \"hand\"\n# {round}\n"));
                assert_eq!(house.quote().unwrap().total.micros, 7);
                wait_for(PATIENCE, || compared() > before);
            }
        });
    }
}

/// Files that end at each of many places.
fn rounds_of_what_is_cut_off(house: &House) {
    install(house, "price-7", "");
    let wasm = house.dir.path().join("price.wasm");
    let whole = component_bytes("hostile-pricing");
    let mut kept = 0;
    rounds(&[&house.plugins], "truncated files", ROUNDS, |many| {
        for _ in 0..many {
            kept = (kept + 61) % whole.len();
            fs::write(&wasm, whole.get(..kept).unwrap()).unwrap();
            house.plugins.rescan();
            assert_eq!(house.last("price").state, "refused", "{kept} bytes");
            assert_eq!(house.quote().unwrap().total.micros, 7);
        }
    });
}

/// Neither taken out of service for its failures nor taken back for them.
fn install(house: &House, deed: &str, promotion: &str) {
    let calm = "[limits]\nmemory_bytes = 3000000\n[breaker]\nfailures = 1000000\n";
    let manifest = format!("{}{calm}[promote]\nwatch_ms = 0\n{promotion}", told(deed));
    let info = house.install("hostile-pricing", "price", &manifest);
    assert_eq!(info.error, None, "{deed}");
}

/// Repeats, and compares what there is before with what there is after. It is told how many rounds
/// to make.
fn rounds(plugins: &[&Plugins], what: &str, many: usize, mut make: impl FnMut(usize)) {
    make(many.div_ceil(WARM_UP));
    let standing = instances(plugins);
    let (threads, files) = (entries("/proc/self/task"), entries("/proc/self/fd"));
    let growths = (0..REPETITIONS).map(|_| {
        let before = resident_bytes();
        make(many);
        resident_bytes().saturating_sub(before)
    });
    // Ends with the first repetition that leaves the memory as it was.
    let grown: Vec<usize> = growths
        .take_while(|bytes| *bytes > GROWTH_BYTES_MAX)
        .collect();
    assert!(
        grown.len() < REPETITIONS,
        "{what}: grew in each {many} rounds, by {grown:?} bytes"
    );
    // What is dropped in the background may take a moment.
    wait_for(PATIENCE, || instances(plugins) <= standing.max(1.0));
    wait_for(PATIENCE, || entries("/proc/self/task") <= threads);
    wait_for(PATIENCE, || entries("/proc/self/fd") <= files);
}

/// How many entries a folder has.
fn entries(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn instances(plugins: &[&Plugins]) -> f64 {
    let of = |plugins: &&Plugins| gauge(plugins, "holdfast_plugin_instances");
    plugins.iter().map(of).sum()
}

/// What of this process is in memory.
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
