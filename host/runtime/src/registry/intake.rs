//! How packages come in: from the folder, by hand, and from before a restart.

mod stages;

use super::loaded::Loaded;
use super::refusal::{Refusal, ReloadError};
use super::shelf::Previous;
use super::{Candidacy, Registry, Stage};
use crate::folder::{self, Found};
use crate::limits::{MANIFEST_BYTES_MAX, WASM_BYTES_CEILING};
use crate::package::{Package, hex};
use crate::promotion::PromoteBy;
use crate::signature::SIGNATURE_FILE_BYTES_MAX;
use crate::vectors::VECTORS_BYTES_MAX;
use std::fs;
use std::time::Instant;

/// What an operator hands over to be installed.
#[derive(Debug, Clone, Default)]
pub struct InstallParts {
    /// The component.
    pub wasm: Vec<u8>,
    /// `NAME.toml`.
    pub manifest: Option<String>,
    /// `NAME.sig`.
    pub signature: Option<String>,
    /// `NAME.vectors.json`.
    pub vectors: Option<String>,
}

impl Registry {
    /// Takes in what the folder has under a name, unless it was tried already.
    pub(super) fn take_in(&self, name: &str, found: &Found) {
        let package = &found.package;
        self.restore(name, Some(package));
        let mut shelf = self.shelf.lock();
        let slot = shelf.slot(name);
        let is_touched = slot.modified != found.modified;
        slot.modified = found.modified;
        if slot.tried == Some(package.fingerprint) {
            if is_touched {
                self.publish(&shelf);
            }
            return;
        }
        slot.tried = Some(package.fingerprint);
        let rejected = slot.rejected.as_ref();
        let rejected = rejected.filter(|old| old.fingerprint == package.fingerprint.hex());
        if let Some(rejected) = rejected {
            let refusal = Refusal {
                stage: Stage::Watch,
                kind: slot.live.as_ref().map(|live| live.member().kind()),
                digest: hex(&package.digest),
                generation: 0,
                why: rejected.why.clone(),
            };
            self.refuse(name, slot, refusal);
            self.publish(&shelf);
            return;
        }
        drop(shelf);
        self.try_package(name, package, false);
    }

    /// Has a package go through its stages and, if it passes, into service or into the shadow.
    pub(super) fn try_package(&self, name: &str, package: &Package, is_forced: bool) {
        match self.prepare(name, package) {
            Ok(loaded) => self.accept(name, loaded, package, is_forced),
            Err(refusal) => {
                let mut shelf = self.shelf.lock();
                self.refuse(name, shelf.slot(name), refusal);
                self.publish(&shelf);
            }
        }
    }

    /// Installs a package: only if it passes is anything written into the folder.
    pub(crate) fn install(&self, name: &str, parts: InstallParts) -> Result<(), ReloadError> {
        let _intake = self.intake.lock();
        let unread = |why: String| {
            self.count_reload("refused");
            self.metrics.refused(Stage::Read);
            ReloadError::Refused {
                plugin: name.to_owned(),
                stage: Stage::Read.as_str(),
                why,
            }
        };
        folder::check_name(name).map_err(unread)?;
        check_sizes(&parts).map_err(unread)?;
        let manifest = parts.manifest.unwrap_or_default();
        let package = Package::new(parts.wasm, manifest, parts.signature, parts.vectors);
        let loaded = self.prepare(name, &package).map_err(|refusal| {
            self.count_reload("refused");
            self.metrics.refused(refusal.stage);
            ReloadError::refused(name, &refusal)
        })?;
        let dir = &self.ground.dir;
        let written = folder::write(dir, name, &package)
            .and_then(|()| fs::metadata(dir.join(format!("{name}.wasm")))?.modified());
        let modified = written.map_err(|e| ReloadError::Unwritten {
            plugin: name.to_owned(),
            why: e.to_string(),
        })?;
        let mut shelf = self.shelf.lock();
        shelf.names.insert(name.to_owned());
        let slot = shelf.slot(name);
        slot.tried = Some(package.fingerprint);
        slot.modified = modified;
        slot.is_restored = true;
        drop(shelf);
        self.accept(name, loaded, &package, false);
        self.persist();
        Ok(())
    }

