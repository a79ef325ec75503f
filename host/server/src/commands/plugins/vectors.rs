//! `holdfast plugin test` and `record`: golden vectors, run and written.

use super::draft::{self, Draft};
use crate::commands::Failure;
use crate::commands::terminal::{self, Colour};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use holdfast_runtime::workbench::{Golden, Piece, Question, Vector};
use serde::Serialize;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct Test {
    /// The built component.
    file: PathBuf,
    /// The vectors [default: NAME.vectors.json beside it].
    #[arg(long)]
    vectors: Option<PathBuf>,
    /// Write the answers that it gives now into the file, for you to read the difference.
    #[arg(long)]
    write: bool,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Record {
    /// The built component.
    file: PathBuf,
    /// What to ask: a file with an input as vectors have it.
    #[arg(long)]
    input: PathBuf,
    /// What the vector is to be called.
    #[arg(long)]
    name: String,
    /// Settings, as JSON [default: those of NAME.toml].
    #[arg(long)]
    settings: Option<String>,
    /// Add the vector to a file (made if it is not there) and not to the standard output.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    name: &'a str,
    failure: Option<String>,
    fuel: Option<u64>,
}

impl Test {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let piece = draft.piece()?;
        let golden = draft.golden_of(piece.kind, self.vectors.as_deref())?;
        if self.write {
            let path = self.vectors.unwrap_or_else(|| draft.beside("vectors.json"));
            return rewrite(&piece, &golden, &path);
        }
        let (here, apart): (Vec<&Vector>, Vec<&Vector>) = golden
            .vectors
            .iter()
            .partition(|vector| piece.can_replay(vector));
        let reports: Vec<Report<'_>> = here
            .into_iter()
            .map(|vector| {
                let outcome = piece.replay(vector);
                Report {
                    name: &vector.name,
                    fuel: outcome.as_ref().ok().map(|trial| trial.fuel),
                    failure: outcome.err(),
                }
            })
            .collect();
        let failed = reports.iter().filter(|one| one.failure.is_some()).count();
        if self.json {
            let apart: Vec<&str> = apart.iter().map(|vector| vector.name.as_str()).collect();
            terminal::json(&json!({
                "plugin": draft.name, "failed": failed, "vectors": reports, "not_run": apart,
            }))?;
        } else {
            show(&reports, failed)?;
            if !apart.is_empty() {
                terminal::say(&format!(
                    "{} more were not run: others must answer for them over the network. The test \
                     kit runs them natively: `cargo test`",
                    apart.len()
                ))?;
            }
        }
        Ok(terminal::code(failed == 0))
    }
}

fn show(reports: &[Report<'_>], failed: usize) -> Result<(), Failure> {
    for report in reports {
        let line = match &report.failure {
            None => format!(
                "{} {} ({} instructions)",
                terminal::painted("ok    ", Colour::Green),
                report.name,
                terminal::grouped(report.fuel.unwrap_or_default())
            ),
            Some(why) => format!(
                "{} {}: {why}",
                terminal::painted("failed", Colour::Red),
                report.name
            ),
        };
        terminal::say(&line)?;
    }
    Ok(terminal::say(&format!(
        "{} vectors, {failed} failed",
        reports.len()
    ))?)
}

fn rewrite(piece: &Piece, golden: &Golden, path: &Path) -> Result<ExitCode, Failure> {
    let mut vectors = Vec::new();
    let mut changed = 0_usize;
    for vector in &golden.vectors {
        let now = piece
            .rewrite(vector)
            .map_err(|why| anyhow!("{:?}: {why}; nothing was written", vector.name))?;
        changed = changed.saturating_add(usize::from(now != *vector));
        vectors.push(now);
    }
    let golden = Golden {
        kind: golden.kind,
        vectors,
    };
    write(path, &golden)?;
    terminal::say(&format!(
        "{} of {} answers in {} are new; read the difference before you keep it",
        changed,
        golden.vectors.len(),
        path.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

impl Record {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let piece = draft.piece()?;
        let input = serde_json::from_str(&draft::text(&self.input)?)
            .with_context(|| format!("{} is no JSON", self.input.display()))?;
        let settings = match &self.settings {
            Some(settings) => settings.clone(),
            None => draft.settings()?,
        };
        let trial = piece
            .try_once(&Question {
                settings: &settings,
                input: &input,
                environment: None,
            })
            .map_err(|why| anyhow!("{}.wasm {why}", draft.name))?;
        let settings = serde_json::from_str(&settings).context("--settings is no JSON object")?;
        let vector = trial.vector(self.name, Some(settings), &input);
        match &self.append {
            None => terminal::json(&vector)?,
            Some(path) => append(path, &piece, vector)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn append(path: &Path, piece: &Piece, vector: Vector) -> Result<(), Failure> {
    let mut golden = match path.try_exists()? {
        true => Golden::parse(&draft::text(path)?)
            .map_err(|why| anyhow!("{}: {why}", path.display()))?,
        false => Golden {
            kind: piece.kind,
            vectors: Vec::new(),
        },
    };
    if golden.kind != piece.kind {
        bail!(
            "{} has vectors of a {} plugin; name another file",
            path.display(),
            golden.kind
        );
    }
    if golden.vectors.iter().any(|one| one.name == vector.name) {
        bail!(
            "{} has a vector {:?} already; call this one otherwise",
            path.display(),
            vector.name
        );
    }
    golden.vectors.push(vector);
    write(path, &golden)?;
    Ok(terminal::say(&format!(
        "{} has {} vectors now",
        path.display(),
        golden.vectors.len()
    ))?)
}

/// Beside, then a rename: whoever reads meanwhile reads the old file or the new one.
fn write(path: &Path, golden: &Golden) -> Result<(), Failure> {
    let beside = path.with_extension("json.tmp");
    let text = serde_json::to_string_pretty(golden)? + "\n";
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}
