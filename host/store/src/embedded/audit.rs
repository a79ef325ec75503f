//! Audit chains: their calls, their reads, and their writes.

use super::Embedded;
use super::draft::Draft;
use super::key;
use super::table::{Table, Tables};
use crate::audit::{AUDIT_CHAIN, AUDIT_CHECKPOINT};
use crate::error::StoreError;
use crate::record::Kept;
use crate::row::{
    decode_audit_checkpoint, decode_audit_entry, decode_audit_head, encode_audit_checkpoint,
    encode_audit_entry, encode_audit_head,
};
use crate::{Expect, Result};
use holdfast_model::audit::{AUDIT_SEGMENT_ENTRIES, last_seq_of};
use holdfast_model::{AuditCheckpoint, AuditEntry, AuditHead, UnixMillis};

/// Rows of an append as they are to be written, and the hash that the last of them bears.
struct Append {
    tenant: String,
    after: AuditHead,
    head: AuditHead,
    rows: Vec<(u64, Vec<u8>)>,
}

/// A segment whose entries may go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Old {
    tenant: String,
    segment: u64,
}

impl Embedded {
    pub(crate) async fn audit_head(&self, tenant: &str) -> Result<AuditHead> {
        self.read(|rows| head_of(tenant, rows.get(Table::AuditHeads, &key::of_chain(tenant))?))
    }