    /// Takes a plugin's files out of the folder, and with them whatever serves, waits or is kept
    /// under its name. Calls that run end on it.
    pub(crate) fn remove(&self, name: &str) -> Result<(), ReloadError> {
        let not_found = || ReloadError::NotFound(name.to_owned());
        folder::check_name(name).map_err(|_| not_found())?;
        let intake = self.intake.lock();
        let removed = folder::remove(&self.ground.dir, name);
        drop(intake);
        let was_there = removed.map_err(|e| ReloadError::Unwritten {
            plugin: name.to_owned(),
            why: e.to_string(),
        })?;
        if !was_there {
            return Err(not_found());
        }
        self.rescan();
        tracing::info!(plugin = name, "plugin removed");
        Ok(())
    }

    /// Loads what served under a name before a restart, if the folder holds something else by now,
    /// or nothing that can be read. Only the first time that a name is met.
    pub(super) fn restore(&self, name: &str, in_folder: Option<&Package>) {
        if std::mem::replace(&mut self.shelf.lock().slot(name).is_restored, true) {
            return;
        }
        let kept = self.ground.keep.of(name);
        let in_folder = in_folder.map(|package| package.fingerprint.hex());
        let other = kept
            .live
            .as_ref()
            .filter(|live| in_folder.as_ref() != Some(live));
        let live = other.map(|fingerprint| {
            let package = self.ground.keep.get(fingerprint);
            package.and_then(|package| self.prepare(name, &package).map_err(|r| r.why))
        });
        let mut shelf = self.shelf.lock();
        let slot = shelf.slot(name);
        slot.miss(&kept);
        slot.previous = kept.previous.map(Previous::Kept);
        slot.rejected = kept.rejected;
        match live {
            Some(Ok(loaded)) => {
                tracing::info!(
                    plugin = name,
                    generation = loaded.member().number(),
                    digest = &*loaded.member().candidate().digest,
                    "plugin loaded as it served before the restart; the folder holds another"
                );
                slot.live = Some(loaded);
                slot.since = Instant::now();
            }
            Some(Err(why)) => {
                tracing::error!(
                    plugin = name,
                    why,
                    "what served before the restart cannot be loaded; the folder's file is tried"
                );
                // Better what was put aside than nothing at all.
                slot.rejected = None;
            }
            None => {}
        }
    }

    /// A package has passed: it serves at once, or runs beside what serves.
    fn accept(&self, name: &str, loaded: Loaded, package: &Package, is_forced: bool) {
        if let Err(error) = self.ground.keep.put(package) {
            self.metrics.unkept.inc();
            tracing::error!(plugin = name, %error, "its files cannot be kept: a rollback will not survive a restart; look at the disk and at the rights of the state folder");
        }
        let was_live = self.ground.keep.of(name).live == Some(package.fingerprint.hex());
        let mut shelf = self.shelf.lock();
        let prices = shelf.live_pricing().is_some();
        let slot = shelf.slot(name);
        slot.refused = None;
        if let Some(candidacy) = slot.candidate.take() {
            slot.report = candidacy.report();
            shelf.retire(name, &candidacy.loaded());
        }
        let compares = prices || matches!(loaded, Loaded::Authorizer(_));
        let by = loaded.member().promotion().by;
        let serves = match by {
            PromoteBy::AtOnce => true,
            // Without anything to compare it with, its rule would never come to an end.
            PromoteBy::Shadow => !compares,
            PromoteBy::Hand => false,
        };
        let is_back = was_live && shelf.slot(name).live.is_none();
        if is_forced || is_back || serves {
            let by = if is_forced { "hand" } else { "rule" };
            self.promote_slot(&mut shelf, name, loaded, by);
        } else {
            shelf.slot(name).candidate = Some(Candidacy::of(loaded));
        }
        self.publish(&shelf);
        drop(shelf);
        self.bell.ring();
    }
}

fn check_sizes(parts: &InstallParts) -> Result<(), String> {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    for (part, bytes, most) in [
        ("the component", parts.wasm.len(), WASM_BYTES_CEILING),
        ("the manifest", text(&parts.manifest), MANIFEST_BYTES_MAX),
        (
            "the signature",
            text(&parts.signature),
            SIGNATURE_FILE_BYTES_MAX,
        ),
        ("the vectors", text(&parts.vectors), VECTORS_BYTES_MAX),
    ] {
        if bytes > most {
            return Err(format!("{part} has {bytes} bytes, and may have {most}"));
        }
    }
    Ok(())
}
