//! What works on files and needs no running host.

use super::code;
use crate::commands::host::to_sign;
use crate::commands::plugins::signing_key;
use crate::commands::{Failure, terminal};
use anyhow::Context;
use clap::Args;
use holdfast_policy::{Gate, ProofReport, prove};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct Check {
    /// The folder, with `schema.cedarschema` and `*.cedar`.
    #[arg(default_value = "policies")]
    dir: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Test {
    /// The cases.
    cases: PathBuf,
    /// The folder; without it the policies that are built in.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Matrix {
    /// The folder; without it the policies that are built in.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The table that was agreed: fail and show the lines that are other ones.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Prove {
    /// The folder; without it the policies that are built in.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also that nothing is allowed that the policies of this folder did not allow.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// The solver: cvc5 1.3 or newer.
    #[arg(long, value_name = "PROGRAM", env = "CVC5", default_value = "cvc5")]
    solver: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Sign {
    /// The folder.
    #[arg(default_value = "policies")]
    dir: PathBuf,
    /// The private key: PKCS#8 in PEM (`holdfast plugin keygen` makes one).
    #[arg(long, value_name = "FILE", env = "HOLDFAST_SIGNING_KEY_FILE")]
    key_file: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let problems = Gate::check(&self.dir);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        if self.json {
            terminal::json(&json!({ "problems": problems }))?;
        } else if problems.is_empty() {
            terminal::say(&format!("the policies in {} are good", self.dir.display()))?;
        } else {
            terminal::say(&problems.join("\n"))?;
        }
        Ok(code(problems.is_empty()))
    }
}

impl Test {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let reports = Gate::open(self.dir.as_deref())?.run_cases(&self.cases)?;
        let failed = reports.iter().filter(|report| report.failure.is_some());
        let failed = failed.count();
        if self.json {
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

impl Matrix {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let table = Gate::open(self.dir.as_deref())?.matrix()?;
        let Some(file) = self.expect else {
            terminal::say(table.trim_end())?;
            return Ok(ExitCode::SUCCESS);
        };
        let agreed = fs::read_to_string(&file)
            .with_context(|| format!("{} cannot be read", file.display()))?;
        let missing = |from: &str, other: &str, sign: char| -> Vec<String> {
            let lines = from
                .lines()
                .filter(|line| !other.lines().any(|one| one == *line));
            lines.map(|line| format!("{sign} {line}")).collect()
        };
        let mut differences = missing(&agreed, &table, '-');
        differences.extend(missing(&table, &agreed, '+'));
        if differences.is_empty() {
            terminal::say(&format!("the policies allow what {} says", file.display()))?;
        } else {
            terminal::say(&differences.join("\n"))?;
        }
        Ok(code(differences.is_empty()))
    }
}

impl Prove {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let (dir, against) = (self.dir.as_deref(), self.against.as_deref());
        let report = prove(dir, against, &self.solver).await?;
        if self.json {
            terminal::json(&report)?;
        } else {
            terminal::say(&told(&report))?;
        }
        Ok(code(report.holds()))
    }
}

/// A proof, for people.
fn told(report: &ProofReport) -> String {
    let mut text = String::new();
    for refuted in &report.refuted {
        let policy = refuted.policy.as_deref();
        let policy = policy.map(|id| format!("{id}: ")).unwrap_or_default();
        text += &format!(
            "not so: {policy}{} ({}), for example:\n{}\n\n",
            refuted.claim.as_str(),
            refuted.environment,
            refuted.counterexample.trim_end()
        );
    }
    for unknown in &report.unknown {
        text += &format!("not known: {unknown}\n");
    }
    let (refuted, unknown) = (report.refuted.len(), report.unknown.len());
    let proved = report.proved;
    text + &format!("{proved} claims proved, {refuted} refuted, {unknown} not known")
}

impl Sign {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        // What cannot be used is not worth a signature, and somebody would trust it.
        let digest = Gate::digest(&self.dir)?;
        let key = signing_key(&self.key_file)?;
        let signature = key.sign(&to_sign(&digest));
        let path = self.dir.join("policies.sig");
        let beside = self.dir.join("policies.sig.new");
        fs::write(&beside, format!("{signature}\n"))
            .and_then(|()| fs::rename(&beside, &path))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        let public = key.public();
        terminal::say(&format!(
            "{}: signed with key {}\n\nA host takes these policies and no others when its \
             configuration has\n\n  [policies]\n  require_signature = true\n  \
             trusted_keys = [\"{public}\"]",
            path.display(),
            signature.key_id()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
