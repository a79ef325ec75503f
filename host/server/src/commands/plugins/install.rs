//! `holdfast plugin install`: into a running host, or into a folder that one watches.

use super::draft::Draft;
use super::running::{path, show_now};
use crate::commands::client::Target;
use crate::commands::{Failure, terminal};
use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The files that go with a component, by their ending, and what the API calls them.
const BESIDE: [(&str, &str); 3] = [
    ("toml", "manifest"),
    ("sig", "signature"),
    ("vectors.json", "vectors"),
];

#[derive(Debug, Args)]
pub(in crate::commands) struct Install {
    #[command(flatten)]
    target: Target,
    /// The built component; its other files lie beside it.
    file: PathBuf,
    /// Under which name [default: the file's].
    #[arg(long)]
    name: Option<String>,
    /// Into this folder, and not by a call to a host.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Install {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let name = self.name.as_deref().unwrap_or(&draft.name);
        match &self.dir {
            Some(dir) => {
                into_folder(&draft, dir, name)?;
                if self.target.json {
                    terminal::json(&json!({ "name": name, "dir": dir }))?;
                } else {
                    terminal::say(&format!(
                        "{name} is in {}; a host that watches it takes it in within two seconds",
                        dir.display()
                    ))?;
                }
            }
            None => into_host(&draft, &self.target, name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn into_host(draft: &Draft, target: &Target, name: &str) -> Result<(), Failure> {
    let mut package = Map::new();
    package.insert("wasm".into(), json!(STANDARD.encode(&draft.wasm)));
    for (ending, field) in BESIDE {
        if let Some(text) = draft.text(ending)? {
            package.insert(field.into(), json!(text));
        }
    }
    let package = Value::Object(package);
    let now = target
        .call(Method::PUT, &path(name, "")?, Some(&package))
        .await?;
    if now.get("state").and_then(Value::as_str) == Some("installing") && !target.json {
        return Ok(terminal::say(&format!(
            "{name} is still being compiled and tried; `holdfast plugin list {name}` shows what \
             becomes of it"
        ))?);
    }
    show_now(target, &now)
}

/// Each file beside its place, whole and on disk, then moved there: a host that looks meanwhile
/// sees the old file or the new one. The component comes last, so that it is never met by the
/// settings or the signature of the one before.
fn into_folder(draft: &Draft, dir: &Path, name: &str) -> Result<(), Failure> {
    path(name, "")?;
    if !dir.is_dir() {
        bail!(
            "{} is no folder; name the one that the host's plugins.dir names",
            dir.display()
        );
    }
    // Not what a host would refuse anyway: it is told here, where somebody reads it.
    draft.piece()?;
    let mut files = Vec::new();
    for (ending, _) in BESIDE {
        files.push((format!("{name}.{ending}"), draft.text(ending)?));
    }
    for (file, text) in files {
        match text {
            Some(text) => put(dir, &file, text.as_bytes())?,
            // A manifest is the operator's and stays; what speaks of the component goes with it.
            None if file.ends_with(".toml") => {}
            None => match fs::remove_file(dir.join(&file)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(anyhow!("{file} cannot be removed ({e})"));
                }
                _ => {}
            },
        }
    }
    put(dir, &format!("{name}.wasm"), &draft.wasm)
}

fn put(dir: &Path, file: &str, bytes: &[u8]) -> Result<(), Failure> {
    let beside = dir.join(format!(".{file}.tmp"));
    let written = File::create(&beside).and_then(|mut out| {
        out.write_all(bytes)?;
        out.sync_all()
    });
    written
        .and_then(|()| fs::rename(&beside, dir.join(file)))
        .with_context(|| format!("{file} cannot be written into {}", dir.display()))
}
