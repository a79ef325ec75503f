//! Compiled components on disk.
//!
//! What lies there is run by the processor as it is, so an entry is worth as much as the host's own
//! program. Hence the folder must be the host's alone, and each entry carries a MAC over its name
//! and its bytes, whose key lies beside it: a disk that went bad, a half-written file or an entry
//! that was brought from elsewhere is noticed, thrown away and compiled anew. Whoever can read the
//! key can also replace the program; the MAC is no help against that, and need not be.

use super::CODE_BYTES_MAX;
use super::trusted::Code;
use hmac::{Hmac, KeyInit, Mac};
use prometheus::IntCounterVec;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use sha2::Sha256;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// All entries together: some thousand small plugins, or a few that bring Python along.
const CACHE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Entries: each is looked at when another is added.
const ENTRIES_MAX: usize = 1_000;

/// Bytes of the MAC, which stand before the code.
const MAC_BYTES: usize = 32;

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// What the MAC is over begins with, so that the key proves nothing else.
const DOMAIN: &[u8] = b"holdfast compiled component 1\0";

const KEY_FILE: &str = "key";
const ENTRY: &str = "cwasm";
const HALF_WRITTEN: &str = "part";

/// The folder with compiled components.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    bytes_max: u64,
    dropped: IntCounterVec,
}

/// Code whose MAC was checked.
pub(super) struct Proven(Vec<u8>);

impl Proven {
    /// The code.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Cache {
    /// Opens the folder, and makes it if it is not there. The error is for the operator.
    pub(super) fn open(dir: &Path, dropped: IntCounterVec) -> Result<Self, String> {
        let failed =
            |what: String| format!("the cache of compiled plugins {} {what}", dir.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| failed(format!("cannot be made ({e})")))?;
        let found =
            fs::symlink_metadata(dir).map_err(|e| failed(format!("cannot be looked at ({e})")))?;
        if !found.is_dir() {
            return Err(failed("is no folder; remove it".into()));
        }
        must_be_ours(&found, 0o700).map_err(failed)?;
        let key = key(&dir.join(KEY_FILE)).map_err(failed)?;
        let cache = Self {
            dir: dir.to_owned(),
            key,
            bytes_max: CACHE_BYTES_MAX,
            dropped,
        };
        cache.sweep();
        Ok(cache)
    }

    /// The code under a name, if it is there and proven to be what was put there.
    pub(super) fn get(&self, name: &str) -> Option<Code> {
        let path = self.path(name);
        let file = File::open(&path).ok()?;
        match self.read(name, &file) {
            Ok(code) => {
                // Used now, so it goes last. It is only an order; if it cannot be set, so be it.
                let _ = futimens(&file, &NOW);
                Some(Code::of_cache(Proven(code)))
            }
            Err(why) => {
                self.drop_unusable(name, &why);
                None
            }
        }
    }

    /// Keeps code under a name. If that fails the next start compiles again, and nothing else.
    pub(super) fn put(&self, name: &str, code: &Code) {
        let written = code
            .to_bytes()
            .map_err(io::Error::other)
            .and_then(|bytes| self.write(name, &bytes));
        match written {
            Ok(()) => self.evict(name),
            Err(error) => {
                tracing::warn!(name, %error, "a compiled plugin cannot be kept; it is compiled again at the next start");
            }
        }
    }

    /// Throws an entry away that cannot be used.
    pub(super) fn drop_unusable(&self, name: &str, why: &str) {
        tracing::warn!(
            name,
            why,
            "an entry in the cache of compiled plugins is not what was put there; it is compiled anew"
        );
        self.remove(&self.path(name), "unproven");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.{ENTRY}"))
    }

    fn mac(&self, name: &str, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(DOMAIN);
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        Some(mac)
    }

