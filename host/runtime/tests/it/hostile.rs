//! Components that misbehave cost their own call a clear error, and nothing else.

use crate::house::{Ask, House, put_bytes, told, why};
use holdfast_runtime::Verdict;

/// Every deed, and what the error says of it.
const PRICING_DEEDS: &[(&str, &str)] = &[
    ("loop", "used up its fuel"),
    ("trap", "trapped"),
    (
        "panic",
        "index out of bounds: the len is 0 but the index is 3",
    ),
    ("memory", "bytes of memory"),
    ("stack", "stack"),
    ("giant-string", "more bytes than one call may carry"),
    ("long-string", "item has 129 bytes"),
    ("control-characters", "control characters"),
    ("many-lines", "1001 lines"),
    ("mixed-currencies", "in USD, and the total in EUR"),
    ("no-currency", "no currency"),
    ("negative-charge", "negative"),
    ("positive-credit", "positive"),
    ("wrong-sum", "sum up to 0.000001 EUR"),
    ("overflowing-sum", "does not fit"),
    ("rating-error", "invalid usage: no such usage"),
    ("unheard-of", "no such deed"),
];

const AUTHORIZER_DEEDS: &[(&str, &str)] = &[
    ("loop", "deadline"),
    ("trap", "trapped"),
    ("giant-message", "more bytes than one call may carry"),
    ("long-message", "1025 bytes"),
    ("control-characters", "control characters"),
];

#[test]
fn a_hostile_pricing_component_costs_its_own_call() {
    let house = House::new();
    house.install("authorizer-quota", "quota", "");
    for (deed, said) in PRICING_DEEDS {
        let manifest = format!("{}[limits]\nfuel = 20_000_000\n", told(deed));
        let info = house.install("hostile-pricing", "hostile", &manifest);
        assert_eq!((info.state.as_str(), info.error), ("live", None), "{deed}");
        // Twice: what one call spoils is not there for the next.
        for _ in 0..2 {
            let why = why(house.quote());
            assert!(why.contains(said), "{deed}: {why}");
            assert_eq!(Ask::new(&[]).of(&house.plugins).unwrap(), Verdict::Allow);
        }
    }
    house.install("hostile-pricing", "hostile", &told("price-7"));
    assert_eq!(house.quote().unwrap().total.micros, 7);
}

#[test]
fn each_limit_of_time_stops_a_loop_by_itself() {
    let house = House::new();
    let much = "fuel = 100_000_000_000";
    for (limits, said) in [
        ("fuel = 1_000_000", "raise fuel under [limits]"),
        (
            &format!("{much}\ncpu_ms = 20"),
            "raise cpu_ms under [limits]",
        ),
        (
            &format!("{much}\ncpu_ms = 10_000\nwall_ms = 20"),
            "wall_ms under [limits]",
        ),
    ] {
        let manifest = format!("{}[limits]\n{limits}\n", told("loop"));
        let info = house.install("hostile-pricing", "hostile", &manifest);
        assert_eq!((info.state.as_str(), info.error), ("live", None));
        let why = why(house.quote());
        assert!(why.contains(said), "{limits}: {why}");
    }
}

#[test]
fn a_plugin_whose_memory_does_not_fit_is_refused_with_the_sum() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    let greedy = "[limits]\nmemory_bytes = 268435456\nconcurrency = 64\n";
    let info = house.install("hostile-authorizer", "greedy", greedy);
    assert_eq!(info.state, "refused");
    let why = info.error.unwrap();
    assert!(why.contains("64 instances × 256 MiB = 16384 MiB"), "{why}");
    assert!(why.contains("price generation 1"), "{why}");
    assert_eq!(house.quote().unwrap().total.micros, 7);
}

