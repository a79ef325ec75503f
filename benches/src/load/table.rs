//! The result: rows for people and for machines.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One row of the speed table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) ours: f64,
    /// What it is held against, measured in the same run.
    pub(crate) beside: String,
    pub(crate) theirs: f64,
    pub(crate) ratio: f64,
    pub(crate) goal: String,
}

/// Half of the runs were better, half worse.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// So many of a hundred took no longer.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let found = values.get(values.len().saturating_mul(percent) / 100);
    found.copied().context("nothing was measured")
}

impl Row {
    /// A row from pairs (ours, theirs) that were measured in turn: the medians of each, and the
    /// median of the pairs' ratios, which holds when the machine's speed drifts.
    pub(crate) fn from_pairs(
        name: &str,
        unit: &str,
        beside: &str,
        goal: &str,
        pairs: &[(f64, f64)],
    ) -> Self {
        #[expect(clippy::float_arithmetic, reason = "a ratio of speeds, no money")]
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours: median(pairs.iter().map(|pair| pair.0).collect()),
            beside: beside.to_owned(),
            theirs: median(pairs.iter().map(|pair| pair.1).collect()),
            ratio,
            goal: goal.to_owned(),
        }
    }
}

/// The rows as an aligned table.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<20} {:>12} {:<8} {:>12} {:<30} {:>7}  goal\n",
        "row", "ours", "unit", "theirs", "beside", "ratio"
    );
    for row in rows {
        out.push_str(&format!(
            "{:<20} {:>12.2} {:<8} {:>12.2} {:<30} {:>7.3}  {}\n",
            row.name, row.ours, row.unit, row.theirs, row.beside, row.ratio, row.goal
        ));
    }
    out
}
