//! The CQL store beside the bare driver, from a program of its own: what it is built from is of no
//! use to the other rows, and its tables are no business of theirs.

use super::Plan;
use crate::table::Row;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::process::{Command, Stdio};

/// What can be asked for; each is several rows.
pub(super) const ROWS: [&str; 4] = ["cql_get", "cql_put_if", "cql_list", "cql_load"];

/// What the program prints.
#[derive(Deserialize)]
struct Printed {
    rows: Vec<Row>,
}

/// Runs it for some rows.
pub(super) fn rows(plan: &Plan, wanted: &[&str]) -> Result<Vec<Row>> {
    let program = plan.cql.display();
    let done = Command::new(&plan.cql)
        .args(["--json", "--seconds", &plan.stretch.as_secs().to_string()])
        .args(wanted)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| {
            format!(
                "{program} cannot be run; build it with: cargo build --release -p holdfast-load-cql"
            )
        })?;
    ensure!(
        done.status.success(),
        "{program} ended with {}",
        done.status
    );
    let printed: Printed = serde_json::from_slice(&done.stdout)
        .with_context(|| format!("{program} printed no rows"))?;
    Ok(printed.rows)
}
