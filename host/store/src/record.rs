//! Records: what administrators and identity keep beside pins and keys, one kind for each thing.
//!
//! A record is a row of JSON under its kind, its owner and its id. What it means is known where the
//! thing lives; the store keeps it, guards its version, and lets it go when its time is over.

use crate::Result;
use crate::error::StoreError;
use holdfast_model::{Invalid, UnixMillis};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a record's JSON: a tenant's policies are the largest there are, at 200 kB.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Bytes of an owner's name and of an id: both stand in keys. A token's subject fits.
pub const RECORD_NAME_BYTES_MAX: usize = 256;

/// A thing that is kept as a record.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is, in lower case and hyphens. Never used again for something else.
    const KIND: &'static str;

    /// What it is listed under: a tenant's name; empty for what is the host's own.
    fn owner(&self) -> &str;

    /// Its name, unique among those of its kind and owner.
    fn id(&self) -> &str;

    /// From when on it is as if it were not there.
    fn expires(&self) -> Option<UnixMillis> {
        None
    }
}

/// A record as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// The thing.
    pub value: T,
    /// Another one after every write, and never used again.
    pub version: u64,
}

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordKey {
    pub(crate) kind: &'static str,
    pub(crate) owner: String,
    pub(crate) id: String,
}

/// A record in the words of backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawRecord {
    /// Zero before it is written.
    pub(crate) version: u64,
    pub(crate) expires: Option<UnixMillis>,
    pub(crate) json: Vec<u8>,
}

impl RecordKey {
    pub(crate) fn new(kind: &'static str, owner: &str, id: &str) -> Result<Self> {
        if id.is_empty() {
            return Err(Invalid::new("id", format!("of a {kind} is empty")).into());
        }
        for (field, name) in [("owner", owner), ("id", id)] {
            if name.len() > RECORD_NAME_BYTES_MAX || name.contains('\0') {
                let why = format!(
                    "of a {kind} has {} bytes; write {RECORD_NAME_BYTES_MAX} at most, and no zero \
                     among them",
                    name.len()
                );
                return Err(Invalid::new(field, why).into());
            }
        }
        Ok(Self {
            kind,
            owner: owner.to_owned(),
            id: id.to_owned(),
        })
    }

    pub(crate) fn of<T: Record>(record: &T) -> Result<Self> {
        Self::new(T::KIND, record.owner(), record.id())
    }
}

impl RawRecord {
    pub(crate) fn of<T: Record>(record: &T) -> Result<Self> {
        let unwritable = |e| StoreError::Corrupt(format!("a {} cannot be written: {e}", T::KIND));
        let json = serde_json::to_vec(record).map_err(unwritable)?;
        if json.len() > RECORD_BYTES_MAX {
            let why = format!(
                "has {} bytes as JSON, and may have {RECORD_BYTES_MAX}",
                json.len()
            );
            return Err(Invalid::new(T::KIND, why).into());
        }
        Ok(Self {
            version: 0,
            expires: record.expires(),
            json,
        })
    }

    /// Whether it is still there at an instant.
    pub(crate) fn is_there_at(&self, now: UnixMillis) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    pub(crate) fn read<T: Record>(&self) -> Result<Kept<T>> {
        let unreadable = |e| StoreError::Corrupt(format!("a {} cannot be read: {e}", T::KIND));
        Ok(Kept {
            value: serde_json::from_slice(&self.json).map_err(unreadable)?,
            version: self.version,
        })
    }
}
