//! How far the auditor is, as it stands on the disk.
//!
//! It is written before lines are carried, and says where they begin and how long the chains were
//! then. After a crash the same lines are read again, and those that a chain has got since that
//! length are not entered twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How far the auditor is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// SHA-256 of the first line of the file that it is in.
    pub(super) first: String,
    /// How far into that file.
    pub(super) offset: u64,
    /// Chains that lines behind this place may have gone to already, and their lengths before.
    pub(super) heads: BTreeMap<String, u64>,
    /// Intents before this place whose outcome does not stand before it: id and line.
    pub(super) open: BTreeMap<String, Box<RawValue>>,
}

impl Cursor {
    /// The one on the disk; nothing if there is none or it cannot be understood.
    pub(super) fn load(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        match serde_json::from_slice(&bytes) {
            Ok(cursor) => Ok(Some(cursor)),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the audit log's cursor cannot be read; lines are compared with what the store has");
                Ok(None)
            }
        }
    }

    /// Writes it so that a crash leaves this one or the one before.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&beside, path)?;
        match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}