    fn read(&self, name: &str, mut file: &File) -> Result<Vec<u8>, String> {
        let unreadable = |e: io::Error| format!("cannot be read ({e})");
        let found = file.metadata().map_err(unreadable)?;
        must_be_ours(&found, 0o600)?;
        let most = CODE_BYTES_MAX.saturating_add(MAC_BYTES) as u64;
        if !found.is_file() || found.len() > most {
            return Err("is no file of a usable size".into());
        }
        let mut tag = [0; MAC_BYTES];
        file.read_exact(&mut tag).map_err(unreadable)?;
        let mut code = Vec::new();
        file.take(most).read_to_end(&mut code).map_err(unreadable)?;
        let is_proven = self
            .mac(name, &code)
            .is_some_and(|mac| mac.verify_slice(&tag).is_ok());
        match is_proven {
            true => Ok(code),
            false => Err("has a MAC that does not fit".into()),
        }
    }

    /// Under a name of its own first, so that nobody finds half of it. It need not be synced: what
    /// a crash leaves has no fitting MAC.
    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mac = self
            .mac(name, code)
            .ok_or_else(|| io::Error::other("no MAC can be made"))?;
        let part = self.dir.join(format!("{name}.{HALF_WRITTEN}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(&mac.finalize().into_bytes())?;
        file.write_all(code)?;
        drop(file);
        fs::rename(&part, self.path(name))
    }

    /// Throws the entries away that were not used for longest, until the rest fits. The one that
    /// was just put there stays.
    fn evict(&self, newest: &str) {
        let newest = self.path(newest);
        let mut entries = self.entries();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut bytes = 0_u64;
        let mut count = 0_usize;
        for entry in entries {
            bytes = bytes.saturating_add(entry.bytes);
            count = count.saturating_add(1);
            let is_over = bytes > self.bytes_max || count > ENTRIES_MAX;
            if is_over && entry.path != newest {
                self.remove(&entry.path, "evicted");
                bytes = bytes.saturating_sub(entry.bytes);
                count = count.saturating_sub(1);
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let Ok(listed) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        listed
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|end| end == ENTRY))
            .filter_map(|entry| {
                let found = entry.metadata().ok()?;
                Some(Entry {
                    path: entry.path(),
                    bytes: found.len(),
                    used: found.modified().ok()?,
                })
            })
            .collect()
    }

    /// Removes what a process left that was stopped while it wrote.
    fn sweep(&self) {
        let listed = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for path in listed.map(|entry| entry.path()) {
            if path.extension().is_some_and(|end| end == HALF_WRITTEN) {
                self.remove(&path, "unproven");
            }
        }
    }

    fn remove(&self, path: &Path, reason: &str) {
        match fs::remove_file(path) {
            Ok(()) => self.dropped.with_label_values(&[reason]).inc(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "an entry of the cache cannot be removed");
            }
        }
    }
}

struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The file was written now; when it was read does not matter.
const NOW: Timestamps = Timestamps {
    last_access: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    },
    last_modification: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    },
};

/// Whether something is the host's alone.
fn must_be_ours(found: &fs::Metadata, mode: u32) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user {
        return Err(format!(
            "belongs to user {}, and the host runs as {user}; give it to the host's user, or remove it",
            found.uid()
        ));
    }
    let open = found.mode() & 0o077;
    if open != 0 {
        return Err(format!(
            "is open to others (mode {:o}); set it to {mode:o} and empty it, as others may have written there",
            found.mode() & 0o777
        ));
    }
    Ok(())
}

/// The key, made if there is none.
fn key(path: &Path) -> Result<[u8; KEY_BYTES], String> {
    let failed = |e: io::Error| format!("has a key that cannot be read or made ({e})");
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            let key: [u8; KEY_BYTES] = rand::random();
            file.write_all(&key)
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = File::open(path).map_err(failed)?;
            must_be_ours(&file.metadata().map_err(failed)?, 0o600)
                .map_err(|why| format!("has a key that {why}"))?;
            let mut bytes = Vec::new();
            file.take(KEY_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
            bytes.try_into().map_err(|_| {
                "has a key of a wrong length; remove the folder, it is made anew".into()
            })
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
