//! The files of the log as a queue: what is written at one end is carried into the store from the
//! other.
//!
//! The writing thread adds lines and puts full files aside; the auditor reads what is synced, and a
//! file that was put aside goes once everything in it has been carried. Both share this list. A
//! file keeps its number for as long as the process lives; over a restart it is found again by its
//! first line, which no other file has.

use super::cursor::Cursor;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tokio::sync::{Notify, watch};

/// Bytes of a first line that are looked at: far more than a line may have.
const FIRST_LINE_BYTES_MAX: u64 = 128 * 1024;

/// A place in the queue: which of its files, and how far into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    file: u64,
    offset: u64,
}

/// One of the files.
#[derive(Debug)]
struct Kept {
    number: u64,
    path: PathBuf,
    /// Bytes of whole lines.
    bytes: u64,
}

#[derive(Debug, Default)]
struct Files {
    /// The oldest first; the last is the one that is written to.
    kept: VecDeque<Kept>,
    /// Bytes of the last that are synced.
    synced: u64,
}

/// The list of files.
#[derive(Debug)]
pub(super) struct Spool {
    files: Mutex<Files>,
    /// Up to where everything is in the store.
    carried: watch::Sender<Place>,
    /// Wakes the auditor.
    pub(super) grown: Notify,
    /// Where the auditor's cursor is kept.
    cursor: PathBuf,
}

/// Lines of the queue.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Behind the last of them.
    pub(super) end: Place,
}

impl Batch {
    /// The lines, without their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        lines.filter(|line| !line.is_empty())
    }
}

impl Spool {
    /// The files of the log at `path`, of which the current one has `bytes` and is synced.
    pub(super) fn open(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut kept = VecDeque::new();
        for (path, bytes) in put_aside(path)?.into_iter().chain([(path.into(), bytes)]) {
            kept.push_back(Kept {
                number: u64::try_from(kept.len()).unwrap_or(u64::MAX),
                path,
                bytes,
            });
        }
        let mut cursor = path.as_os_str().to_owned();
        cursor.push(".cursor");
        Ok(Self {
            files: Mutex::new(Files {
                kept,
                synced: bytes,
            }),
            carried: watch::Sender::new(Place::default()),
            grown: Notify::new(),
            cursor: cursor.into(),
        })
    }

    /// Where the auditor's cursor is kept.
    pub(super) fn cursor_path(&self) -> &Path {
        &self.cursor
    }

    /// The writer has added whole lines.
    pub(super) fn wrote(&self, bytes: u64) {
        if let Some(current) = self.files.lock().kept.back_mut() {
            current.bytes += bytes;
        }
    }

    /// The writer has synced what it wrote.
    pub(super) fn synced(&self) {
        let mut files = self.files.lock();
        files.synced = files.kept.back().map_or(0, |current| current.bytes);
        drop(files);
        self.grown.notify_one();
    }

    /// Gives the current file another name, in one step for who reads. It is written to no more.
    pub(super) fn put_aside(
        &self,
        aside: PathBuf,
        rename: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut files = self.files.lock();
        rename(&aside)?;
        if let Some(full) = files.kept.back_mut() {
            full.path = aside;
        }
        Ok(())
    }

    /// There is an empty file at a path, which is the current one from now on.
    pub(super) fn begin(&self, path: PathBuf) {
        let mut files = self.files.lock();
        let number = files.kept.back().map_or(0, |full| full.number + 1);
        files.kept.push_back(Kept {
            number,
            path,
            bytes: 0,
        });
        files.synced = 0;
    }

    /// Bytes that are not in the store yet.
    pub(super) fn backlog(&self) -> u64 {
        let carried = *self.carried.borrow();
        let files = self.files.lock();
        let left = files.kept.iter().map(|kept| match kept.number {
            number if number < carried.file => 0,
            number if number == carried.file => kept.bytes.saturating_sub(carried.offset),
            _ => kept.bytes,
        });
        left.sum()
    }

    /// The end of all that was written so far.
    pub(super) fn end(&self) -> Place {
        let files = self.files.lock();
        files
            .kept
            .back()
            .map_or_else(Place::default, |current| Place {
                file: current.number,
                offset: current.bytes,
            })
    }

    /// Up to where everything is in the store.
    pub(super) fn carried(&self) -> watch::Receiver<Place> {
        self.carried.subscribe()
    }

