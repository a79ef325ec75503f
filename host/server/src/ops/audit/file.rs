//! The file behind the log: whole lines only, rotated by size.

use super::lock::Lock;
use super::spool::Spool;
use super::{AuditError, AuditSettings};
use holdfast_model::UnixMillis;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) struct LogFile {
    settings: AuditSettings,
    file: File,
    /// Bytes of whole lines; anything after them is what a failed write left.
    bytes: u64,
    /// There may be more than whole lines in the file.
    torn: bool,
    /// The file has its last name, and there is no next one yet.
    is_aside: bool,
    /// The list of files, which the auditor reads from.
    spool: Arc<Spool>,
    lock: Arc<Lock>,
}

impl LogFile {
    pub(super) fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let lock = Lock::take(&settings.path)?;
        let path = settings.path.clone();
        Self::try_open(settings, lock).map_err(|source| AuditError::Open {
            path: path.display().to_string(),
            source,
        })
    }

    fn try_open(settings: AuditSettings, lock: Arc<Lock>) -> io::Result<Self> {
        let mut file = append(&settings.path)?;
        let mut bytes = file.seek(SeekFrom::End(0))?;
        if bytes > 0 {
            if last_byte(&mut file)? != Some(b'\n') {
                // A crash in the middle of a line: close it, so that the next one is whole.
                file.write_all(b"\n")?;
                bytes += 1;
            }
            file.sync_data()?;
        }
        let spool = Arc::new(Spool::open(&settings.path, bytes)?);
        Ok(Self {
            settings,
            file,
            bytes,
            torn: false,
            is_aside: false,
            spool,
            lock,
        })
    }

    /// The list of files.
    pub(super) const fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// What keeps other processes away.
    pub(super) const fn lock(&self) -> &Arc<Lock> {
        &self.lock
    }

    /// Whether so many bytes more would be more than may wait for the store. Some always may, or
    /// nothing would ever get through.
    pub(super) fn is_behind(&self, more: usize) -> bool {
        let waiting = self.spool.backlog();
        waiting > 0 && waiting.saturating_add(more as u64) > self.settings.backlog_bytes
    }

    /// Writes whole lines or none of them.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let is_full = self.bytes + lines.len() as u64 > self.settings.rotate_bytes;
        if self.is_aside || (self.bytes > 0 && is_full) {
            self.rotate()?;
        }
        if self.torn {
            self.file.set_len(self.bytes)?;
            self.torn = false;
        }
        if let Err(e) = self.file.write_all(lines) {
            self.torn = self.file.set_len(self.bytes).is_err();
            return Err(e);
        }
        self.bytes += lines.len() as u64;
        self.spool.wrote(lines.len() as u64);
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.spool.synced();
        Ok(())
    }

    /// Puts the file aside and begins the next. What fails is gone on with where it failed.
    fn rotate(&mut self) -> io::Result<()> {
        if !self.is_aside {
            self.put_aside()?;
        }
        let path = &self.settings.path;
        self.file = append(path)?;
        self.bytes = 0;
        self.torn = false;
        self.is_aside = false;
        self.spool.begin(path.clone());
        if let Some(dir) = path.parent()
            && let Ok(dir) = File::open(dir)
        {
            dir.sync_all()?;
        }
        Ok(())
    }

    /// Gives the file its last name.
    fn put_aside(&mut self) -> io::Result<()> {
        if self.torn {
            // Nobody comes back to it.
            self.file.set_len(self.bytes)?;
            self.torn = false;
        }
        self.file.sync_data()?;
        let path = &self.settings.path;
        let rename = |aside: &Path| match std::fs::rename(path, aside) {
            // Somebody took it away. Who reads finds that and says so; lines must go on.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        };
        self.spool.put_aside(free_name(path), rename)?;
        self.is_aside = true;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Who did what is nobody's business but the operator's.
        options.mode(0o600);
    }
    options.open(path)
}

fn last_byte(file: &mut File) -> io::Result<Option<u8>> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    let read = file.read(&mut last)?;
    Ok(last.first().copied().filter(|_| read == 1))
}

/// `audit.jsonl` → `audit.jsonl.<unix milliseconds>`, the next free one: names sort by age.
fn free_name(path: &Path) -> PathBuf {
    let mut stamp = now().as_millis();
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{stamp:013}"));
        let candidate = PathBuf::from(name);
        if !candidate.exists() {
            return candidate;
        }
        stamp += 1;
    }
}

/// What time it is: for names of files, and for outcomes that nobody was there to see.
pub(super) fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::audit::spool::Place;

    /// A folder in the next file's place is what cannot be opened; the one before has been renamed
    /// by then.
    #[test]
    fn a_rotation_that_fails_half_way_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut log = LogFile::open(AuditSettings {
            path: path.clone(),
            rotate_bytes: 10,
            backlog_bytes: u64::MAX,
        })
        .unwrap();
        log.write(b"{\"n\":1}\n").unwrap();
        log.put_aside().unwrap();
        std::fs::create_dir(&path).unwrap();
        for _ in 0..2 {
            log.write(b"{\"n\":2}\n").unwrap_err();
        }
        // What is in the one that was put aside can be read meanwhile.
        log.sync().unwrap();
        let read = |log: &LogFile| {
            let (mut at, mut all) = (Place::default(), Vec::new());
            loop {
                let batch = log.spool().read(at, 1_000).unwrap();
                all.extend(batch.lines().map(<[u8]>::to_vec));
                match batch.end == at {
                    true => return all,
                    false => at = batch.end,
                }
            }
        };
        assert_eq!(read(&log), [b"{\"n\":1}"]);
        std::fs::remove_dir(&path).unwrap();
        log.write(b"{\"n\":2}\n").unwrap();
        log.write(b"{\"n\":3}\n").unwrap();
        log.sync().unwrap();
        assert_eq!(read(&log), [b"{\"n\":1}", b"{\"n\":2}", b"{\"n\":3}"]);
        // The next process finds them all.
        drop(log);
        let log = LogFile::open(AuditSettings {
            path,
            rotate_bytes: 10,
            backlog_bytes: u64::MAX,
        })
        .unwrap();
        assert_eq!(read(&log).len(), 3);
    }
}
