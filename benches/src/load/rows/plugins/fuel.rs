//! What counting fuel costs: the same quote by the same component, compiled with the counting and
//! without.

use super::super::{Plan, ROUNDS};
use super::bench::{self, component_bytes};
use crate::table::Row;
use anyhow::{Result, anyhow, ensure};
use bindings::exports::holdfast::plugin::rating::{Measure, Meter, Usage};
use bindings::holdfast::plugin::types::{Period, U128};
use std::time::Duration;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "pricing",
    });
}

/// What a call may use: never reached, and set before each as the host does it.
const FUEL: u64 = 500_000_000;

/// A warm quote through wasmtime's typed bindings with fuel counted, beside the same without. Both
/// can be interrupted, as all code that the host runs.
pub(in super::super) fn fuel_cost(plan: &Plan) -> Result<Row> {
    let (mut metered, mut plain) = (Quoter::start(true)?, Quoter::start(false)?);
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push((
            metered.micros_per_call(plan.stretch)?,
            plain.micros_per_call(plan.stretch)?,
        ));
    }
    Ok(Row::from_pairs(
        "fuel_cost",
        "us",
        "the same quote, nothing counted",
        "-",
        &pairs,
    ))
}

/// An instance of `pricing-tiered`.
struct Quoter {
    exports: bindings::Pricing,
    store: Store<()>,
    is_metered: bool,
}

impl Quoter {
    fn start(is_metered: bool) -> Result<Self> {
        let wrong = |e: wasmtime::Error| anyhow!("{e:#}");
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .epoch_interruption(true)
            .consume_fuel(is_metered);
        let engine = Engine::new(&config).map_err(wrong)?;
        let wasm = component_bytes("pricing-tiered")?;
        let component = Component::new(&engine, wasm).map_err(wrong)?;
        let mut linker = Linker::<()>::new(&engine);
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(wrong)?;
        let mut store = Store::new(&engine, ());
        // Nobody moves the epoch on: it is only looked at.
        store.set_epoch_deadline(1);
        if is_metered {
            store.set_fuel(FUEL).map_err(wrong)?;
        }
        let exports = bindings::Pricing::instantiate(&mut store, &component, &linker);
        let exports = exports.map_err(wrong)?;
        let said = exports.call_init(&mut store, "{}").map_err(wrong)?;
        said.map_err(|why| anyhow!("init: {why}"))?;
        Ok(Self {
            exports,
            store,
            is_metered,
        })
    }

    fn micros_per_call(&mut self, stretch: Duration) -> Result<f64> {
        let mut number = 0_u64;
        bench::micros_per_call(stretch, || {
            number = number.wrapping_add(1);
            if self.is_metered {
                self.store.set_fuel(FUEL).map_err(|e| anyhow!("{e:#}"))?;
            }
            let rating = self.exports.holdfast_plugin_rating();
            let said = rating
                .call_rate(&mut self.store, &usage(number))
                .map_err(|e| anyhow!("{e:#}"))?;
            ensure!(said.is_ok(), "there is no price: {said:?}");
            Ok(())
        })
    }
}

fn usage(number: u64) -> Usage {
    let used = bench::usage(number);
    let meter = |measure, quantity: u128| Meter {
        measure,
        quantity: U128 {
            high: u64::try_from(quantity >> 64).unwrap_or_default(),
            low: u64::try_from(quantity & u128::from(u64::MAX)).unwrap_or_default(),
        },
    };
    Usage {
        account: "acme/web".to_owned(),
        tenant: "acme".to_owned(),
        attributes: vec![("quota_bytes".to_owned(), bench::QUOTA_BYTES.to_string())],
        period: Period {
            start: used.period.start.as_millis(),
            end: used.period.end.as_millis(),
        },
        meters: vec![
            meter(Measure::Storage, used.byte_seconds()),
            meter(Measure::Pin, used.operations.pin.into()),
            meter(Measure::Replace, used.operations.replace.into()),
            meter(Measure::Unpin, used.operations.unpin.into()),
        ],
    }
}
