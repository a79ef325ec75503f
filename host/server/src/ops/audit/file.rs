//! The file behind the log: whole lines only, rotated by size.

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
    /// The list of files, which the auditor reads from.
    spool: Arc<Spool>,
}

impl LogFile {
    pub(super) fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let path = settings.path.clone();
        Self::try_open(settings).map_err(|source| AuditError::Open {
            path: path.display().to_string(),
            source,
        })
    }

    fn try_open(settings: AuditSettings) -> io::Result<Self> {
        if let Some(dir) = settings.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
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
            spool,
        })
    }

    /// The list of files.
    pub(super) const fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Whether so many bytes more would be more than may wait for the store. Some always may, or
    /// nothing would ever get through.
    pub(super) fn is_behind(&self, more: usize) -> bool {
        let waiting = self.spool.backlog();
        waiting > 0 && waiting.saturating_add(more as u64) > self.settings.backlog_bytes
    }

    /// Writes whole lines or none of them.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + lines.len() as u64 > self.settings.rotate_bytes {
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

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let path = &self.settings.path;
        let mut next = None;
        self.spool.put_aside(free_name(path), |aside| {
            std::fs::rename(path, aside)?;
            next = Some(append(path)?);
            Ok(())
        })?;
        if let Some(next) = next {
            self.file = next;
            self.bytes = 0;
        }
        if let Some(dir) = path.parent()
            && let Ok(dir) = File::open(dir)
        {
            dir.sync_all()?;
        }
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
