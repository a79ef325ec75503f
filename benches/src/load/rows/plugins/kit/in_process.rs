//! The slowest calls in a hundred of a good plugin, beside each case of the hostile kit.

use super::worst;
use crate::client::evenly;
use crate::rows::Plan;
use crate::rows::plugins::bench::dist;
use crate::rows::plugins::calm::{PERCENT, measured_beside, short};
use crate::table::{Row, percentile};
use anyhow::{Result, anyhow, ensure};
use holdfast_runtime::attack::{Arena, Isolation, Kit};
use holdfast_runtime::{go_first, step_back};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two calls of the load: 2,000 a second.
const PACE: Duration = Duration::from_micros(500);

/// The limits of what does not end by itself.
const SHORT: [(&str, i64); 1] = [("cpu_ms", 5)];

/// A good plugin's calls while a case is gone through all the time on another thread, beside the
/// same calls with nothing going on. Each is told from when it was due, so how soon somebody comes
/// to be served counts too; on a thread that goes first, as those do that serve. The row is that of
/// the worst case.
pub(in crate::rows) fn hostile_neighbour(plan: &Plan) -> Result<Row> {
    let kit = Kit::read(&dist())?;
    let dir = tempfile::tempdir()?;
    let arena = Arena::open(&kit, dir.path(), Isolation::Warm)?;
    go_first();
    let peer = "the same calls with quiet";
    worst(
        plan,
        ("hostile_neighbour", peer),
        kit.cases().iter(),
        |case| {
            let slowest = || {
                let ask = || {
                    let asked = arena.ask_beside(case);
                    asked.map_err(|why| anyhow!("a good plugin says {why}"))
                };
                let micros = evenly(PACE, short(plan), ask)?;
                percentile(micros, PERCENT)
            };
            let quiet = slowest()?;
            // What ends by itself has its own time.
            let limits: &[_] = if case.is_harmless() { &[] } else { &SHORT };
            let mut siege = arena.besiege(&kit, case, limits)?;
            let hostile = |is_over: &AtomicBool| {
                // As the host's threads do on which quotes are rated and components taken in.
                step_back();
                while !is_over.load(Ordering::Relaxed) {
                    let wrong = siege.round()?;
                    ensure!(wrong.is_none(), "{wrong:?}");
                }
                Ok(())
            };
            Ok(Some((measured_beside(hostile, slowest)?, quiet)))
        },
    )
}
