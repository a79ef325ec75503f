//! The result: rows for people and for machines, in the shape of the load harness's.

use serde::Serialize;

/// What each row is held against, measured in the same run.
const BESIDE: &str = "the bare driver";

/// One row of the speed table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    ours: f64,
    beside: String,
    theirs: f64,
    pub(crate) ratio: f64,
    goal: &'static str,
}

impl Row {
    /// A row from pairs (ours, the bare driver's) that were measured in turn: the medians of each,
    /// and the median of the pairs' ratios, which holds when the machine's speed drifts.
    #[expect(clippy::float_arithmetic, reason = "a ratio of speeds, no money")]
    pub(crate) fn from_pairs(
        name: impl Into<String>,
        unit: &'static str,
        goal: &'static str,
        pairs: &[(f64, f64)],
    ) -> Self {
        Self {
            name: name.into(),
            unit,
            ours: median(pairs.iter().map(|pair| pair.0).collect()),
            beside: BESIDE.to_owned(),
            theirs: median(pairs.iter().map(|pair| pair.1).collect()),
            ratio: median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect()),
            goal,
        }
    }

    /// The same row under another name, with how it came to be chosen.
    pub(crate) fn renamed(&self, name: &str, chosen: &str) -> Self {
        Self {
            name: name.to_owned(),
            beside: format!("{BESIDE}, {chosen}"),
            ..self.clone()
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The rows as an aligned table.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<20} {:>12} {:<6} {:>12} {:<30} {:>7}  goal\n",
        "row", "ours", "unit", "theirs", "beside", "ratio"
    );
    for row in rows {
        out.push_str(&format!(
            "{:<20} {:>12.1} {:<6} {:>12.1} {:<30} {:>7.3}  {}\n",
            row.name, row.ours, row.unit, row.theirs, row.beside, row.ratio, row.goal
        ));
    }
    out
}
