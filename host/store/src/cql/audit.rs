//! Audit chains: by conditions only.
//!
//! A segment of a chain is a partition of `audit`, and how far it has come is static beside its
//! entries. An append is one conditional batch: the entries and the head move together, if the head
//! is still the one that they follow from. So nothing else decides who goes on, and no number is
//! ever missing or there twice.
//!
//! There is no trail of operations beside the head as rows that are written over have one: entries
//! are never written over, and each hash says what came before it. Who does not know what became of
//! an append looks whether its last entry is there, by its hash, however much has been appended
//! since.
//!
//! A segment's row in `audit_segments` is made before its first entry, and a chain's in
//! `audit_tenants` before its first segment's: so whoever walks finds everything, and may find a
//! segment in which nothing is yet.
//!
//! **Age.** Entries leave by the table's TTL, and so would the head of a chain that rests: it is
//! renewed in rounds ([`rest`]). Should nobody have made rounds for so long, the newest checkpoint
//! tells where the chain goes on.

mod append;
mod checkpoint;
mod rest;
#[cfg(test)]
mod tests;

pub(super) use rest::Rounds;

use super::calls::one_change;
use super::home::Home;
use super::number::{bigint, unsigned};
use super::statement::Statement;
use super::{Cql, Shared};
use crate::Result;
use crate::error::StoreError;
use holdfast_model::audit::segment_of;
use holdfast_model::{AuditEntry, AuditHead, UnixMillis};
use scylla::value::CqlTimestamp;
use uuid::Uuid;

/// How the host's own chain is called in tables: no key of a single column may be empty, and no
/// tenant's name has this in it.
const HOST: &str = "/";

/// The one partition of `audit_tenants`.
const ZERO: i8 = 0;

/// What lets rows of `audit` be read as entries.
type EntryColumns = (
    i64,
    Uuid,
    CqlTimestamp,
    String,
    String,
    String,
    String,
    Vec<u8>,
    Vec<u8>,
);

/// A chain's name in tables, and where its partitions have their home.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain<'a> {
    shared: &'a Shared,
    /// As callers write it.
    tenant: &'a str,
    name: &'a str,
    home: Home,
}

/// How far a segment has come, as its partition says.
#[derive(Debug, Clone, Copy)]
struct SegmentHead {
    segment: u64,
    head: AuditHead,
    /// Seconds until the servers forget it.
    ttl: Option<i32>,
}

impl Cql {
    pub(crate) async fn audit_head(&self, tenant: &str) -> Result<AuditHead> {
        Chain::of(&self.shared, tenant).head().await
    }

    pub(crate) async fn append_audit(
        &self,
        tenant: &str,
        after: AuditHead,
        entries: &[AuditEntry],
    ) -> Result<()> {
        let chain = Chain::of(&self.shared, tenant);
        one_change(chain.append(after, entries)).await
    }

    pub(crate) async fn audit_entries(
        &self,
        tenant: &str,
        from: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let chain = Chain::of(&self.shared, tenant);
        let Some(newest) = chain.newest(Statement::AuditSegmentNewest).await? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let mut segment = segment_of(from);
        while found.len() < limit as usize && segment <= newest {
            let missing = limit as usize - found.len();
            let page = chain
                .page(Statement::AuditFrom, segment, from, missing)
                .await?;
            // A segment before the newest is full, unless its time is over.
            segment = match page.is_empty() && segment < newest {
                true => chain.first_kept(segment + 1, newest).await?,
                false => segment + 1,
            };
            found.extend(page);
        }
        Ok(found)
    }

    pub(crate) async fn audit_entries_before(
        &self,
        tenant: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let chain = Chain::of(&self.shared, tenant);
        let newest = chain.newest(Statement::AuditSegmentNewest).await?;
        let (Some(newest), Some(last)) = (newest, before.checked_sub(1)) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let mut segment = Some(segment_of(last).min(newest));
        while let Some(at) = segment {
            let missing = (limit as usize).saturating_sub(found.len());
            let page = chain
                .page(Statement::AuditBefore, at, before, missing)
                .await?;
            // Nothing is in the newest before its first entry is. In any other that means that its
            // time is over, and so is that of all before it.
            let is_over = page.is_empty() && at < newest;
            found.extend(page);
            let is_done = is_over || found.len() >= limit as usize;
            segment = at.checked_sub(1).filter(|_| !is_done);
        }
        Ok(found)
    }

