//! Calls the pricing plug-in through Extism, as its own documentation shows: one plug-in, called
//! again and again by one thread.
//!
//! `holdfast-bench-extism GUEST` reads lines from its standard input: a number of milliseconds, for
//! which it calls; it answers each with the microseconds of one call. `quote NUMBER` answers with
//! the quote instead, so that the harness can see that it is the same.

use anyhow::{Context, Result, ensure};
use extism::convert::Json;
use extism::{Manifest, Plugin, Wasm};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

/// Calls between two looks at the clock.
const CALLS: u32 = 100;

const DAY_MILLIS: u64 = 86_400_000;

#[derive(Serialize)]
struct Usage<'a> {
    account: &'a str,
    tenant: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
    period: Period,
    meters: [Meter<'a>; 4],
}

#[derive(Serialize)]
struct Period {
    start: u64,
    end: u64,
}

#[derive(Serialize)]
struct Meter<'a> {
    measure: &'a str,
    quantity: String,
}

#[derive(Serialize, Deserialize)]
struct Quote {
    lines: Vec<Line>,
    micros: i64,
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    item: String,
    explanation: String,
    quantity: String,
    unit: String,
    micros: i64,
}

fn main() -> Result<()> {
    let guest = std::env::args()
        .nth(1)
        .context("usage: holdfast-bench-extism GUEST")?;
    let wasm = Wasm::data(std::fs::read(guest)?);
    let manifest = Manifest::new([wasm]).with_config_key("settings", "{}");
    let mut plugin = Plugin::new(&manifest, [], false)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.strip_prefix("quote ") {
            Some(number) => {
                let said = quote(&mut plugin, number.parse()?)?;
                writeln!(out, "{}", serde_json::to_string(&said)?)?;
            }
            None => {
                let stretch = Duration::from_millis(line.parse()?);
                writeln!(out, "{}", micros_per_call(&mut plugin, stretch)?)?;
            }
        }
        out.flush()?;
    }
    Ok(())
}

fn micros_per_call(plugin: &mut Plugin, stretch: Duration) -> Result<f64> {
    let begin = Instant::now();
    let mut calls = 0_u32;
    while begin.elapsed() < stretch {
        for _ in 0..CALLS {
            calls = calls.wrapping_add(1);
            let said = quote(plugin, calls.into())?;
            ensure!(said.currency == "EUR", "a quote in {}", said.currency);
        }
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

/// The usage is written and the quote is read on this side as well: so it is on ours.
fn quote(plugin: &mut Plugin, number: u64) -> Result<Quote> {
    let megabytes = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 42);
    let byte_seconds = megabytes * 1_000_000 * u128::from(DAY_MILLIS) / 1_000;
    let meter = |measure, quantity: u128| Meter {
        measure,
        quantity: quantity.to_string(),
    };
    let usage = Usage {
        account: "acme/web",
        tenant: "acme",
        attributes: BTreeMap::from([("quota_bytes", "1000000000000")]),
        period: Period {
            start: 0,
            end: DAY_MILLIS,
        },
        meters: [
            meter("storage", byte_seconds),
            meter("pin", (number % 5).into()),
            meter("replace", (number % 2).into()),
            meter("unpin", (number % 3).into()),
        ],
    };
    let Json(quote) = plugin.call::<Json<Usage<'_>>, Json<Quote>>("rate", Json(usage))?;
    Ok(quote)
}
