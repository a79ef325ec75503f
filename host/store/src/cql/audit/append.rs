//! One append, until it is known what became of it.

use super::{Chain, ZERO, hash_of, home_of_names, timestamp};
use crate::Result;
use crate::audit::AUDIT_CHAIN;
use crate::cql::calls::Cas;
use crate::cql::number::bigint;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use holdfast_model::audit::{AUDIT_SEGMENT_ENTRIES, segment_of};
use holdfast_model::{AuditEntry, AuditHead};
use scylla::value::CqlTimestamp;
use uuid::Uuid;

/// What every row of an append binds first.
type New<'e> = (
    i64,
    &'e [u8],
    Uuid,
    CqlTimestamp,
    &'e str,
    &'e str,
    &'e str,
    &'e str,
    &'e [u8],
    &'e [u8],
);

impl Chain<'_> {
    /// Enters entries of one segment behind `after`.
    pub(super) async fn append(&self, after: AuditHead, entries: &[AuditEntry]) -> Result<()> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let segment = segment_of(last.seq);
        let is_first = after.seq.is_multiple_of(AUDIT_SEGMENT_ENTRIES);
        if is_first {
            // The segment before is full, so its head is what it will always be.
            if self.head().await? != after {
                return self.must_be_there(segment, last).await;
            }
            self.begin(segment).await?;
        }
        let cas = match is_first {
            true => self.enter_first(segment, entries, last).await?,
            false => self.enter(segment, after, entries, last).await?,
        };
        if cas == Cas::Applied {
            return Ok(());
        }
        let refused = self.must_be_there(segment, last).await;
        // A chain that rested until the servers forgot its head goes on from its checkpoint.
        let is_forgotten = refused.is_err() && self.head_in(segment).await?.is_none();
        if is_forgotten && self.head().await? == after {
            return match self.enter_first(segment, entries, last).await? {
                Cas::Applied => Ok(()),
                Cas::Refused | Cas::Doubted => self.must_be_there(segment, last).await,
            };
        }
        refused
    }

    /// Makes the rows that lead to a segment. Whoever made them, they are there.
    pub(super) async fn begin(&self, segment: u64) -> Result<()> {
        let (calls, op) = (&self.shared.calls, Uuid::now_v7());
        if segment == 0 {
            let home = home_of_names(self.shared);
            let values = (ZERO, self.name, op);
            calls
                .condition(Statement::AuditTenantMake, home, values)
                .await?;
        }
        let values = (self.name, bigint(segment), op);
        calls
            .condition(Statement::AuditSegmentBegin, self.home, values)
            .await?;
        Ok(())
    }

    /// Enters what no entry of the segment comes before.
    async fn enter_first<'e>(
        &self,
        segment: u64,
        entries: &'e [AuditEntry],
        last: &'e AuditEntry,
    ) -> Result<Cas> {
        let (name, segment) = (self.name, bigint(segment));
        let row = |entry: &'e AuditEntry| {
            let (head, last, id, at, action, outcome, actor, resource, hash, body) =
                new(entry, last);
            let seq = bigint(entry.seq);
            (
                head, last, id, at, action, outcome, actor, resource, hash, body, name, segment,
                seq,
            )
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        let (calls, begin) = (&self.shared.calls, Statement::AuditBegin);
        calls.conditions(begin, self.home, &rows).await
    }

    async fn enter<'e>(
        &self,
        segment: u64,
        after: AuditHead,
        entries: &'e [AuditEntry],
        last: &'e AuditEntry,
    ) -> Result<Cas> {
        let (name, segment) = (self.name, bigint(segment));
        let (was, was_hash) = (bigint(after.seq), after.hash.as_slice());
        let row = |entry: &'e AuditEntry| {
            let (head, last, id, at, action, outcome, actor, resource, hash, body) =
                new(entry, last);
            let seq = bigint(entry.seq);
            (
                head, last, id, at, action, outcome, actor, resource, hash, body, name, segment,
                seq, was, was_hash,
            )
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        let (calls, grow) = (&self.shared.calls, Statement::AuditGrow);
        calls.conditions(grow, self.home, &rows).await
    }

    /// An append that was refused has happened all the same if its last entry is there: nobody else
    /// can have made that hash, and it stands for all before it.
    async fn must_be_there(&self, segment: u64, last: &AuditEntry) -> Result<()> {
        let values = (self.name, bigint(segment), bigint(last.seq));
        let calls = &self.shared.calls;
        let row: Option<(Vec<u8>,)> = calls.row(Statement::AuditHash, self.home, values).await?;
        let there = row.map(|(hash,)| hash_of(hash)).transpose()?;
        match there == Some(last.hash) {
            true => Ok(()),
            false => Err(StoreError::Conflict(AUDIT_CHAIN)),
        }
    }
}

fn new<'e>(entry: &'e AuditEntry, last: &'e AuditEntry) -> New<'e> {
    (
        bigint(last.seq),
        &last.hash,
        Uuid::from_u128(entry.id),
        timestamp(entry.at),
        &entry.action,
        &entry.outcome,
        &entry.actor,
        &entry.resource,
        &entry.hash,
        &entry.body,
    )
}
