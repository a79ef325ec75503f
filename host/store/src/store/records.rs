//! The calls about records.

use super::Store;
use crate::metrics::Operation;
use crate::record::{Kept, RawRecord, Record, RecordKey};
use crate::{Expect, Result};
use futures_util::FutureExt;
use holdfast_model::UnixMillis;
use std::time::Instant;

impl Store {
    /// One record. One whose time is over is not there, here and in all calls about records.
    pub async fn record<T: Record>(
        &self,
        owner: &str,
        id: &str,
        now: UnixMillis,
    ) -> Result<Option<Kept<T>>> {
        let key = RecordKey::new(T::KIND, owner, id)?;
        let found = self.raw_record(&key, now).await?;
        found.as_ref().map(RawRecord::read).transpose()
    }

    /// Writes a record, and answers its version. `Conflict` if `expect` does not hold; so a record
    /// that is put with [`Expect::Absent`] is put once, whoever tries.
    pub async fn put_record<T: Record>(
        &self,
        record: &T,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<u64> {
        let (key, row) = (RecordKey::of(record)?, RawRecord::of(record)?);
        dispatch!(self, PutRecord, fallible put_record(key, row, expect, now))
    }

    /// Deletes a record. `Conflict` if `expect` does not hold; what is not there is fine with
    /// [`Expect::Any`].
    pub async fn delete_record<T: Record>(
        &self,
        owner: &str,
        id: &str,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<()> {
        let key = RecordKey::new(T::KIND, owner, id)?;
        dispatch!(self, DeleteRecord, fallible delete_record(key, expect, now))
    }

    /// An owner's records of a kind by id, after `after`.
    pub async fn records<T: Record>(
        &self,
        owner: &str,
        after: Option<&str>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<Kept<T>>> {
        // An id sorts after the empty one, which there is none of.
        let after = after.unwrap_or_default();
        let found = self.raw_records(T::KIND, owner, after, limit, now).await?;
        found.iter().map(RawRecord::read).collect()
    }

    /// Removes records whose time is over, so many at most, and answers how many. On CQL the
    /// servers do it.
    pub async fn sweep_records(&self, now: UnixMillis, limit: u32) -> Result<u64> {
        dispatch!(self, SweepRecords, plain sweep_records(now, limit))
    }

    async fn raw_record(&self, key: &RecordKey, now: UnixMillis) -> Result<Option<RawRecord>> {
        dispatch!(self, Record, plain record(key, now))
    }

    async fn raw_records(
        &self,
        kind: &'static str,
        owner: &str,
        after: &str,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<RawRecord>> {
        dispatch!(self, Records, plain records((kind, owner), after, limit, now))
    }
}
