//! The result: rows for people and for machines.

use serde::Serialize;
use std::fmt::Write;

/// One row of the speed table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    ours: f64,
    theirs: f64,
    ratio: f64,
    goal: &'static str,
}

/// A row from pairs (ours, the bare driver's) that were measured in turn: the medians of each, and
/// the median of the pairs' ratios, which holds when the machine's speed drifts.
#[expect(clippy::float_arithmetic, reason = "a ratio of speeds, no money")]
pub(crate) fn row(
    name: impl Into<String>,
    unit: &'static str,
    goal: &'static str,
    pairs: &[(f64, f64)],
) -> Row {
    Row {
        name: name.into(),
        unit,
        ours: median(pairs.iter().map(|pair| pair.0).collect()),
        theirs: median(pairs.iter().map(|pair| pair.1).collect()),
        ratio: median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect()),
        goal,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The rows as an aligned table.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<20} {:>12} {:>15} {:<6} {:>7}  goal\n",
        "row", "ours", "the bare driver", "unit", "ratio"
    );
    for row in rows {
        writeln!(
            out,
            "{:<20} {:>12.1} {:>15.1} {:<6} {:>7.3}  {}",
            row.name, row.ours, row.theirs, row.unit, row.ratio, row.goal
        )
        .unwrap();
    }
    out
}
