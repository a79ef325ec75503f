//! The rows, one file each kind of peer.

mod http;
mod plugins;
mod policy;
mod store;

use crate::host::Host;
use crate::table::Row;
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// Pairs that are measured in turn for each row.
const ROUNDS: usize = 3;

/// What all rows need.
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    /// How long each measured stretch lasts.
    pub(crate) stretch: Duration,
}

/// A row that can be asked for: its name, and what measures it.
type Measure = fn(&Plan) -> Result<Row>;

const ROWS: &[(&str, Measure)] = &[
    ("get_pin", http::get_pin),
    ("list_first_page", http::list_first_page),
    ("post_pin", store::post_pin),
    ("reload_failed", http::reload_failed),
    ("authorizer_warm", plugins::authorizer_warm),
    ("decide_10", policy::decide_10),
    ("decide_10000", policy::decide_10000),
    ("decide_new", policy::decide_new),
    ("start_ms", start_ms),
];

/// Measures the rows that were asked for, or all.
pub(crate) fn measure(plan: &Plan, wanted: &[String]) -> Result<Vec<Row>> {
    for name in wanted {
        anyhow::ensure!(
            ROWS.iter().any(|(row, _)| row == name),
            "there is no row {name:?}; there are {}",
            ROWS.iter()
                .map(|(row, _)| *row)
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    ROWS.iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name))
        .map(|(_, measure)| measure(plan))
        .collect()
}

/// From `exec` to a ready host with the shipped policies and plugins.
fn start_ms(plan: &Plan) -> Result<Row> {
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let host = Host::start(&plan.binary)?;
        let ms = u32::try_from(host.started_in.as_millis()).unwrap_or(u32::MAX);
        pairs.push((f64::from(ms), 300.0));
    }
    Ok(Row::from_pairs(
        "start_ms",
        "ms",
        "the goal itself",
        "<= 300 ms",
        &pairs,
    ))
}
