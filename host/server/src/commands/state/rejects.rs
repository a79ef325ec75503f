//! The file of what was no pin: a line of JSON each, with where it stood and why.

use super::source::Bad;
use crate::commands::Failure;
use anyhow::Context;
use holdfast_model::Cid;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Characters of a bad line that are kept: enough to know it again.
const TEXT_CHARS_MAX: usize = 4_096;

#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    reason: &'a str,
    text: String,
}

/// What was rejected; the file is made with the first.
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// How long the file is.
    pub(super) bytes: u64,
    pub(super) count: u64,
}

impl Rejects {
    /// Goes on after `bytes`, with what an earlier run had rejected: what it wrote beyond them is
    /// read again, and rejected again.
    pub(super) fn resume(path: PathBuf, bytes: u64, count: u64) -> Result<Self, Failure> {
        let mut rejects = Self {
            path,
            file: None,
            bytes: 0,
            count,
        };
        if bytes > 0 {
            rejects.bytes = bytes;
            let file = rejects.open()?.get_mut();
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
        }
        Ok(rejects)
    }

    /// Begins anew: of what an earlier run had rejected, nothing stays.
    pub(super) fn begin(path: PathBuf) -> Result<Self, Failure> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let shown = path.display();
                Err(error).with_context(|| format!("{shown} cannot be written over"))
            }
            _ => Self::resume(path, 0, 0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bad(&mut self, bad: &Bad) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(&bad.text);
        let text = text.chars().take(TEXT_CHARS_MAX).collect();
        self.write(bad.line, &bad.why.to_string(), text)
    }

    /// A pin that the target does not take.
    pub(super) fn refused(&mut self, line: u64, cid: Cid, reason: &str) -> Result<(), Failure> {
        self.write(line, reason, cid.to_string())
    }

    fn write(&mut self, line: u64, reason: &str, text: String) -> Result<(), Failure> {
        self.count += 1;
        let mut written = serde_json::to_vec(&Line { line, reason, text })?;
        written.push(b'\n');
        self.open()?.write_all(&written)?;
        self.bytes += u64::try_from(written.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn open(&mut self) -> Result<&mut BufWriter<File>, Failure> {
        if self.file.is_none() {
            let mut options = File::options();
            options.write(true).create(true).truncate(self.bytes == 0);
            let file = options.open(&self.path);
            let file = file.with_context(|| {
                format!(
                    "{} cannot be written; name another file with --rejects",
                    self.path.display()
                )
            })?;
            self.file = Some(BufWriter::new(file));
        }
        self.file.as_mut().context("the file of rejects is open")
    }

    /// Hands all to the system, so that a progress file may name it.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(())
    }
}