    pub(crate) async fn append_audit(
        &self,
        tenant: &str,
        after: AuditHead,
        entries: &[AuditEntry],
    ) -> Result<()> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let row = |entry: &AuditEntry| Ok((entry.seq, encode_audit_entry(entry)?));
        let append = Append {
            tenant: tenant.to_owned(),
            after,
            head: last.head(),
            rows: entries.iter().map(row).collect::<Result<_>>()?,
        };
        self.write(move |rows| rows.append_audit(append)).await
    }

    pub(crate) async fn audit_entries(
        &self,
        tenant: &str,
        from: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let range = key::numbers_from(&key::of_chain(tenant), from);
        self.read_page(limit, move |rows| {
            let view = rows.view();
            let entries = view.range(Table::Audit, range).take(limit as usize);
            entries.map(entry_of).collect()
        })
        .await
    }

    pub(crate) async fn audit_entries_before(
        &self,
        tenant: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let range = key::numbers_before(&key::of_chain(tenant), Some(before));
        self.read_page(limit, move |rows| {
            let view = rows.view();
            let entries = view.range(Table::Audit, range).rev().take(limit as usize);
            entries.map(entry_of).collect()
        })
        .await
    }

    pub(crate) async fn put_audit_checkpoint(
        &self,
        tenant: &str,
        checkpoint: &AuditCheckpoint,
        expect: Expect,
    ) -> Result<u64> {
        let place = key::numbered(&key::of_chain(tenant), checkpoint.segment);
        let checkpoint = checkpoint.clone();
        self.write(move |rows| rows.put_audit_checkpoint(place, &checkpoint, expect))
            .await
    }

    pub(crate) async fn audit_checkpoints(
        &self,
        tenant: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Kept<AuditCheckpoint>>> {
        let range = key::numbers_before(&key::of_chain(tenant), before);
        self.read_page(limit, move |rows| {
            let view = rows.view();
            let kept = view.range(Table::AuditCheckpoints, range).rev();
            let kept = kept.take(limit as usize);
            kept.map(|row| {
                let (place, row) = row?;
                decode_audit_checkpoint(key::number_of(&place)?, &row)
            })
            .collect()
        })
        .await
    }

    pub(crate) async fn audit_tenants(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>> {
        let after = after.map(key::of_chain);
        self.read_page(limit, move |rows| {
            let view = rows.view();
            let heads = view.range(Table::AuditHeads, key::page(&[], after.as_deref()));
            let heads = heads.take(limit as usize);
            heads.map(|row| key::chain_name(&row?.0)).collect()
        })
        .await
    }

    pub(crate) async fn sweep_audit(&self, before: UnixMillis, limit: u32) -> Result<u64> {
        // A walk over all checkpoints: one for ten thousand entries, and nobody waits for it.
        let old = self
            .scan(move |rows| rows.old_segments(before, limit))
            .await?;
        let mut swept = 0;
        for old in old {
            self.write(move |rows| rows.remove_segment(&old)).await?;
            swept += 1;
        }
        Ok(swept)
    }
}

impl Tables {
    /// Segments that a checkpoint covers wholly, that are old, and of which there is an entry left.
    fn old_segments(&self, before: UnixMillis, limit: u32) -> Result<Vec<Old>> {
        let view = self.view();
        let mut old = Vec::new();
        for row in view.all(Table::AuditCheckpoints) {
            let (place, row) = row?;
            let segment = key::number_of(&place)?;
            let kept = decode_audit_checkpoint(segment, &row)?.value;
            if old.len() >= limit as usize {
                break;
            }
            let tenant = key::chain_name(&place)?;
            let last = key::numbered(&key::of_chain(&tenant), last_seq_of(segment));
            let is_over = kept.is_of_all() && kept.last_at < before;
            if is_over && view.get(Table::Audit, &last)?.is_some() {
                old.push(Old { tenant, segment });
            }
        }
        Ok(old)
    }
}

impl Draft<'_> {
    fn append_audit(&mut self, append: Append) -> Result<()> {
        let chain = key::of_chain(&append.tenant);
        let head = head_of(&append.tenant, self.get(Table::AuditHeads, &chain)?)?;
        if head != append.after {
            let place = key::numbered(&chain, append.head.seq);
            let there = self.get(Table::Audit, &place)?;
            let there = there.map(|row| decode_audit_entry(append.head.seq, &row));
            return match there.transpose()?.map(|there| there.head()) == Some(append.head) {
                true => Ok(()),
                false => Err(StoreError::Conflict(AUDIT_CHAIN)),
            };
        }
        for (seq, row) in append.rows {
            self.put(Table::Audit, key::numbered(&chain, seq), row);
        }
        self.put(Table::AuditHeads, chain, encode_audit_head(&append.head)?);
        Ok(())
    }

    fn put_audit_checkpoint(
        &mut self,
        place: Vec<u8>,
        checkpoint: &AuditCheckpoint,
        expect: Expect,
    ) -> Result<u64> {
        let old = self.get(Table::AuditCheckpoints, &place)?;
        let old = old.map(|row| decode_audit_checkpoint(checkpoint.segment, &row));
        expect.check(AUDIT_CHECKPOINT, old.transpose()?.map(|old| old.version))?;
        let version = self.next_number();
        let row = encode_audit_checkpoint(checkpoint, version)?;
        self.put(Table::AuditCheckpoints, place, row);
        Ok(version)
    }

    /// Removes all entries of a segment in one commit: whoever reads meets all of them or none.
    fn remove_segment(&mut self, old: &Old) -> Result<()> {
        let chain = key::of_chain(&old.tenant);
        let last = last_seq_of(old.segment);
        for seq in last.saturating_sub(AUDIT_SEGMENT_ENTRIES - 1)..=last {
            self.remove(Table::Audit, key::numbered(&chain, seq));
        }
        Ok(())
    }
}

/// The head in a row; where a chain begins if there is none.
pub(super) fn head_of(tenant: &str, row: Option<impl AsRef<[u8]>>) -> Result<AuditHead> {
    match row {
        Some(row) => decode_audit_head(row.as_ref()),
        None => Ok(AuditHead::start(tenant)),
    }
}

pub(super) fn entry_of(row: Result<super::table::Entry>) -> Result<AuditEntry> {
    let (place, row) = row?;
    decode_audit_entry(key::number_of(&place)?, &row)
}
