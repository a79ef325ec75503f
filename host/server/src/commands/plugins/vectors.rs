//! `holdfast plugin test` and `record`: golden vectors, run and written.

use super::draft::{self, Draft};
use crate::commands::Failure;
use crate::commands::terminal::{self, Colour};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use holdfast_runtime::workbench::{Golden, Piece, Proof, Vector};
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

impl Test {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let piece = draft.piece()?;
        let (path, text) = draft.vectors_of(self.vectors.as_deref())?;
        let proofs = piece.prove(&text);
        let proofs = proofs.map_err(|why| anyhow!("{}: {why}", path.display()))?;
        if self.write {
            return rewrite(&piece, &text, proofs, &path);
        }
        let failed = proofs.iter().filter(|one| one.failure.is_some()).count();
        if self.json {
            terminal::json(&json!({
                "plugin": draft.name, "failed": failed, "vectors": proofs,
            }))?;
        } else {
            show(&proofs, failed)?;
        }
        Ok(terminal::code(failed == 0))
    }
}

fn show(proofs: &[Proof], failed: usize) -> Result<(), Failure> {
    for proof in proofs {
        let line = match &proof.failure {
            None => format!(
                "{} {} ({} instructions)",
                terminal::painted("ok    ", Colour::Green),
                proof.name,
                terminal::grouped(proof.fuel)
            ),
            Some(why) => format!(
                "{} {}: {why}",
                terminal::painted("failed", Colour::Red),
                proof.name
            ),
        };
        terminal::say(&line)?;
    }
    Ok(terminal::say(&format!(
        "{} vectors, {failed} failed",
        proofs.len()
    ))?)
}

fn rewrite(
    piece: &Piece,
    text: &str,
    proofs: Vec<Proof>,
    path: &Path,
) -> Result<ExitCode, Failure> {
    let mut golden = Golden::parse(text, piece.kind).map_err(|why| anyhow!(why))?;
    let mut changed = 0_usize;
    for (vector, proof) in golden.vectors.iter_mut().zip(proofs) {
        // What `init` must say is for the author to write.
        if proof.failure.is_none() || vector.is_refusal() {
            continue;
        }
        match proof.output {
            Some(output) if output != vector.output => vector.output = output,
            // It did not answer, or not over the exchanges that are recorded.
            _ => bail!(
                "{:?}: {}; nothing was written",
                vector.name,
                proof.failure.unwrap_or_default()
            ),
        }
        changed = changed.saturating_add(1);
    }
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
        let trial = piece.try_once(&settings, &input);
        let trial = trial.map_err(|why| anyhow!("{}.wasm: {why}", draft.name))?;
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
        true => Golden::parse(&draft::text(path)?, piece.kind)
            .map_err(|why| anyhow!("{}: {why}", path.display()))?,
        false => Golden {
            kind: piece.kind,
            vectors: Vec::new(),
        },
    };
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
