//! Beside each case of the hostile kit others' calls are as quick as without, within twice: of a
//! hundred calls, the slowest.
//!
//! On a machine that does other things too, a stretch of calls is slow for reasons of its own. So a
//! case is tried a few times, each time beside a quiet stretch of the same moment; who really
//! stands in others' way does so every time.

use crate::house::{Ask, account, kit, usage};
use holdfast_model::usage::Operations;
use holdfast_runtime::attack::{Arena, Case, Isolation, Kit};
use holdfast_runtime::{Plugins, QuoteCall, Verdict};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Calls of a quiet stretch, and the fewest of one beside a case.
const CALLS: usize = 200;

/// Between two of them.
const PACE: Duration = Duration::from_micros(300);

/// What the slowest in a hundred may take more.
const RATIO_MAX: u32 = 2;

/// Below this a ratio says nothing: one interrupt of the machine's takes as long.
const FLOOR: Duration = Duration::from_micros(100);

/// Tries of a case.
const TRIES: usize = 10;

#[test]
fn beside_each_case_the_calls_of_others_are_as_quick_as_without() {
    let kit = kit();
    let dir = tempfile::tempdir().unwrap();
    let arena = Arena::open(&kit, dir.path(), Isolation::Warm).unwrap();
    let slow: Vec<String> = kit
        .cases()
        .iter()
        .filter_map(|case| slowed(&arena, &kit, case))
        .collect();
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// How much slower others are beside a case, if they are in each try.
fn slowed(arena: &Arena, kit: &Kit, case: &Case) -> Option<String> {
    let mut tries = Vec::new();
    for _ in 0..TRIES {
        let quiet = slowest(stretch(arena.plugins(), case, &AtomicBool::new(true)));
        let is_over = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            let beside = scope.spawn(|| stretch(arena.plugins(), case, &is_over));
            let attacked = arena.attack(kit, case).unwrap();
            is_over.store(true, Ordering::SeqCst);
            assert!(attacked.is_held, "{attacked:#?}");
            slowest(beside.join().unwrap())
        });
        if beside <= quiet.max(FLOOR) * RATIO_MAX {
            return None;
        }
        tries.push((beside, quiet));
    }
    Some(format!("{}: {tries:?}", case.name))
}

/// What calls take until it is over, and so many at least.
fn stretch(plugins: &Plugins, case: &Case, is_over: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while took.len() < CALLS || !is_over.load(Ordering::SeqCst) {
        let start = Instant::now();
        call(plugins, case);
        took.push(start.elapsed());
        std::thread::sleep(PACE);
    }
    took
}

/// Authorizers are asked all together, so beside a hostile one it is prices that are asked for.
fn call(plugins: &Plugins, case: &Case) {
    if case.name.starts_with("authorizer") {
        let account = account();
        let quote = plugins.quote(&QuoteCall {
            account: &account,
            tenant: account.tenant(),
            attributes: &BTreeMap::new(),
            usage: &usage(1, Operations::default()),
        });
        assert!(quote.is_ok(), "{quote:?}");
    } else {
        assert_eq!(Ask::new(&[]).of(plugins).unwrap(), Verdict::Allow);
    }
}

/// Of a hundred, the slowest.
fn slowest(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    let at = took.len() * 99 / 100;
    took.get(at).copied().unwrap_or(Duration::MAX)
}
