//! The store's directory: who may use it, what it holds, and how it comes into being.
//!
//! ```text
//! LOCK     locked by the process that uses the directory
//! FORMAT   one line: which layout `db` has
//! CLOSED   after a clean stop: the last commit, which must be there again at the next start
//! db/      the fjall database
//! db.new/  a database that is being made; complete once FORMAT is there
//! probe    written to see whether a disk that failed works again
//! ```
//!
//! fjall cannot resume an interrupted creation of its own, so a new database is made beside its
//! place and moved there, and `FORMAT` is written in between: without it, `db.new` is thrown away;
//! with it, `db.new` is complete and only has to be moved.
//!
//! `CLOSED` exists because fjall takes a journal that ends early for one whose last write was torn
//! by a crash, and says nothing; after a clean stop no write can have been torn.

use super::draft::{commit, numbers_of, write_of_numbers};
use super::table::Tables;
use crate::Result;
use crate::error::StoreError;
use crate::row::Numbers;
use fjall::Database;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What `FORMAT` says of the layout that this program writes. Another layout gets another number.
const FORMAT: &str = "holdfast embedded store 1\n";

/// Bytes of decoded blocks that fjall keeps. Beside the tables' own write buffers it is most of
/// what the store holds in memory, and ten million pins are to be served within 256 MiB.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of journals after which tables are written out: the least that fjall allows. Journals are
/// read again at start, at some 4 µs a row, so they decide how long a start takes.
const JOURNALS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Threads that write tables out and merge them: one of each, so that neither waits for the other.
const WORKER_THREADS: usize = 2;

/// Bytes that a failed disk must take before the database is opened again on it.
const PROBE_BYTES: usize = 1024 * 1024;

/// A directory that this process, and no other, uses.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held for as long as the directory is used: the lock goes with the open file.
    _lock: File,
}

