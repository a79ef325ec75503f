//! The slowest calls in a hundred, with something going on beside them and without.
//!
//! The load is paced: callers that take every cycle there is would measure the scheduler.

use super::super::{Plan, ROUNDS};
use super::bench::{Bench, component_bytes};
use crate::table::{Row, percentile};
use anyhow::{Result, anyhow, ensure};
use holdfast_runtime::{Verdict, step_back};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two calls of the load: 10,000 a second.
const PACE: Duration = Duration::from_micros(100);

/// Pairs of short stretches, as long together as other rows' three: a moment in which the machine
/// has something else to do then spoils one of many, and the median stays.
pub(super) const PAIRS: u32 = 9;

/// Of a hundred calls, this many are quicker.
pub(super) const PERCENT: usize = 99;

/// Calls of an authorizer that is replaced all the time, code and settings, beside the same calls
/// with nothing going on. A call that fails ends the measurement.
pub(in super::super) fn reload_p99(plan: &Plan) -> Result<Row> {
    let bench = Bench::with(plan, &[("authorizer-quota", "quota", "")])?;
    let mut wasm = component_bytes("authorizer-quota")?;
    // A custom section at the end: another file, and the same plugin.
    wasm.extend([0, 3, 1, b'v', 0]);
    let mut mark = 0_u8;
    let step = || {
        mark = mark.wrapping_add(1);
        if let Some(last) = wasm.last_mut() {
            *last = mark;
        }
        bench.install(&wasm, "quota", "")
    };
    let pairs = pairs(plan, &bench, step)?;
    Ok(Row::from_pairs(
        "reload_p99",
        "us p99",
        "the same calls, no reload",
        "<= 2, 0 failed",
        &pairs,
    ))
}

/// The load's slowest calls in a hundred with `step` repeated beside it, and without, in turn.
fn pairs(
    plan: &Plan,
    bench: &Bench,
    mut step: impl FnMut() -> Result<()> + Send,
) -> Result<Vec<(f64, f64)>> {
    let mut pairs = Vec::new();
    let stretch = short(plan);
    for _ in 0..PAIRS {
        let quiet = load(stretch, bench)?;
        let beside = |is_over: &AtomicBool| {
            // As the host's threads do on which quotes are rated and components taken in.
            step_back();
            while !is_over.load(Ordering::Relaxed) {
                step()?;
            }
            Ok(())
        };
        let busy = measured_beside(beside, || load(stretch, bench))?;
        pairs.push((busy, quiet));
    }
    Ok(pairs)
}

/// What is measured while something else is done on a thread of its own, until it is told that the
/// measurement is over.
pub(super) fn measured_beside(
    beside: impl FnOnce(&AtomicBool) -> Result<()> + Send,
    measure: impl FnOnce() -> Result<f64>,
) -> Result<f64> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let beside = scope.spawn(|| beside(&is_over));
        let measured = measure();
        is_over.store(true, Ordering::Relaxed);
        let done = beside.join();
        done.map_err(|_| anyhow!("what ran beside the load panicked"))??;
        measured
    })
}

/// One of so many stretches.
pub(super) fn short(plan: &Plan) -> Duration {
    plan.stretch.saturating_mul(ROUNDS) / PAIRS
}

/// The slowest calls in a hundred of a paced load.
fn load(stretch: Duration, bench: &Bench) -> Result<f64> {
    percentile(paced(stretch, PACE, bench)?, PERCENT)
}

/// What each call took at an even pace, in microseconds, from when it was due: so none hides
/// another.
pub(super) fn paced(stretch: Duration, pace: Duration, bench: &Bench) -> Result<Vec<f64>> {
    let mut micros = Vec::new();
    let begin = Instant::now();
    let mut due = begin;
    while begin.elapsed() < stretch {
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let verdict = bench.authorize()?;
        ensure!(verdict == Verdict::Allow, "the authorizer says {verdict:?}");
        #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
        micros.push(due.elapsed().as_secs_f64() * 1e6);
        due += pace;
    }
    Ok(micros)
}
