//! `holdfast plugin check` and `inspect`: what a host would say of a component, before it does.

use super::draft::Draft;
use crate::commands::Failure;
use crate::commands::terminal::{self, Colour};
use clap::Args;
use holdfast_runtime::workbench::{Inspection, Piece};
use holdfast_runtime::{PublicKey, Signature};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct Check {
    /// The built component; its other files lie beside it.
    file: PathBuf,
    /// A public key that its signature must be by; may be given more than once.
    #[arg(long, value_name = "ed25519:HEX")]
    trusted_key: Vec<String>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Inspect {
    /// The built component; its NAME.toml, if there is one, lies beside it.
    file: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// How one of the checks went.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Good,
    /// Nothing is wrong, and something could be better.
    Note,
    Wrong,
}

/// A check's answer: what is good, or why it is not.
type Said = Result<(Outcome, String), String>;

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let findings = findings(&draft, &self.trusted_key);
        let is_good = findings.iter().all(|one| one.outcome != Outcome::Wrong);
        if self.json {
            terminal::json(&json!({ "plugin": draft.name, "good": is_good, "checks": findings }))?;
        } else {
            for finding in &findings {
                let (word, colour) = match finding.outcome {
                    Outcome::Good => ("ok", Colour::Green),
                    Outcome::Note => ("note", Colour::Yellow),
                    Outcome::Wrong => ("wrong", Colour::Red),
                };
                let word = terminal::painted(&format!("{word:<6}"), colour);
                terminal::say(&format!("{word} {:<12} {}", finding.check, finding.said))?;
            }
        }
        Ok(terminal::code(is_good))
    }
}

/// Each check that still makes sense after those before it.
fn findings(draft: &Draft, trusted: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |check, said: Said| {
        let (outcome, said) = said.unwrap_or_else(|why| (Outcome::Wrong, why));
        findings.push(Finding {
            check,
            outcome,
            said,
        });
        outcome != Outcome::Wrong
    };
    add("signature", signature(draft, trusted));
    let settings = draft.settings().map_err(|e| format!("{e:#}"));
    add("manifest", manifest(draft, &settings));
    // What is wrong with the manifest was just told: the rest is looked at without it.
    let piece = match settings.is_ok() {
        true => draft.piece(),
        false => draft.piece_with(""),
    };
    let piece = piece.map_err(|e| format!("{e:#}"));
    let piece = match piece {
        Ok(piece) => piece,
        Err(why) => {
            add("component", Err(why));
            return findings;
        }
    };
    add("component", Ok((Outcome::Good, component(draft, &piece))));
    if settings.is_ok() {
        let inspected = piece.inspect();
        let is_started = add(
            "start",
            inspected.as_ref().map(started).map_err(Clone::clone),
        );
        if let Ok(inspection) = &inspected
            && is_started
        {
            add("imports", Ok(imports(inspection)));
        }
    }
    match draft.vectors() {
        Ok(Some(text)) => {
            if add("vectors", vectors(&piece, &text)) {
                add("determinism", determinism(&piece, &text));
            }
        }
        Ok(None) => {
            let file = draft.beside("vectors.json");
            let said = format!(
                "there is no {}; without vectors neither you nor a host can tell a changed answer",
                file.display()
            );
            add("vectors", Ok((Outcome::Note, said)));
        }
        Err(e) => {
            add("vectors", Err(format!("{e:#}")));
        }
    }
    findings
}

fn signature(draft: &Draft, trusted: &[String]) -> Said {
    let keys = trusted.iter().map(|text| PublicKey::parse(text));
    let keys = keys
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| format!("--trusted-key {why}"))?;
    let Some(text) = draft.text("sig").map_err(|e| format!("{e:#}"))? else {
        let said = format!(
            "there is no {}.sig; a host that requires signatures refuses it: `holdfast plugin sign`",
            draft.name
        );
        return match keys.is_empty() {
            true => Ok((Outcome::Note, said)),
            false => Err(said),
        };
    };
    let in_file = |why: String| format!("{}.sig {why}", draft.name);
    let signature = Signature::parse(&text).map_err(in_file)?;
    if keys.is_empty() {
        let said = format!(
            "names key {}; with --trusted-key it is checked",
            signature.key_id()
        );
        return Ok((Outcome::Note, said));
    }
    let key = signature.verify(&keys, &draft.digest()).map_err(in_file)?;
    Ok((Outcome::Good, format!("by key {}", key.id())))
}

