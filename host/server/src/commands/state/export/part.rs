//! A file that is being exported, under another name until it is whole: half an export looks like a
//! whole one.
//!
//! How far it is stands in a file beside it. What that tells of is on the disk before it is told,
//! so a run that was killed is gone on with at the last such moment: what came after it is cut off.

use crate::commands::state::progress::{beside, forget, left, write_whole};
use crate::commands::state::source::{Mark, Piece};
use crate::commands::{Failure, terminal};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After so long it is told how far the file is: no more than that is done again.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Bytes after which it is told although that was just now: more on their way to the disk would
/// hold the last of them up for long.
const TELL_BYTES: u64 = 32 * 1024 * 1024;

/// The file.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    told_at: PathBuf,
    so_far: SoFar,
    told: Instant,
    told_bytes: u64,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SoFar {
    /// What it is an export of.
    of: String,
    bytes: u64,
    pins: u64,
    /// Where to go on behind these bytes.
    mark: Option<Mark>,
}

impl Part {
    /// The file, and behind what to go on if an earlier run of the same export has begun it.
    pub(super) fn open(whole: &Path, of: String) -> Result<(Self, Option<Mark>), Failure> {
        let path = beside(whole, ".part");
        let told_at = beside(&path, ".progress");
        let file = locked(&path)?;
        let left = told(&told_at, &of)?;
        // A file that was deleted, or is another, is not the one that was told of.
        let left = match left {
            Some(left) if file.metadata()?.len() >= left.bytes => Some(left),
            _ => None,
        };
        let so_far = match left {
            Some(left) => left,
            None => {
                forget(&told_at)?;
                SoFar {
                    of,
                    bytes: 0,
                    pins: 0,
                    mark: None,
                }
            }
        };
        if so_far.pins > 0 {
            terminal::note(&format!(
                "going on after {} pins in {}, which an earlier run left; delete it to begin anew",
                terminal::grouped(so_far.pins),
                path.display()
            ));
        }
        let mut part = Self {
            told: Instant::now(),
            told_bytes: so_far.bytes,
            path,
            file,
            told_at,
            so_far,
        };
        part.file.set_len(part.so_far.bytes)?;
        part.file.seek(SeekFrom::Start(part.so_far.bytes))?;
        let mark = part.so_far.mark.clone();
        Ok((part, mark))
    }

    /// Writes a piece.
    pub(super) fn write(&mut self, bytes: &[u8], piece: &Piece) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.so_far.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.so_far.pins += u64::try_from(piece.pins.len()).unwrap_or(u64::MAX);
        self.so_far.mark.clone_from(&piece.mark);
        let is_due =
            self.told.elapsed() >= TELL_EVERY || self.so_far.bytes - self.told_bytes >= TELL_BYTES;
        if piece.mark.is_some() && is_due {
            self.tell()?;
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), Failure> {
        self.file.sync_data()?;
        let told = write_whole(&self.told_at, &serde_json::to_vec_pretty(&self.so_far)?);
        told.with_context(|| format!("{} cannot be written", self.told_at.display()))?;
        self.told = Instant::now();
        self.told_bytes = self.so_far.bytes;
        Ok(())
    }

    /// Gives the file its name.
    pub(super) fn end(self, whole: &Path) -> Result<(), Failure> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, whole)?;
        forget(&self.told_at)
    }
}

/// The file, which no other run writes.
fn locked(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = file.with_context(|| format!("{shown} cannot be written"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => bail!("another run is writing {shown}; wait for it"),
        // Not every file system can lock.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    if !path.exists() {
        bail!("another run has just given {shown} its name");
    }
    Ok(file)
}

/// What an earlier run of the same export has told.
fn told(told_at: &Path, of: &str) -> Result<Option<SoFar>, Failure> {
    let left = left::<SoFar>(told_at)?;
    if let Some(left) = left.as_ref().filter(|left| left.of != of) {
        bail!(
            "{} is of an export of {}, and not of {of}; finish that, or delete it",
            told_at.display(),
            left.of
        );
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(mark: &str) -> Piece {
        let mut piece = Piece::default();
        piece.mark.replace(Mark::Host(mark.to_owned()));
        piece
    }

    #[test]
    fn what_was_told_is_gone_on_with_and_what_came_after_it_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("out");
        let open = |of: &str| Part::open(&whole, of.to_owned());
        let (mut part, mark) = open("a").unwrap();
        assert_eq!(mark, None);
        part.write(b"one ", &piece("1")).unwrap();
        part.tell().unwrap();
        part.write(b"two", &piece("2")).unwrap();
        let refused = open("a").err().unwrap().to_string();
        assert!(refused.contains("another run is writing"), "{refused}");
        drop(part);

        let refused = open("b").err().unwrap().to_string();
        assert!(refused.contains("finish that, or delete it"), "{refused}");
        let (mut part, mark) = open("a").unwrap();
        assert_eq!(mark, Some(Mark::Host("1".to_owned())));
        part.write(b"three", &piece("3")).unwrap();
        part.end(&whole).unwrap();
        assert_eq!(std::fs::read(&whole).unwrap(), b"one three");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    /// Deleted, the file is begun anew, and so it is if that is killed before anything is told.
    #[test]
    fn a_file_that_is_not_the_one_that_was_told_of_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("out");
        let open = || Part::open(&whole, "a".to_owned()).unwrap();
        let (mut part, _) = open();
        part.write(b"one ", &piece("1")).unwrap();
        part.tell().unwrap();
        drop(part);
        std::fs::remove_file(dir.path().join("out.part")).unwrap();
        for _ in 0..2 {
            let (mut part, mark) = open();
            assert_eq!(mark, None);
            part.write(b"longer than that", &piece("2")).unwrap();
        }
    }
}