    pub(crate) async fn audit_tenants(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>> {
        let shared = &self.shared;
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let home = home_of_names(shared);
        let values = (ZERO, after.map_or("", stored), limit);
        let rows: Vec<(String,)> = shared
            .calls
            .rows(Statement::AuditTenants, home, values)
            .await?;
        let shown = |(name,): (String,)| match name.as_str() {
            HOST => String::new(),
            _ => name,
        };
        Ok(rows.into_iter().map(shown).collect())
    }
}

/// A chain's name as tables have it.
const fn stored(tenant: &str) -> &str {
    if tenant.is_empty() { HOST } else { tenant }
}

fn home_of_names(shared: &Shared) -> Home {
    shared.params.home(b"audit_tenants")
}

impl<'a> Chain<'a> {
    pub(super) fn of(shared: &'a Shared, tenant: &'a str) -> Self {
        let name = stored(tenant);
        // One home for all of its segments: a chain goes on from one to the next.
        let home = shared.params.home(&[b"audit ", name.as_bytes()].concat());
        Self {
            shared,
            tenant,
            name,
            home,
        }
    }

    /// Where the chain ends, after everything that has been begun on it.
    async fn head(&self) -> Result<AuditHead> {
        let Some(newest) = self.newest(Statement::AuditSegmentNewestSerial).await? else {
            return Ok(AuditHead::start(self.tenant));
        };
        if let Some(last) = self.last_head(newest).await? {
            return Ok(last.head);
        }
        let checkpoints = self.checkpoints(None, 1).await?;
        let signed = checkpoints.first().map(|kept| kept.value.head());
        Ok(signed.unwrap_or_else(|| AuditHead::start(self.tenant)))
    }

    /// The head in the newest segment's partition, or in the one's before if that one was begun and
    /// has no entry yet.
    async fn last_head(&self, newest: u64) -> Result<Option<SegmentHead>> {
        match self.head_in(newest).await? {
            None if newest > 0 => self.head_in(newest - 1).await,
            found => Ok(found),
        }
    }

    async fn head_in(&self, segment: u64) -> Result<Option<SegmentHead>> {
        type Columns = (Option<i64>, Option<Vec<u8>>, Option<i32>);
        let values = (self.name, bigint(segment));
        let calls = &self.shared.calls;
        let row: Option<Columns> = calls.row(Statement::AuditHead, self.home, values).await?;
        let Some((Some(seq), Some(hash), ttl)) = row else {
            return Ok(None);
        };
        let head = AuditHead {
            seq: unsigned(seq),
            hash: hash_of(hash)?,
        };
        Ok(Some(SegmentHead { segment, head, ttl }))
    }

    /// The newest segment that was begun.
    async fn newest(&self, statement: Statement) -> Result<Option<u64>> {
        let calls = &self.shared.calls;
        let row: Option<(i64,)> = calls.row(statement, self.home, (self.name,)).await?;
        Ok(row.map(|(segment,)| unsigned(segment)))
    }

    /// Entries of one segment, beside a number, on the side and in the order of the statement.
    async fn page(
        &self,
        statement: Statement,
        segment: u64,
        beside: u64,
        rows: usize,
    ) -> Result<Vec<AuditEntry>> {
        if rows == 0 {
            return Ok(Vec::new());
        }
        let rows = i32::try_from(rows).unwrap_or(i32::MAX);
        let values = (self.name, bigint(segment), bigint(beside), rows);
        let calls = &self.shared.calls;
        let rows: Vec<EntryColumns> = calls.rows(statement, self.home, values).await?;
        rows.into_iter().map(entry).collect()
    }

    /// The first segment from `low` on that has entries; `newest` if none before it has. The older
    /// go first, so halving finds it: nobody wants to read ten thousand empty partitions.
    async fn first_kept(&self, low: u64, newest: u64) -> Result<u64> {
        let (mut low, mut high) = (low, newest);
        while low < high {
            let middle = low + (high - low) / 2;
            let page = self.page(Statement::AuditFrom, middle, 0, 1).await?;
            match page.is_empty() {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }
}

fn entry(columns: EntryColumns) -> Result<AuditEntry> {
    let (seq, id, at, action, outcome, actor, resource, hash, body) = columns;
    Ok(AuditEntry {
        seq: unsigned(seq),
        id: id.as_u128(),
        at: moment(at),
        action,
        outcome,
        actor,
        resource,
        body,
        hash: hash_of(hash)?,
    })
}

fn hash_of(bytes: Vec<u8>) -> Result<[u8; 32]> {
    let damaged = |bytes: Vec<u8>| {
        StoreError::Corrupt(format!("an audit row has a hash of {} bytes", bytes.len()))
    };
    bytes.try_into().map_err(damaged)
}

fn moment(at: CqlTimestamp) -> UnixMillis {
    UnixMillis::new(unsigned(at.0))
}

fn timestamp(at: UnixMillis) -> CqlTimestamp {
    CqlTimestamp(bigint(at.as_millis()))
}
