//! Audit chains on disk.

use super::{damaged, decode, encode};
use crate::Result;
use crate::record::Kept;
use holdfast_model::{AuditCheckpoint, AuditEntry, AuditHead, Cid, UnixMillis};
use serde::{Deserialize, Serialize};

/// An entry without its number, which is in the key.
#[derive(Serialize, Deserialize)]
struct EntryRow<'a> {
    id: [u8; 16],
    at: u64,
    action: &'a str,
    outcome: &'a str,
    actor: &'a str,
    resource: &'a str,
    body: &'a [u8],
    hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct HeadRow {
    seq: u64,
    hash: [u8; 32],
}

/// A checkpoint without its segment, which is in the key.
#[derive(Serialize, Deserialize)]
struct CheckpointRow<'a> {
    version: u64,
    first_at: u64,
    last_at: u64,
    last_seq: u64,
    last_hash: [u8; 32],
    root: [u8; 32],
    signature: &'a [u8],
    anchor: Option<&'a [u8]>,
}

pub(crate) fn encode_audit_entry(entry: &AuditEntry) -> Result<Vec<u8>> {
    encode(&EntryRow {
        id: entry.id.to_be_bytes(),
        at: entry.at.as_millis(),
        action: &entry.action,
        outcome: &entry.outcome,
        actor: &entry.actor,
        resource: &entry.resource,
        body: &entry.body,
        hash: entry.hash,
    })
}

pub(crate) fn decode_audit_entry(seq: u64, bytes: &[u8]) -> Result<AuditEntry> {
    let row: EntryRow<'_> = decode("audit", bytes)?;
    Ok(AuditEntry {
        seq,
        id: u128::from_be_bytes(row.id),
        at: UnixMillis::new(row.at),
        action: row.action.to_owned(),
        outcome: row.outcome.to_owned(),
        actor: row.actor.to_owned(),
        resource: row.resource.to_owned(),
        body: row.body.to_vec(),
        hash: row.hash,
    })
}

pub(crate) fn encode_audit_head(head: &AuditHead) -> Result<Vec<u8>> {
    encode(&HeadRow {
        seq: head.seq,
        hash: head.hash,
    })
}

pub(crate) fn decode_audit_head(bytes: &[u8]) -> Result<AuditHead> {
    let row: HeadRow = decode("audit head", bytes)?;
    Ok(AuditHead {
        seq: row.seq,
        hash: row.hash,
    })
}

pub(crate) fn encode_audit_checkpoint(
    checkpoint: &AuditCheckpoint,
    version: u64,
) -> Result<Vec<u8>> {
    let anchor = checkpoint.anchor.map(|cid| cid.to_bytes());
    encode(&CheckpointRow {
        version,
        first_at: checkpoint.first_at.as_millis(),
        last_at: checkpoint.last_at.as_millis(),
        last_seq: checkpoint.last_seq,
        last_hash: checkpoint.last_hash,
        root: checkpoint.root,
        signature: &checkpoint.signature,
        anchor: anchor.as_deref(),
    })
}

pub(crate) fn decode_audit_checkpoint(segment: u64, bytes: &[u8]) -> Result<Kept<AuditCheckpoint>> {
    let row: CheckpointRow<'_> = decode("audit checkpoint", bytes)?;
    let anchor = row.anchor.map(Cid::from_bytes).transpose();
    Ok(Kept {
        version: row.version,
        value: AuditCheckpoint {
            segment,
            first_at: UnixMillis::new(row.first_at),
            last_at: UnixMillis::new(row.last_at),
            last_seq: row.last_seq,
            last_hash: row.last_hash,
            root: row.root,
            signature: row.signature.to_vec(),
            anchor: anchor.map_err(|e| damaged("audit checkpoint", &e))?,
        },
    })
}