    /// Finds a cursor's place again. Nothing if none of the files is the one that it was in.
    pub(super) fn find(&self, cursor: &Cursor) -> io::Result<Option<Place>> {
        let files = self.files.lock();
        for kept in &files.kept {
            if first_line(&kept.path)?.as_deref() == Some(cursor.first.as_str()) {
                return Ok(Some(Place {
                    file: kept.number,
                    offset: cursor.offset.min(kept.bytes),
                }));
            }
        }
        Ok(None)
    }

    /// How a cursor names the file of a place. Nothing if there is no line in it.
    pub(super) fn name(&self, place: Place) -> io::Result<Option<(String, u64)>> {
        let files = self.files.lock();
        let kept = files.kept.iter().find(|kept| kept.number == place.file);
        let Some(kept) = kept else { return Ok(None) };
        Ok(first_line(&kept.path)?.map(|first| (first, place.offset)))
    }

    /// Synced lines behind a place, some `bytes_max` of them at most; none if there are no more.
    pub(super) fn read(&self, from: Place, bytes_max: u64) -> io::Result<Batch> {
        let mut from = from;
        loop {
            let Some((file, until)) = self.open_at(&mut from)? else {
                return Ok(Batch {
                    bytes: Vec::new(),
                    end: from,
                });
            };
            let mut bytes = Vec::new();
            let wanted = until.saturating_sub(from.offset).min(bytes_max);
            file.take(wanted).read_to_end(&mut bytes)?;
            // What is cut off is read the next time. A line without an end in so many bytes is
            // none of ours, and is taken as it is.
            if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
                bytes.truncate(last + 1);
            }
            let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let end = Place {
                file: from.file,
                offset: from.offset + read,
            };
            if read > 0 {
                return Ok(Batch { bytes, end });
            }
            // The file is shorter than it was: there is nothing more in it.
            from = Place {
                file: from.file + 1,
                offset: 0,
            };
        }
    }

    /// Opens the file that a place is in, or the next one if it is at its end; and says how far it
    /// may be read.
    fn open_at(&self, place: &mut Place) -> io::Result<Option<(File, u64)>> {
        let files = self.files.lock();
        let last = files.kept.back().map_or(0, |current| current.number);
        for kept in &files.kept {
            let until = match kept.number == last {
                true => files.synced,
                false => kept.bytes,
            };
            if kept.number > place.file {
                *place = Place {
                    file: kept.number,
                    offset: 0,
                };
            }
            if kept.number == place.file && place.offset < until {
                let mut file = match File::open(&kept.path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let file = kept.path.display();
                        tracing::error!(%file, "a file of the audit log was taken away before it was carried into the store");
                        continue;
                    }
                    opened => opened?,
                };
                file.seek(SeekFrom::Start(place.offset))?;
                return Ok(Some((file, until)));
            }
        }
        Ok(None)
    }

    /// Everything before a place is in the store.
    pub(super) fn carried_to(&self, place: Place) {
        self.carried.send_replace(place);
    }

    /// A cursor on the disk says that everything before a place is in the store: files before it
    /// go.
    pub(super) fn drop_before(&self, place: Place) {
        let mut files = self.files.lock();
        while files.kept.len() > 1
            && let Some(oldest) = files.kept.front()
            && oldest.number < place.file
        {
            if let Err(error) = std::fs::remove_file(&oldest.path) {
                // It is looked at again at the next start, and found carried.
                let file = oldest.path.display();
                tracing::warn!(%file, %error, "a carried file of the audit log cannot be removed");
            }
            files.kept.pop_front();
        }
    }
}

/// The SHA-256 of a file's first line in hex.
fn first_line(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut line = Vec::new();
    BufReader::new(file.take(FIRST_LINE_BYTES_MAX)).read_until(b'\n', &mut line)?;
    let is_whole = line.last() == Some(&b'\n');
    let hash = Sha256::digest(&line);
    Ok(is_whole.then(|| hash.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Files that were put aside, the oldest first, with their bytes.
fn put_aside(path: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let dir = match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    };
    let name = format!("{}.", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let file = entry.file_name();
        let stamp = file.to_str().and_then(|file| file.strip_prefix(&name));
        let is_ours =
            |stamp: &str| stamp.len() >= 13 && stamp.bytes().all(|digit| digit.is_ascii_digit());
        if stamp.is_some_and(is_ours) {
            found.push((entry.path(), entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found)
}
