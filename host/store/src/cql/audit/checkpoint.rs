//! Checkpoints: what was signed of a segment, in the segment's row.
//!
//! They have no trail of operations either. Who does not know what became of one that others have
//! put since reads it: what was signed of the same entries is the same, whoever signed it.

use super::{Chain, hash_of, moment, timestamp};
use crate::audit::AUDIT_CHECKPOINT;
use crate::cql::Cql;
use crate::cql::calls::Cas;
use crate::cql::number::{bigint, unsigned};
use crate::cql::pace::Pace;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use crate::record::Kept;
use crate::{Expect, Result};
use holdfast_model::{AuditCheckpoint, Cid};
use scylla::value::CqlTimestamp;
use uuid::Uuid;

/// A segment's row; all but its number are empty until something of it was signed.
type Columns = (
    i64,
    Option<i64>,
    Option<CqlTimestamp>,
    Option<CqlTimestamp>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

impl Cql {
    pub(crate) async fn put_audit_checkpoint(
        &self,
        tenant: &str,
        checkpoint: &AuditCheckpoint,
        expect: Expect,
    ) -> Result<u64> {
        let chain = Chain::of(&self.shared, tenant);
        chain.put_checkpoint(checkpoint, expect).await
    }

    pub(crate) async fn audit_checkpoints(
        &self,
        tenant: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Kept<AuditCheckpoint>>> {
        Chain::of(&self.shared, tenant)
            .checkpoints(before, limit)
            .await
    }
}

impl Chain<'_> {
    async fn put_checkpoint(&self, checkpoint: &AuditCheckpoint, expect: Expect) -> Result<u64> {
        let op = Uuid::now_v7();
        let mut pace = Pace::default();
        loop {
            let found = self.written(checkpoint.segment).await?;
            let version = found.map(|(version, _)| version);
            expect.check(AUDIT_CHECKPOINT, version)?;
            let next = self.shared.clock.next_after(version.unwrap_or(0));
            match self.attempt(checkpoint, version, next, op).await? {
                Cas::Applied => return Ok(next),
                Cas::Refused => {}
                Cas::Doubted => {
                    let found = self.written(checkpoint.segment).await?;
                    return match found {
                        Some((version, last)) if last == op => Ok(version),
                        _ => Err(StoreError::overtaken(AUDIT_CHECKPOINT)),
                    };
                }
            }
            pace.wait(AUDIT_CHECKPOINT).await?;
        }
    }

    /// The version of a segment's checkpoint, and which operation put it.
    async fn written(&self, segment: u64) -> Result<Option<(u64, Uuid)>> {
        let values = (self.name, bigint(segment));
        let calls = &self.shared.calls;
        let row: Option<(Option<i64>, Uuid)> = calls
            .row(Statement::AuditCheckpointSerial, self.home, values)
            .await?;
        Ok(row.and_then(|(version, op)| Some((unsigned(version?), op))))
    }

    async fn attempt(
        &self,
        checkpoint: &AuditCheckpoint,
        old: Option<u64>,
        version: u64,
        op: Uuid,
    ) -> Result<Cas> {
        let (calls, home) = (&self.shared.calls, self.home);
        let (version, segment) = (bigint(version), bigint(checkpoint.segment));
        let of = (
            timestamp(checkpoint.first_at),
            timestamp(checkpoint.last_at),
            bigint(checkpoint.last_seq),
            checkpoint.last_hash.as_slice(),
            checkpoint.root.as_slice(),
            checkpoint.signature.as_slice(),
            checkpoint.anchor.map(|cid| cid.to_bytes()),
        );
        let (first, last, seq, hash, root, signature, anchor) = of;
        match old {
            None => {
                let values = (
                    version, op, first, last, seq, hash, root, signature, anchor, self.name,
                    segment,
                );
                calls
                    .condition(Statement::AuditCheckpointMake, home, values)
                    .await
            }
            Some(old) => {
                let values = (
                    version,
                    op,
                    first,
                    last,
                    seq,
                    hash,
                    root,
                    signature,
                    anchor,
                    self.name,
                    segment,
                    bigint(old),
                );
                calls
                    .condition(Statement::AuditCheckpointReplace, home, values)
                    .await
            }
        }
    }

    /// The newest segment's first.
    pub(super) async fn checkpoints(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Kept<AuditCheckpoint>>> {
        let (mut before, limit) = (bigint(before.unwrap_or(u64::MAX)), limit as usize);
        let mut found = Vec::new();
        while found.len() < limit {
            let missing = limit - found.len();
            let asked = i32::try_from(missing).unwrap_or(i32::MAX);
            let values = (self.name, before, asked);
            let calls = &self.shared.calls;
            let rows: Vec<Columns> = calls
                .rows(Statement::AuditCheckpoints, self.home, values)
                .await?;
            let is_last = rows.len() < missing;
            for row in rows {
                before = row.0;
                found.extend(checkpoint(row)?);
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }
}

/// What a segment's row says, if anything of it was signed.
fn checkpoint(row: Columns) -> Result<Option<Kept<AuditCheckpoint>>> {
    let (segment, Some(version), first, last, seq, hash, root, signature, anchor) = row else {
        return Ok(None);
    };
    let damaged =
        |what: &str| StoreError::Corrupt(format!("an audit checkpoint row holds no {what}"));
    let anchor = anchor.map(|cid| Cid::from_bytes(&cid)).transpose();
    let value = AuditCheckpoint {
        segment: unsigned(segment),
        first_at: moment(first.ok_or_else(|| damaged("first instant"))?),
        last_at: moment(last.ok_or_else(|| damaged("last instant"))?),
        last_seq: unsigned(seq.ok_or_else(|| damaged("last number"))?),
        last_hash: hash_of(hash.ok_or_else(|| damaged("last hash"))?)?,
        root: hash_of(root.ok_or_else(|| damaged("root"))?)?,
        // An empty one comes back as none.
        signature: signature.unwrap_or_default(),
        anchor: anchor.map_err(|_| damaged("CID where its anchor is"))?,
    };
    let version = unsigned(version);
    Ok(Some(Kept { value, version }))
}
