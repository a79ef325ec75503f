//! Calls into plugins, in this process: what they cost, and how they fare while others misbehave or
//! are replaced.

mod bench;
mod calm;
mod extism;
mod fuel;
mod kit;
mod reload;
mod serving;
mod typed;

use super::{Plan, ROUNDS};
use crate::table::{Row, percentile};
use anyhow::{Result, ensure};
use bench::Bench;
use holdfast_runtime::Verdict;
use std::time::{Duration, Instant};

pub(super) use calm::reload_p99;
pub(super) use extism::quote_extism;
pub(super) use fuel::fuel_cost;
pub(super) use kit::{hostile_kit, hostile_neighbour};
pub(super) use reload::{reload_authorizer, reload_config, reload_payment, reload_pricing};
pub(super) use serving::hostile_get;

/// What a call on an instance of its own may take, in microseconds.
const ISOLATED_GOAL_MICROS: f64 = 10.0;

/// Between two of its calls: 20,000 a second.
const ISOLATED_PACE: Duration = Duration::from_micros(50);

/// The plugins that a host starts with, and the milliseconds that may take.
const CACHED: u8 = 8;
const CACHED_GOAL_MILLIS: f64 = 300.0;

/// The accounts that are rated for one day, and the seconds that may take on one core.
const DAY_ACCOUNTS: f64 = 1e6;
const DAY_GOAL_SECONDS: f64 = 20.0;

/// One call of `authorizer-quota`, its instance warm, a quota to be looked up, beside the same call
/// through wasmtime's typed bindings alone.
pub(super) fn authorizer_warm(plan: &Plan) -> Result<Row> {
    let bench = Bench::with(plan, &[("authorizer-quota", "quota", "")])?;
    let mut bare = typed::Bare::start()?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let micros = bench::micros_per_call(plan.stretch, || {
            let verdict = bench.authorize()?;
            ensure!(verdict == Verdict::Allow, "the authorizer says {verdict:?}");
            Ok(())
        })?;
        pairs.push((micros, bare.micros_per_call(plan.stretch)?));
    }
    Ok(Row::from_pairs(
        "authorizer_warm",
        "us",
        "a bare typed call",
        "<= 2 us and <= 1.5",
        &pairs,
    ))
}

/// The same call on an instance of its own, taken from those that stand ready, at 20,000 a second:
/// half of the calls are quicker.
pub(super) fn authorizer_isolated(plan: &Plan) -> Result<Row> {
    let bench = Bench::with(
        plan,
        &[("authorizer-quota", "quota", "isolation = \"call\"\n")],
    )?;
    let mut pairs = Vec::new();
    for _ in 0..calm::PAIRS {
        let micros = calm::paced(calm::short(plan), ISOLATED_PACE, &bench)?;
        pairs.push((percentile(micros, 50)?, ISOLATED_GOAL_MICROS));
    }
    Ok(Row::from_pairs(
        "authorizer_isolated",
        "us p50",
        "the goal itself",
        "<= 10 us at 20,000/s",
        &pairs,
    ))
}

/// Opening a folder of eight plugins that were compiled before.
pub(super) fn start_cached(_: &Plan) -> Result<Row> {
    let (dir, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
    bench::fill(dir.path(), CACHED)?;
    let mut pairs = Vec::new();
    // The first time fills the cache, and is not counted.
    for round in 0..=ROUNDS {
        let begin = Instant::now();
        bench::open_cached(dir.path(), &cache.path().join("plugins"), CACHED)?;
        if round > 0 {
            #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
            let millis = begin.elapsed().as_secs_f64() * 1e3;
            pairs.push((millis, CACHED_GOAL_MILLIS));
        }
    }
    Ok(Row::from_pairs(
        "start_cached",
        "ms",
        "the goal itself",
        "<= 300 ms, 8 plugins",
        &pairs,
    ))
}

/// A million accounts through `pricing-tiered`, one after the other on one core: as many as a
/// stretch lets through, each with another usage, taken to a million.
pub(super) fn rate_day(plan: &Plan) -> Result<Row> {
    let bench = Bench::with(plan, &[("pricing-tiered", "price", "")])?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let mut account = 0_u64;
        let micros = bench::micros_per_call(plan.stretch, || {
            account = account.wrapping_add(1);
            bench.quote(account).map(drop)
        })?;
        #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
        let seconds = micros * DAY_ACCOUNTS / 1e6;
        pairs.push((seconds, DAY_GOAL_SECONDS));
    }
    Ok(Row::from_pairs(
        "rate_day",
        "s",
        "the goal itself",
        "<= 20 s",
        &pairs,
    ))
}
