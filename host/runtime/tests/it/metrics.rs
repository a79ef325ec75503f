//! What the numbers tell of each generation of a plugin.

use crate::house::{Ask, House, told, why};
use holdfast_runtime::Verdict;
use prometheus::proto::MetricType;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The values of a metric, by their labels in the order of the labels' names.
fn values(house: &House, name: &str) -> BTreeMap<Vec<String>, f64> {
    let collectors = house.plugins.metrics();
    let families = collectors.iter().flat_map(|c| c.collect());
    let mut values = BTreeMap::new();
    for family in families.filter(|family| family.name() == name) {
        for metric in family.get_metric() {
            let labels = metric.get_label().iter();
            let labels = labels.map(|pair| pair.value().to_owned()).collect();
            let value = match family.get_field_type() {
                MetricType::COUNTER => metric.get_counter().get_value(),
                MetricType::GAUGE => metric.get_gauge().get_value(),
                _ => metric.get_histogram().get_sample_count() as f64,
            };
            values.insert(labels, value);
        }
    }
    values
}

fn value(house: &House, name: &str, labels: &[&str]) -> Option<f64> {
    let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
    values(house, name).get(&labels).copied()
}

fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn calls_are_told_by_generation_and_outcome() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    for _ in 0..128 {
        house.quote().unwrap();
    }
    let calls = "holdfast_plugin_calls_total";
    assert_eq!(value(&house, calls, &["1", "ok", "price"]), Some(128.0));
    let of = |name: &str| value(&house, name, &["1", "price"]).unwrap();
    assert_eq!(of("holdfast_plugin_call_seconds"), 128.0);
    assert_eq!(of("holdfast_plugin_call_cpu_seconds"), 2.0);
    assert!(of("holdfast_plugin_fuel_units_total") > 128_000.0);
    assert!(of("holdfast_plugin_memory_peak_bytes") >= 65_536.0);
    assert!(of("holdfast_plugin_memory_reserved_bytes") >= 134_217_728.0);
    assert_eq!(of("holdfast_plugin_instances"), 1.0);
    let pool = "holdfast_plugin_pool_state_count";
    assert_eq!(value(&house, pool, &["1", "price", "idle"]), Some(1.0));
    assert_eq!(value(&house, pool, &["1", "price", "busy"]), Some(0.0));

    house.install("hostile-pricing", "price", &told("panic"));
    assert!(why(house.quote()).contains("trapped"));
    assert_eq!(value(&house, calls, &["2", "trap", "price"]), Some(1.0));
    let discarded = "holdfast_plugin_instances_discarded_total";
    assert_eq!(value(&house, discarded, &["2", "price"]), Some(1.0));
}

#[test]
fn the_series_of_a_plugin_that_is_gone_are_gone() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    house.quote().unwrap();
    std::fs::remove_file(house.dir.path().join("price.wasm")).unwrap();
    house.plugins.rescan();
    for name in [
        "holdfast_plugin_calls_total",
        "holdfast_plugin_call_seconds",
        "holdfast_plugin_fuel_units_total",
        "holdfast_plugin_instances",
        "holdfast_plugin_pool_state_count",
        "holdfast_plugin_memory_reserved_bytes",
    ] {
        wait_for(|| values(&house, name).is_empty());
    }
}

#[test]
fn an_authorizer_uses_no_fuel_and_its_calls_into_the_host_are_counted() {
    let house = House::new();
    house.install("authorizer-quota", "quota", "");
    let ask = Ask::new(&[("quota_bytes", "1000")]);
    assert_eq!(ask.of(&house.plugins).unwrap(), Verdict::Allow);
    let of = |name: &str| value(&house, name, &["1", "quota"]).unwrap();
    assert!(of("holdfast_plugin_host_calls_total") >= 1.0);
    assert_eq!(of("holdfast_plugin_fuel_units_total"), 0.0);
}

#[test]
fn what_stands_by_is_counted_and_each_instance_serves_once() {
    let house = House::new();
    let manifest = format!(
        "isolation = \"call\"\n{}[limits]\nstandby = 4\n",
        told("price-7")
    );
    house.install("hostile-pricing", "price", &manifest);
    let pool = "holdfast_plugin_pool_state_count";
    let ready = || value(&house, pool, &["1", "price", "standby"]) == Some(4.0);
    wait_for(ready);
    for _ in 0..50 {
        house.quote().unwrap();
    }
    wait_for(|| ready() && value(&house, pool, &["1", "price", "spent"]) == Some(0.0));
    let of = |name: &str| value(&house, name, &["1", "price"]).unwrap();
    assert_eq!(of("holdfast_plugin_instances_discarded_total"), 50.0);
    assert_eq!(of("holdfast_plugin_instances"), 4.0);
}
