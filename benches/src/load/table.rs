//! The result: rows for people and for machines.

use serde::Serialize;

/// One row of the speed table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    /// What it is held against, measured in the same run.
    pub(crate) beside: &'static str,
    pub(crate) theirs: f64,
    pub(crate) ratio: f64,
    pub(crate) goal: &'static str,
}

/// Half of the runs were better, half worse.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Row {
    /// A row from pairs (ours, theirs) that were measured in turn: the medians of each, and the
    /// median of the pairs' ratios, which holds when the machine's speed drifts.
    pub(crate) fn from_pairs(
        name: &'static str,
        unit: &'static str,
        beside: &'static str,
        goal: &'static str,
        pairs: &[(f64, f64)],
    ) -> Self {
        #[expect(clippy::float_arithmetic, reason = "a ratio of speeds, no money")]
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
        Self {
            name,
            unit,
            ours: median(pairs.iter().map(|pair| pair.0).collect()),
            beside,
            theirs: median(pairs.iter().map(|pair| pair.1).collect()),
            ratio,
            goal,
        }
    }
}

/// The rows as an aligned table.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<18} {:>12} {:<8} {:>12} {:<30} {:>7}  goal\n",
        "row", "ours", "unit", "theirs", "beside", "ratio"
    );
    for row in rows {
        out.push_str(&format!(
            "{:<18} {:>12.2} {:<8} {:>12.2} {:<30} {:>7.3}  {}\n",
            row.name, row.ours, row.unit, row.theirs, row.beside, row.ratio, row.goal
        ));
    }
    out
}
