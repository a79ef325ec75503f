//! The files of the queue.
//!
//! ```text
//! payments/          only the host's own (0700)
//!   .lock            held by the process that collects
//!   KEY.json         one invoice, by the key that the collector knows it by
//! ```

use super::case::Case;
use super::{CollectingError, INVOICE_BYTES_MAX};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a file: an invoice, and beside it a memo and a sentence.
const FILE_BYTES_MAX: u64 = INVOICE_BYTES_MAX as u64 + 64 * 1024;

/// A file by its key, and the invoice in it or what is wrong with it.
type Found = (String, Result<Case, CollectingError>);

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Shelf(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    dir: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

impl Shelf {
    /// Makes the folder if it is not there, and takes it for this process.
    pub(super) fn open(dir: &Path) -> Result<Self, CollectingError> {
        let failed = |source| CollectingError::Folder {
            path: dir.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(dir.join(".lock"))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| {
            failed(match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another process collects the invoices in it; give each its own `data`",
                ),
            })
        })?;
        Ok(Self(Arc::new(Folder {
            dir: dir.to_owned(),
            _lock: lock,
        })))
    }

    /// All invoices by their keys, or what is wrong with a file.
    pub(super) fn read_all(&self) -> Result<Vec<Found>, CollectingError> {
        let failed = |source| CollectingError::Folder {
            path: self.0.dir.clone(),
            source,
        };
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // What begins with a dot is half a file of a process that was killed, or the lock.
            let key = name.to_str().and_then(|name| name.strip_suffix(".json"));
            if let Some(key) = key.filter(|key| !key.starts_with('.')) {
                all.push((key.to_owned(), self.read(key)));
            }
        }
        Ok(all)
    }

    /// One invoice.
    pub(super) fn read(&self, key: &str) -> Result<Case, CollectingError> {
        let path = self.path(key);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| {
            file.take(FILE_BYTES_MAX.saturating_add(1))
                .read_to_end(&mut bytes)
        });
        let broken = |why: String| CollectingError::Broken {
            path: path.clone(),
            why,
        };
        match read {
            Err(source) => {
                return Err(CollectingError::Folder { path, source });
            }
            Ok(length) if u64::try_from(length).unwrap_or(u64::MAX) > FILE_BYTES_MAX => {
                return Err(broken(format!("it has more than {FILE_BYTES_MAX} bytes")));
            }
            Ok(_) => {}
        }
        let case = Case::parse(&bytes).map_err(broken)?;
        match case.key() == key {
            true => Ok(case),
            false => Err(broken("it has another invoice's name".to_owned())),
        }
    }

    /// Writes an invoice that must not be there yet.
    pub(super) fn write_new(&self, key: &str, case: &Case) -> Result<(), CollectingError> {
        let path = self.path(key);
        match path.try_exists() {
            Ok(false) => self.write(key, case),
            Ok(true) => Err(CollectingError::Broken {
                path,
                why: "it could not be read when the host started".to_owned(),
            }),
            Err(source) => Err(CollectingError::Folder { path, source }),
        }
    }

    /// Writes an invoice over what was there, whole: beside, and then by a rename.
    pub(super) fn write(&self, key: &str, case: &Case) -> Result<(), CollectingError> {
        let (path, beside) = (self.path(key), self.0.dir.join(format!(".{key}.tmp")));
        let write = || {
            let mut file = File::options()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&case.to_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.0.dir)?.sync_all()
        };
        write().map_err(|source| CollectingError::Folder {
            path: path.clone(),
            source,
        })
    }

    /// Removes an invoice.
    pub(super) fn remove(&self, key: &str) -> Result<(), CollectingError> {
        let path = self.path(key);
        let removed = fs::remove_file(&path).and_then(|()| File::open(&self.0.dir)?.sync_all());
        removed.map_err(|source| CollectingError::Folder { path, source })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.0.dir.join(format!("{key}.json"))
    }
}
