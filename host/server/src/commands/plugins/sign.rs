//! `holdfast plugin keygen` and `sign`.

use super::draft::{self, Draft};
use crate::commands::{Failure, terminal};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use holdfast_runtime::{Signature, SigningKey};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Who may read a private key: its owner.
const KEY_MODE: u32 = 0o600;

#[derive(Debug, Args)]
pub(in crate::commands) struct Keygen {
    /// Where to write the private key; nothing that is there is written over.
    file: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Sign {
    /// The built component.
    file: PathBuf,
    /// The private key: PKCS#8 in PEM.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_SIGNING_KEY_FILE")]
    key_file: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

impl Keygen {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let key = SigningKey::generate().map_err(|why| anyhow!(why))?;
        let made = File::options()
            .write(true)
            .create_new(true)
            .mode(KEY_MODE)
            .open(&self.file);
        let mut file = match made {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => bail!(
                "{} is there already, and may be somebody's only key; name another file",
                self.file.display()
            ),
            made => made.with_context(|| format!("{} cannot be made", self.file.display()))?,
        };
        file.write_all(key.to_pem().as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("{} cannot be written", self.file.display()))?;
        let public = key.public();
        if self.json {
            terminal::json(&json!({ "public_key": public.to_string(), "key_id": public.id() }))?;
        } else {
            terminal::say(&format!(
                "{public}\n\nkey {}; its private half is in {}, which only you can read: keep a \
                 copy where it is safe.",
                public.id(),
                self.file.display()
            ))?;
            terminal::say(&format!(
                "A host trusts it for a kind of plugin when its configuration has\n\n  \
                 [plugins.trusted_keys]\n  pricing = [\"{public}\"]"
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Sign {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let key = signing_key(&self.key_file)?;
        // What is no plugin is not worth a signature, and somebody would trust it.
        let piece = draft.piece()?;
        let signature = key.sign(&draft.digest());
        let path = draft.beside("sig");
        write(&path, &signature)?;
        if self.json {
            terminal::json(&json!({
                "file": path,
                "key_id": signature.key_id(),
                "digest": terminal::hex(&draft.digest()),
            }))?;
        } else {
            terminal::say(&format!(
                "{}: the {} plugin {} is signed with key {}",
                path.display(),
                piece.kind,
                draft.name,
                signature.key_id()
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads a private key that nobody else can read.
pub(in crate::commands) fn signing_key(path: &Path) -> Result<SigningKey, Failure> {
    let text = draft::text(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others; run `chmod 600 {}`, and think about who has seen it",
            path.display(),
            path.display()
        );
    }
    SigningKey::from_pem(&text).map_err(|why| anyhow!("{} {why}", path.display()))
}

fn write(path: &Path, signature: &Signature) -> Result<(), Failure> {
    let beside = path.with_extension("sig.tmp");
    fs::write(&beside, format!("{signature}\n"))
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}