fn manifest(draft: &Draft, settings: &Result<String, String>) -> Said {
    let settings = settings.clone()?;
    let is_there = draft.beside("toml").exists();
    Ok(match (is_there, settings.as_str()) {
        (false, _) => (
            Outcome::Note,
            format!(
                "there is no {}.toml: no settings, the usual limits",
                draft.name
            ),
        ),
        (true, "{}") => (Outcome::Good, "no settings".to_owned()),
        (true, settings) => (Outcome::Good, format!("settings {settings}")),
    })
}

fn component(draft: &Draft, piece: &Piece) -> String {
    format!(
        "{} plugin, {}, SHA-256 {}",
        piece.kind,
        terminal::bytes(draft.wasm.len()),
        terminal::hex(&draft.digest())
    )
}

fn started(inspection: &Inspection) -> (Outcome, String) {
    let Inspection { name, version, .. } = inspection;
    let said = format!(
        "{name} {version}; init took {} instructions, an instance holds {}",
        terminal::grouped(inspection.init_fuel),
        terminal::bytes(inspection.memory_bytes)
    );
    let is_version = version.split('.').count() == 3;
    match is_version {
        true => (Outcome::Good, said),
        false => (
            Outcome::Note,
            format!("{said}; its version is none of three numbers, such as 1.0.0"),
        ),
    }
}

fn imports(inspection: &Inspection) -> (Outcome, String) {
    let ours = |name: &&String| name.starts_with("holdfast:plugin/");
    let foreign = inspection.imports.iter().filter(|name| !ours(name)).count();
    let names: Vec<&str> = inspection
        .imports
        .iter()
        .filter(ours)
        .map(|name| name.trim_start_matches("holdfast:plugin/"))
        .collect();
    let names = match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    };
    (
        Outcome::Good,
        format!("{names} of the contract, {foreign} interfaces of WASI"),
    )
}

fn vectors(piece: &Piece, text: &str) -> Said {
    let proofs = piece.prove(text)?;
    let mut failed = proofs
        .iter()
        .filter_map(|proof| Some(format!("{:?}: {}", proof.name, proof.failure.as_ref()?)));
    match failed.next() {
        None => Ok((Outcome::Good, format!("all {} hold", proofs.len()))),
        Some(first) => Err(format!(
            "{} of {} fail; {first}",
            failed.count().saturating_add(1),
            proofs.len()
        )),
    }
}

fn determinism(piece: &Piece, text: &str) -> Said {
    let fuels = piece.prove_twice(text)?;
    let (least, most) = (fuels.iter().min(), fuels.iter().max());
    let (Some(least), Some(most)) = (least, most) else {
        return Ok((Outcome::Note, "there is no input to try".to_owned()));
    };
    Ok((
        Outcome::Good,
        format!(
            "{} inputs, each twice: the same answers, the same instructions ({} to {})",
            fuels.len(),
            terminal::grouped(*least),
            terminal::grouped(*most)
        ),
    ))
}

impl Inspect {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let piece = draft.piece()?;
        let inspection = piece.inspect();
        let inspection = inspection.map_err(|why| anyhow::anyhow!("{}.wasm {why}", draft.name))?;
        let digest = terminal::hex(&draft.digest());
        if self.json {
            let mut shown = serde_json::to_value(&inspection)?;
            if let Some(object) = shown.as_object_mut() {
                object.insert("digest".into(), Value::String(digest));
            }
            terminal::json(&shown)?;
            return Ok(ExitCode::SUCCESS);
        }
        for (name, text) in [
            ("kind", inspection.kind.to_string()),
            ("name", inspection.name.clone()),
            ("version", inspection.version.clone()),
            ("description", inspection.description.clone()),
            ("size", terminal::bytes(inspection.bytes)),
            ("digest", digest),
            ("memory", terminal::bytes(inspection.memory_bytes)),
            (
                "init",
                format!("{} instructions", terminal::grouped(inspection.init_fuel)),
            ),
            ("imports", inspection.imports.join("\n            ")),
            ("exports", inspection.exports.join("\n            ")),
        ] {
            terminal::say(&format!("{name:<12}{text}"))?;
        }
        for need in &inspection.needs {
            terminal::say(&format!("{:<12}{need}", "needs"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
