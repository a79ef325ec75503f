//! What a call leaves in its instance: gone with an instance of its own, there for the next call on
//! a shared one.

use crate::house::{Ask, House, counted, told};
use holdfast_runtime::Verdict;

/// Calls: each slot of the pool has had many of them.
const CALLS: u64 = 200;

/// Few instances at once, so that slots come round soon; time enough to look through a memory.
const LIMITS: &str = "[limits]\nstandby = 1\ncpu_ms = 200\nwall_ms = 10000\n";

/// How often a quote found what another one had left.
fn found_by_quote(house: &House) -> i64 {
    let quote = house.quote().unwrap();
    let [line] = quote.lines.as_slice() else {
        panic!("{quote:?}");
    };
    line.amount.micros
}

/// The same of an authorizer.
fn found_by_authorizer(house: &House) -> i64 {
    match Ask::new(&[]).of(&house.plugins).unwrap() {
        Verdict::Deny { message, .. } => message.parse().unwrap(),
        Verdict::Allow => panic!("allowed"),
    }
}

fn install(house: &House, isolation: &str) {
    let manifest = format!("isolation = \"{isolation}\"\n{}{LIMITS}", told("secret"));
    for (component, name) in [("hostile-pricing", "price"), ("hostile-authorizer", "ask")] {
        let info = house.install(component, name, &manifest);
        assert_eq!((info.state.as_str(), info.error), ("live", None));
    }
}

#[test]
fn an_instance_for_each_call_has_nothing_of_the_calls_before() {
    let house = House::new();
    install(&house, "call");
    for call in 0..CALLS {
        assert_eq!(found_by_quote(&house), 0, "quote {call}");
        assert_eq!(found_by_authorizer(&house), 0, "question {call}");
    }
    // Each had its own, and far fewer are alive at once: slots were used again and again.
    for name in ["price", "ask"] {
        let created = "holdfast_plugin_instances_created_total";
        assert!(counted(&house.plugins, created, name) >= CALLS, "{name}");
        let alive = counted(&house.plugins, "holdfast_plugin_instances", name);
        assert!(alive < CALLS / 10, "{name}: {alive}");
    }
}

#[test]
fn a_shared_instance_has_what_the_call_before_left_and_a_new_generation_has_not() {
    let house = House::new();
    install(&house, "warm");
    assert_eq!(found_by_quote(&house), 0);
    assert_eq!(found_by_authorizer(&house), 0);
    // On the heap, on the stack, and in a static.
    assert!(found_by_quote(&house) > 1_000);
    assert!(found_by_authorizer(&house) > 1_000);
    install(&house, "call");
    assert_eq!(found_by_quote(&house), 0);
    assert_eq!(found_by_authorizer(&house), 0);
}
