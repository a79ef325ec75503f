//! `holdfast policy …`: works on files, needs no running host.

use super::{Failure, terminal};
use clap::Subcommand;
use holdfast_policy::Gate;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Name everything that is wrong with the policies of a folder.
    Check {
        /// The folder, with `schema.cedarschema` and `*.cedar`.
        #[arg(default_value = "policies")]
        dir: PathBuf,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Run the cases of a file (as `cedar run-tests` has them) against the policies of a folder.
    Test {
        /// The cases.
        cases: PathBuf,
        /// The folder; without it the policies that are built in.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { dir, json } => {
                let problems: Vec<String> =
                    Gate::check(&dir).iter().map(ToString::to_string).collect();
                if json {
                    terminal::json(&json!({ "problems": problems }))?;
                } else if problems.is_empty() {
                    terminal::say(&format!("the policies in {} are good", dir.display()))?;
                } else {
                    terminal::say(&problems.join("\n"))?;
                }
                Ok(code(problems.is_empty()))
            }
            Self::Test { cases, dir, json } => {
                let reports = Gate::open(dir.as_deref())?.run_cases(&cases)?;
                let failed = reports
                    .iter()
                    .filter(|report| report.failure.is_some())
                    .count();
                if json {
                    let cases: Vec<_> = reports
                        .iter()
                        .map(|report| json!({ "name": report.name, "failure": report.failure }))
                        .collect();
                    terminal::json(&json!({ "cases": cases }))?;
                } else {
                    for report in &reports {
                        let failure = report.failure.as_deref().unwrap_or("ok");
                        terminal::say(&format!("{}: {failure}", report.name))?;
                    }
                    terminal::say(&format!("{} cases, {failed} failed", reports.len()))?;
                }
                Ok(code(failed == 0))
            }
        }
    }
}

fn code(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
