//! What others take beside each case of the hostile kit, and with quiet.

mod in_process;
mod over_http;

use crate::rows::Plan;
use crate::table::Row;
use anyhow::{Context, Result};
use holdfast_runtime::attack::Case;
use std::ops::RangeInclusive;

pub(in crate::rows) use in_process::hostile_neighbour;
pub(in crate::rows) use over_http::hostile_kit;

/// A case whose first pair is outside of this is measured again, so many times: of two stretches of
/// a second, one may have fallen into a bad moment of the machine's.
const EVEN: RangeInclusive<f64> = 0.75..=1.5;
const AGAIN: u32 = 8;

/// The row of the worst of these cases that are asked for. `pair` measures beside a case and with
/// quiet; or nothing, if the case cannot be brought there.
fn worst<'a>(
    plan: &Plan,
    (name, peer): (&str, &str),
    cases: impl Iterator<Item = &'a Case>,
    mut pair: impl FnMut(&'a Case) -> Result<Option<(f64, f64)>>,
) -> Result<Row> {
    let row = |pairs: &[(f64, f64)]| Row::from_pairs(name, "us p99", peer, "<= 2 in each", pairs);
    let mut worst: Option<Row> = None;
    for case in cases.filter(|case| plan.has_case(&case.name)) {
        let mut pair = || pair(case).with_context(|| case.name.clone());
        let Some(first) = pair()? else {
            eprintln!("     -  {}", case.name);
            continue;
        };
        let mut pairs = vec![first];
        if !EVEN.contains(&row(&pairs).ratio) {
            for _ in 0..AGAIN {
                pairs.extend(pair()?);
            }
        }
        let row = row(&pairs);
        eprintln!("{:6.2}  {}", row.ratio, case.name);
        let is_worse = worst.as_ref().is_none_or(|worst| row.ratio > worst.ratio);
        worst = if is_worse { Some(row) } else { worst };
    }
    worst.with_context(|| format!("no case is called {:?}", plan.cases))
}
