//! The auditor, started with what the configuration says.

use crate::app::App;
use crate::config::{Complaint, Config};
use crate::ops::audit::{Auditor, AuditorSettings, Notary};
use anyhow::{Context, anyhow};
use holdfast_runtime::SigningKey;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The key that is made where none is named.
const KEY_FILE: &str = "audit.key";

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// Starts the auditor.
pub(super) fn start(config: &Config, app: &App) -> anyhow::Result<Auditor> {
    let (store, clock) = (app.store.clone(), app.clock.clone());
    Ok(Auditor::start(&app.audit, store, clock, settings(config)?)?)
}

/// The auditor's settings. Where no key is named, one is made in the data directory: then somebody
/// who can change the store can often change the key too, so production wants one by name.
fn settings(config: &Config) -> anyhow::Result<AuditorSettings> {
    let audit = &config.audit;
    if !audit.enabled {
        return Ok(AuditorSettings::default());
    }
    let key = match &audit.signing_key {
        Some(key) => {
            SigningKey::from_pem(key.reveal()).map_err(|why| anyhow!("audit.signing_key {why}"))?
        }
        None => own_key(&config.general.data.join(KEY_FILE))?,
    };
    let notary = Arc::new(Notary::new(key));
    tracing::info!(key = %notary.public(), "checkpoints of the audit log are signed");
    Ok(AuditorSettings {
        notary: Some(notary),
        checkpoint_entries: audit.checkpoint_entries.get(),
        checkpoint_every: audit.checkpoint_every.get(),
        keep: match audit.keep_days.get() {
            0 => None,
            days => Some(Duration::from_secs(days * DAY_SECONDS)),
        },
    })
}

/// What is wrong with the key that signs, if one is named.
pub(super) fn check(config: &Config) -> Option<Complaint> {
    let key = config.audit.signing_key.as_ref()?;
    let why = SigningKey::from_pem(key.reveal()).err()?;
    let write = "write \"file:PATH\" to a key that `holdfast plugin keygen` made";
    Some(Complaint::new("audit.signing_key", why, write))
}

/// The key in the data directory, made if it is not there.
fn own_key(path: &Path) -> anyhow::Result<SigningKey> {
    let of_text = |text: &str| {
        let key = SigningKey::from_pem(text);
        key.map_err(|why| anyhow!("{} {why}", path.display()))
    };
    match fs::read_to_string(path) {
        Ok(text) => return of_text(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    let key = SigningKey::generate().map_err(|why| anyhow!(why))?;
    let written = create(path).and_then(|mut file| {
        file.write_all(key.to_pem().as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("{} cannot be made", path.display()))?;
    Ok(key)
}

fn create(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
