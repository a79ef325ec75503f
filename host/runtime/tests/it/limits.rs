//! Limits that the operator sets, each by itself.

use crate::house::{House, told, why};
use holdfast_runtime::PluginInfo;

fn install(house: &House, limits: &str) -> PluginInfo {
    let manifest = format!("{}[limits]\n{limits}\n", told("price-7"));
    house.install("hostile-pricing", "price", &manifest)
}

#[test]
fn an_answer_has_its_bounds() {
    let house = House::new();
    let info = install(&house, "output_bytes = 8");
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    let why = why(house.quote());
    assert!(why.contains("over output_bytes"), "{why}");
    install(&house, "output_bytes = 64\nhostcall_bytes = 4096");
    assert_eq!(house.quote().unwrap().total.micros, 7);
}

#[test]
fn what_is_too_large_from_the_start_is_refused() {
    let house = House::new();
    for (limits, said) in [
        ("wasm_bytes = 1000", "raise wasm_bytes under [limits]"),
        ("hostcall_bytes = 16", "raise hostcall_bytes under [limits]"),
        ("memory_bytes = 65536", "raise memory_bytes under [limits]"),
        ("wall_ms = 0", "limits.wall_ms: 0 is out of bounds"),
        ("egress_calls = 1", "limits.egress_calls"),
        ("deadline_ms = 5", "deadline_ms"),
    ] {
        let info = install(&house, limits);
        assert_eq!(info.state, "refused", "{limits}");
        let why = info.error.unwrap();
        assert!(why.contains(said), "{limits}: {why}");
    }
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let house = House::new();
    install(&house, "max_invocations = 2");
    for _ in 0..10 {
        assert_eq!(house.quote().unwrap().total.micros, 7);
    }
    let collectors = house.plugins.metrics();
    let mut families = collectors.iter().flat_map(|c| c.collect());
    let discarded = families
        .find(|family| family.name() == "holdfast_plugin_instances_discarded_total")
        .unwrap();
    assert_eq!(discarded.get_metric()[0].get_counter().get_value(), 5.0);
}
