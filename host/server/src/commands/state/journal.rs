//! What a migration has written, in files of its own: begun again, it knows its pins from others'.
//!
//! One file tells between which places it moves, another has a [`Record`] of each pin, which stands
//! there before the pin is written. So what else the target holds was put there by somebody else,
//! before or meanwhile, and is never removed. A record too many, of a pin that was not written
//! after all, does no harm: what is not in the target cannot be taken for anybody's.

use super::known::{RECORD_BYTES, Record};
use super::progress::{beside, left, write_whole};
use crate::commands::Failure;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of records that are read at once.
const READ_BYTES: usize = 1024 * 1024;

/// Between which places a migration moves, as they were named.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beginning {
    pub(super) from: String,
    pub(super) to: String,
}

/// The files.
pub(super) struct Journal {
    progress: PathBuf,
    path: PathBuf,
    records: File,
}

impl Journal {
    /// The files, made if there are none; tells each record that an earlier run of the same
    /// migration left, oldest first.
    pub(super) fn open(
        progress: &Path,
        beginning: &Beginning,
        mut tell: impl FnMut(Record),
    ) -> Result<Self, Failure> {
        let is_begun = is_begun(progress, beginning)?;
        let path = beside(progress, ".written");
        let records = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(!is_begun)
            .open(&path);
        let mut journal = Self {
            progress: progress.to_owned(),
            records: records.with_context(|| cannot_be_written(&path))?,
            path,
        };
        journal.read(&mut tell)?;
        if !is_begun {
            // After the records are empty: those of another migration must never be taken for ours.
            write_whole(progress, &serde_json::to_vec_pretty(beginning)?)
                .with_context(|| cannot_be_written(progress))?;
        }
        Ok(journal)
    }

    /// Reads what is there and goes on behind the last whole record.
    fn read(&mut self, tell: &mut impl FnMut(Record)) -> Result<(), Failure> {
        let mut input = BufReader::with_capacity(READ_BYTES, &self.records);
        let (mut bytes, mut whole) = ([0; RECORD_BYTES], 0);
        loop {
            match input.read_exact(&mut bytes) {
                Ok(()) => tell(Record::from_bytes(bytes)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => {
                    let shown = self.path.display();
                    return Err(error).with_context(|| format!("{shown} cannot be read"));
                }
            }
            whole += u64::try_from(RECORD_BYTES).unwrap_or(u64::MAX);
        }
        // A run that was killed may have left a part of one.
        self.records.set_len(whole)?;
        self.records.seek(SeekFrom::Start(whole))?;
        Ok(())
    }

    /// Hands records to the system, which keeps them though this program be killed.
    pub(super) fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        let bytes: Vec<u8> = records.iter().flat_map(|one| one.to_bytes()).collect();
        let written = self.records.write_all(&bytes);
        written.with_context(|| cannot_be_written(&self.path))
    }

    /// The migration is through.
    pub(super) fn forget(self) -> Result<(), Failure> {
        for path in [&self.progress, &self.path] {
            std::fs::remove_file(path)
                .with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        Ok(())
    }
}

/// Whether an earlier run of this migration has begun it; another one's files are not gone on in.
fn is_begun(progress: &Path, beginning: &Beginning) -> Result<bool, Failure> {
    let Some(left) = left::<Beginning>(progress)? else {
        return Ok(false);
    };
    if left != *beginning {
        bail!(
            "{} is of a migration from {} to {}; finish that, or delete it",
            progress.display(),
            left.from,
            left.to
        );
    }
    Ok(true)
}

fn cannot_be_written(path: &Path) -> String {
    format!("{} cannot be written; set --progress", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(from: &str) -> Beginning {
        Beginning {
            from: from.to_owned(),
            to: "the store".to_owned(),
        }
    }

    fn record(n: u8) -> Record {
        Record::from_bytes([n; RECORD_BYTES])
    }

    #[test]
    fn records_are_told_again_but_for_one_that_broke_off_and_those_of_another_migration() {
        let dir = tempfile::tempdir().unwrap();
        let progress = dir.path().join("p");
        let open = |from: &str| {
            let mut told = Vec::new();
            let journal = Journal::open(&progress, &beginning(from), |one| told.push(one));
            journal.map(|journal| (journal, told))
        };
        let (mut journal, told) = open("a").unwrap();
        assert_eq!(told, []);
        journal.write(&[record(1), record(2)]).unwrap();
        journal.records.write_all(&[3; 5]).unwrap();
        let (mut journal, told) = open("a").unwrap();
        assert_eq!(told, [record(1), record(2)]);
        journal.write(&[record(4)]).unwrap();
        assert_eq!(open("a").unwrap().1, [record(1), record(2), record(4)]);
        let refused = open("b").err().unwrap().to_string();
        assert!(refused.contains("finish that"), "{refused}");
        std::fs::remove_file(&progress).unwrap();
        let (journal, told) = open("b").unwrap();
        assert_eq!(told, []);
        journal.forget().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
