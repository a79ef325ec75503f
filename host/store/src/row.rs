//! The values of the tables: a version byte, then the row in postcard's encoding.
//!
//! Rows have structs of their own, and their own numbers for enums, so that a change of the model
//! cannot silently become a change of the disk.

mod account;
mod audit;
mod pin;
mod placement;
mod record;
mod request;
mod tenant;

pub(crate) use account::{Account, AccountRow, MarkRow};
pub(crate) use audit::{
    decode_audit_checkpoint, decode_audit_entry, decode_audit_head, encode_audit_checkpoint,
    encode_audit_entry, encode_audit_head,
};
pub(crate) use pin::PinRow;
pub(crate) use placement::{decode_placement, encode_placement};
pub(crate) use record::{decode_record, encode_record};
pub(crate) use request::{decode_request, encode_request, status_number, status_of};
pub(crate) use tenant::{decode_key, decode_tenant, encode_key, encode_tenant};

use crate::Result;
use crate::error::StoreError;
use holdfast_model::{Cursor, Invalid};
use serde::{Deserialize, Serialize, Serializer};

/// The version that this program writes, and the only one so far.
const ROW_VERSION: u8 = 1;

/// Appends a row to its version byte.
pub(crate) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    let unwritable = |e| StoreError::Corrupt(format!("a row cannot be written: {e}"));
    postcard::to_extend(row, vec![ROW_VERSION]).map_err(unwritable)
}

/// The same for a row of which there is a later form.
pub(crate) fn encode_as<T: Serialize>(version: u8, row: &T) -> Result<Vec<u8>> {
    let mut bytes = encode(row)?;
    if let Some(first) = bytes.first_mut() {
        *first = version;
    }
    Ok(bytes)
}

/// Reads a row; `what` names it in the error.
pub(crate) fn decode<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&ROW_VERSION, row)) => postcard::from_bytes(row)
            .map_err(|e| StoreError::Corrupt(format!("a {what} row cannot be read: {e}"))),
        Some((version, _)) => Err(StoreError::Corrupt(format!(
            "a {what} row has version {version}; this program reads {ROW_VERSION}, run a newer one"
        ))),
        None => Err(StoreError::Corrupt(format!("a {what} row is empty"))),
    }
}

/// Writes bytes as serde's lists would be written, but not one by one: that was most of what a
/// write of a large pin took.
fn at_once<S: Serializer>(bytes: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// What a field that the model refuses means.
fn damaged(what: &str, why: &Invalid) -> StoreError {
    StoreError::Corrupt(format!("a {what} row holds {why}"))
}

/// Numbers of which each is used once, and how far the feed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// Group commits so far.
    pub(super) commit: u64,
    /// Last number drawn for a feed entry, a pin version or a placement version.
    pub(super) sequence: u64,
    /// Newest feed entry.
    pub(super) head: u64,
    /// Newest feed entry that has been forgotten.
    pub(super) trimmed: u64,
}

impl Numbers {
    pub(super) const fn head(&self) -> Cursor {
        Cursor(self.head)
    }

    pub(super) const fn trimmed(&self) -> Cursor {
        Cursor(self.trimmed)
    }
}