/// The pool has so many memories for all plugins together: who has four of them in each instance
/// must not take those that others count on.
#[test]
fn who_has_many_memories_takes_as_many_places() {
    let house = House::new();
    let memories = "(core instance (instantiate $m))".repeat(4);
    let component = format!(
        "(component (core module $m (memory 1)) {memories}
        (instance $rating) (export \"holdfast:plugin/rating@1.0.0\" (instance $rating)))"
    );
    let component = wat::parse_str(component).unwrap();
    for (concurrency, stage) in [(257, "memory"), (256, "link")] {
        let limits = format!("[limits]\nmemory_bytes = 262144\nconcurrency = {concurrency}\n");
        put_bytes(house.dir.path(), &component, "greedy", &limits);
        house.plugins.rescan();
        let why = house.last("greedy").error.unwrap();
        let named = "257 instances at once, each with memories and tables for 4";
        assert_eq!(why.contains(named), stage == "memory", "{why}");
        assert_eq!(why.contains("does not fit"), stage == "link", "{why}");
    }
}

#[test]
fn an_instance_of_its_own_for_each_call() {
    let house = House::new();
    let manifest = format!("isolation = \"call\"\n{}", told("price-7"));
    house.install("hostile-pricing", "price", &manifest);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(house.quote().unwrap().total.micros, 7);
                }
            });
        }
    });
    // Neither its breaker nor the watch over its promotion is what this is about.
    let manifest = format!(
        "isolation = \"call\"\n{}[breaker]\nfailures = 1000\n[promote]\nwatch_ms = 0\n",
        told("panic")
    );
    house.install("hostile-pricing", "price", &manifest);
    for _ in 0..40 {
        assert!(why(house.quote()).contains("trapped"));
    }
}

#[test]
fn a_hostile_authorizer_fails_closed() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    for (deed, said) in AUTHORIZER_DEEDS {
        house.install("hostile-authorizer", "hostile", &told(deed));
        for _ in 0..2 {
            let why = why(Ask::new(&[]).of(&house.plugins));
            assert!(why.contains(said), "{deed}: {why}");
            assert_eq!(house.quote().unwrap().total.micros, 7);
        }
    }
}

#[test]
fn what_fails_at_the_start_is_refused_and_disturbs_nothing() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    for (deed, said) in [
        ("init-error", "settings.do: this will never do"),
        ("init-trap", "init: trapped"),
        ("init-loop", "init: ran over its deadline"),
    ] {
        let info = house.install("hostile-pricing", "price", &told(deed));
        assert_eq!(info.state, "refused", "{deed}");
        assert!(info.error.unwrap().contains(said), "{deed}");
        assert_eq!(house.quote().unwrap().total.micros, 7);
    }
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let house = House::new();
    house.install("hostile-authorizer", "hostile", &told("log-flood"));
    // Either it ends in time or the deadline ends it: both leave the host as it was.
    let _ = Ask::new(&[]).of(&house.plugins);
    let dropped = house
        .plugins
        .metrics()
        .iter()
        .flat_map(|collector| collector.collect())
        .find(|family| family.name() == "holdfast_plugin_log_dropped_lines_total")
        .unwrap();
    assert!(dropped.get_metric()[0].get_counter().get_value() > 0.0);
    house.install("hostile-authorizer", "hostile", &told("allow"));
    assert_eq!(Ask::new(&[]).of(&house.plugins).unwrap(), Verdict::Allow);
}

#[test]
fn a_refusal_for_an_unknown_cause_is_a_refusal() {
    let house = House::new();
    house.install("hostile-authorizer", "hostile", &told("other-cause"));
    assert_eq!(
        Ask::new(&[]).of(&house.plugins).unwrap(),
        Verdict::Deny {
            plugin: "hostile".into(),
            exhausted: false,
            message: "not today".into()
        }
    );
}

#[test]
fn more_calls_than_places_wait_their_turn() {
    let house = House::new();
    let manifest = format!("{}[limits]\nconcurrency = 2\n", told("price-7"));
    house.install("hostile-pricing", "price", &manifest);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(house.quote().unwrap().total.micros, 7);
                }
            });
        }
    });
}