impl Directory {
    /// Takes a directory, made if need be, and makes an empty database in it if it is new.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let failed = |why: String| StoreError::Open {
            path: path.display().to_string(),
            why,
        };
        fs::create_dir_all(path)
            .map_err(|e| failed(format!("cannot be made ({e}); choose another directory")))?;
        let lock = lock(path).map_err(failed)?;
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        directory.prepare().map_err(failed)?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the database in the directory.
    pub(super) fn open(&self) -> Result<(Tables, Numbers)> {
        let path = self.path.join("db");
        let failed = |why: String| StoreError::Open {
            path: path.display().to_string(),
            why,
        };
        let tables = open_database(&path).map_err(failed)?;
        let Some(numbers) = numbers_of(&tables)? else {
            return Err(failed(damaged("its row of numbers is missing")));
        };
        self.check_closed(numbers.commit).map_err(failed)?;
        Ok((tables, numbers))
    }

    /// Notes a clean stop after a commit. Not having noted it costs the next start a check, no
    /// more.
    pub(super) fn note_closed(&self, commit: u64) {
        let noted = self.replace("CLOSED", &format!("{commit}\n"));
        if let Err(error) = noted {
            tracing::warn!(path = %self.path.display(), %error, "a clean stop could not be noted");
        }
    }

    fn check_closed(&self, commit: u64) -> std::result::Result<(), String> {
        let path = self.path.join("CLOSED");
        let Ok(noted) = fs::read_to_string(&path) else {
            return Ok(());
        };
        if noted.trim_end() != commit.to_string() {
            let what = format!(
                "it was closed at commit {} and is at {commit}",
                noted.trim_end()
            );
            return Err(damaged(&what));
        }
        // Durably, or else a crash after further commits would be taken for damage.
        fs::remove_file(&path)
            .and_then(|()| sync_directory(&self.path))
            .map_err(|e| cannot("remove CLOSED", &e))
    }

    /// Tells whether the disk takes bytes again.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = self.path.join("probe");
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0; PROBE_BYTES])?;
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    fn prepare(&self) -> std::result::Result<(), String> {
        let at = |name: &str| self.path.join(name);
        match fs::read_to_string(at("FORMAT")) {
            Ok(format) if format == FORMAT => {}
            Ok(format) => return Err(other_format(&format)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.make()?,
            Err(e) => return Err(format!("FORMAT cannot be read ({e}); mend its permissions")),
        }
        if !at("db").exists() {
            if !at("db.new").exists() {
                return Err(damaged("db is missing"));
            }
            fs::rename(at("db.new"), at("db")).map_err(|e| cannot("move db.new to db", &e))?;
        }
        sync_directory(&self.path).map_err(|e| cannot("sync the directory", &e))
    }

    /// Makes an empty database beside its place, and says so in `FORMAT`.
    fn make(&self) -> std::result::Result<(), String> {
        self.check_new()?;
        let staged = self.path.join("db.new");
        if staged.exists() {
            fs::remove_dir_all(&staged).map_err(|e| cannot("remove db.new", &e))?;
        }
        let tables = open_database(&staged)?;
        let write = write_of_numbers(&Numbers::default()).map_err(|e| e.to_string())?;
        commit(&tables, &[write]).map_err(|e| cannot("write to db.new", &e))?;
        drop(tables);
        sync_directory(&staged).map_err(|e| cannot("sync db.new", &e))?;
        self.replace("FORMAT", FORMAT)
            .map_err(|e| cannot("write FORMAT", &e))
    }

    /// Writes a small file so that it is there whole, or as it was before.
    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let staged = self.path.join(format!("{name}.new"));
        let mut file = File::create(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(staged, self.path.join(name))?;
        sync_directory(&self.path)
    }

    /// A directory without `FORMAT` is new only if it holds nothing but what an interrupted start
    /// has left.
    fn check_new(&self) -> std::result::Result<(), String> {
        let entries = fs::read_dir(&self.path).map_err(|e| cannot("read the directory", &e))?;
        for entry in entries {
            let name = entry
                .map_err(|e| cannot("read the directory", &e))?
                .file_name();
            let ours = ["LOCK", "FORMAT.new", "db.new"];
            if !ours.iter().any(|known| name == *known) {
                return Err(format!(
                    "holds {} but no FORMAT file, so it is no store; name an empty directory, or restore FORMAT if it was one",
                    name.display()
                ));
            }
        }
        Ok(())
    }
}

fn lock(directory: &Path) -> std::result::Result<File, String> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let lock = options
        .open(directory.join("LOCK"))
        .map_err(|e| format!("cannot be written ({e}); give this user write permission"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err("is in use by another process; stop it, or name another directory".into())
        }
        Err(TryLockError::Error(e)) => Err(cannot("lock the file LOCK", &e)),
    }
}

/// Opens fjall. It asserts much of what it reads, so damage may also come as a panic.
fn open_database(path: &Path) -> std::result::Result<Tables, String> {
    let open = || -> fjall::Result<Tables> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNALS_BYTES_MAX)
            .worker_threads(WORKER_THREADS)
            .manual_journal_persist(true)
            .open()?;
        Tables::open(path, database)
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(tables)) => Ok(tables),
        Ok(Err(fjall::Error::Locked)) => {
            Err("is in use by another process; stop it, or name another directory".into())
        }
        Ok(Err(fjall::Error::Io(e))) if e.kind() != io::ErrorKind::UnexpectedEof => Err(format!(
            "cannot be opened ({e}); mend the disk, its space or the permissions, or restore a backup"
        )),
        Ok(Err(e)) => Err(damaged(&e.to_string())),
        Err(_) => Err(damaged("fjall cannot read it")),
    }
}

fn damaged(what: &str) -> String {
    format!("is damaged: {what}; restore it from a backup")
}

fn other_format(format: &str) -> String {
    let shown: String = format.trim_end().chars().take(80).collect();
    format!(
        "FORMAT says {shown:?}, this program reads {:?}; run the version that wrote it and move the data with `holdfast state export` and `import`",
        FORMAT.trim_end()
    )
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> String {
    format!("cannot {what} ({error}); mend the disk, its space or the permissions")
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
