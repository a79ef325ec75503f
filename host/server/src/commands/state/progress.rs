//! How far an import has come, in a file beside its source: after a crash it goes on there.
//!
//! It is written after what it tells of has become durable, and replaced whole. A run that is
//! killed between the two reads a few pieces again, which changes nothing.

use super::source::Position;
use crate::commands::Failure;
use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is written.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// What an import has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Pins that are in the target now.
    pub(super) imported: u64,
    /// Pins that were there already and stayed as they were.
    pub(super) kept: u64,
    /// Pins of old forms among them.
    pub(super) upgraded: u64,
    /// What was no pin, or was not taken.
    pub(super) rejected: u64,
}

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The source and the target, as they were named.
    pub(super) source: String,
    pub(super) target: String,
    /// Bytes of the source: another file of the same name is not gone on in.
    pub(super) size: u64,
    /// Whether the target has been cleared, which is not done twice.
    pub(super) cleared: bool,
    pub(super) at: Position,
    pub(super) counts: Counts,
    /// How long the file of rejects is.
    pub(super) rejects_bytes: u64,
}

/// The file.
pub(super) struct Kept {
    path: PathBuf,
    saved: Instant,
}

impl Kept {
    /// The file, and what an earlier run of the same import left in it.
    pub(super) fn open(path: PathBuf, fresh: Progress) -> Result<(Self, Progress), Failure> {
        let kept = Self {
            path,
            saved: Instant::now(),
        };
        let Some(left) = left::<Progress>(&kept.path)? else {
            return Ok((kept, fresh));
        };
        let is_same =
            left.source == fresh.source && left.target == fresh.target && left.size == fresh.size;
        if !is_same {
            bail!(
                "{} is of an import of {} ({} bytes) into {}; delete it to begin anew",
                kept.path.display(),
                left.source,
                left.size,
                left.target
            );
        }
        Ok((kept, left))
    }

    /// Writes it if it is time, or if it must be.
    pub(super) fn save(&mut self, progress: &Progress, must: bool) -> Result<(), Failure> {
        if !must && self.saved.elapsed() < SAVE_EVERY {
            return Ok(());
        }
        self.saved = Instant::now();
        let written = write_whole(&self.path, &serde_json::to_vec_pretty(progress)?);
        written.with_context(|| {
            format!(
                "{} cannot be written; name another file with --progress",
                self.path.display()
            )
        })
    }

    /// The import is through.
    pub(super) fn forget(self) -> Result<(), Failure> {
        forget(&self.path)
    }
}

/// What an earlier run has left in a file of its progress.
pub(super) fn left<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let shown = path.display();
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
    };
    let left = serde_json::from_slice(&text)
        .with_context(|| format!("{shown} is no progress file; delete it to begin anew"))?;
    Ok(Some(left))
}

/// Removes a file of progress, if it is there.
pub(super) fn forget(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file that is there as a whole or not at all, whenever this program is killed or the
/// machine loses its power.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let incoming = beside(path, "-new");
    let mut file = File::create(&incoming)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(incoming, path)
}

/// A file's name with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_gone_on_with_and_another_import_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pins.json.progress");
        let fresh = Progress {
            source: "pins.json".to_owned(),
            size: 10,
            ..Progress::default()
        };
        let (mut kept, progress) = Kept::open(path.clone(), fresh.clone()).unwrap();
        assert_eq!(progress, fresh);
        let left = Progress {
            at: Position { bytes: 5, lines: 1 },
            ..fresh.clone()
        };
        kept.save(&left, true).unwrap();
        assert_eq!(Kept::open(path.clone(), fresh.clone()).unwrap().1, left);
        let other = Progress { size: 11, ..fresh };
        let refused = Kept::open(path.clone(), other).err().unwrap().to_string();
        assert!(refused.contains("delete it to begin anew"), "{refused}");
        kept.forget().unwrap();
        assert!(!path.exists());
    }
}
