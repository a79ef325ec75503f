//! Records on disk.

use super::{at_once, decode, encode};
use crate::Result;
use crate::record::RawRecord;
use holdfast_model::UnixMillis;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct RecordRow<'a> {
    version: u64,
    expires: Option<u64>,
    #[serde(borrow, serialize_with = "at_once")]
    json: Cow<'a, [u8]>,
}

pub(crate) fn encode_record(record: &RawRecord) -> Result<Vec<u8>> {
    encode(&RecordRow {
        version: record.version,
        expires: record.expires.map(UnixMillis::as_millis),
        json: Cow::Borrowed(&record.json),
    })
}

pub(crate) fn decode_record(bytes: &[u8]) -> Result<RawRecord> {
    let row: RecordRow<'_> = decode("record", bytes)?;
    Ok(RawRecord {
        version: row.version,
        expires: row.expires.map(UnixMillis::new),
        json: row.json.into_owned(),
    })
}
