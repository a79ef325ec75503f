//! Records: their calls, their reads, and their writes.

use super::Embedded;
use super::draft::Draft;
use super::key;
use super::table::{Table, Tables};
use crate::record::{RawRecord, RecordKey};
use crate::row::{decode_record, encode_record};
use crate::rules::RECORD;
use crate::{Expect, Result};
use holdfast_model::UnixMillis;

impl Embedded {
    pub(crate) async fn record(
        &self,
        key: &RecordKey,
        now: UnixMillis,
    ) -> Result<Option<RawRecord>> {
        self.read(|rows| rows.record(key, now))
    }

    pub(crate) async fn put_record(
        &self,
        key: RecordKey,
        row: RawRecord,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<u64> {
        self.write(move |rows| rows.put_record(&key, row, expect, now))
            .await
    }

    pub(crate) async fn delete_record(
        &self,
        key: RecordKey,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<()> {
        self.write(move |rows| rows.delete_record(&key, expect, now))
            .await
    }

    pub(crate) async fn records(
        &self,
        (kind, owner): (&'static str, &str),
        after: &str,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<RawRecord>> {
        let prefix = key::of_records(kind, owner);
        let after = after.as_bytes().to_vec();
        self.read_page(limit, move |rows| rows.records(&prefix, &after, limit, now))
            .await
    }

    pub(crate) async fn sweep_records(&self, now: UnixMillis, limit: u32) -> Result<u64> {
        // Most of the time nothing is over, and nothing is written then.
        let over = self
            .read_page(limit, move |rows| rows.records_over(now, limit))
            .await?;
        if over.is_empty() {
            return Ok(0);
        }
        self.write(move |rows| rows.remove_over(over, now)).await
    }
}

impl Tables {
    fn record(&self, place: &RecordKey, now: UnixMillis) -> Result<Option<RawRecord>> {
        let row = self.get(Table::Records, &key::record(place))?;
        let row = row.map(|row| decode_record(&row)).transpose()?;
        Ok(row.filter(|row| row.is_there_at(now)))
    }

    fn records(
        &self,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<RawRecord>> {
        let view = self.view();
        let rows = view.range(Table::Records, key::page(prefix, Some(after)));
        rows.map(|row| decode_record(&row?.1))
            .filter(|row| row.as_ref().map_or(true, |row| row.is_there_at(now)))
            .take(limit as usize)
            .collect()
    }

    /// Where records lie whose time is over.
    fn records_over(&self, now: UnixMillis, limit: u32) -> Result<Vec<Vec<u8>>> {
        let view = self.view();
        let entries = view.range(Table::RecordExpiry, key::until(now));
        let place =
            |entry: Result<super::table::Entry>| Ok(key::after_instant(&entry?.0)?.to_vec());
        entries.take(limit as usize).map(place).collect()
    }
}

impl Draft<'_> {
    fn put_record(
        &mut self,
        place: &RecordKey,
        mut row: RawRecord,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<u64> {
        let place = key::record(place);
        let old = self.stored_record(&place)?;
        let shown = old.as_ref().filter(|old| old.is_there_at(now));
        expect.check(RECORD, shown.map(|old| old.version))?;
        self.forget_expiry(&place, old.as_ref());
        if let Some(expires) = row.expires {
            self.put(Table::RecordExpiry, key::at(expires, &place), []);
        }
        row.version = self.next_number();
        self.put(Table::Records, place, encode_record(&row)?);
        Ok(row.version)
    }

    fn delete_record(&mut self, place: &RecordKey, expect: Expect, now: UnixMillis) -> Result<()> {
        let place = key::record(place);
        let old = self.stored_record(&place)?;
        let shown = old.as_ref().filter(|old| old.is_there_at(now));
        expect.check(RECORD, shown.map(|old| old.version))?;
        if old.is_some() {
            self.forget_expiry(&place, old.as_ref());
            self.remove(Table::Records, place);
        }
        Ok(())
    }

    /// Removes those that are still over: one may have been written again since.
    fn remove_over(&mut self, places: Vec<Vec<u8>>, now: UnixMillis) -> Result<u64> {
        let mut removed = 0;
        for place in places {
            let row = self.stored_record(&place)?;
            if row.as_ref().is_some_and(|row| !row.is_there_at(now)) {
                self.forget_expiry(&place, row.as_ref());
                self.remove(Table::Records, place);
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn stored_record(&self, place: &[u8]) -> Result<Option<RawRecord>> {
        let row = self.get(Table::Records, place)?;
        row.map(|row| decode_record(&row)).transpose()
    }

    fn forget_expiry(&mut self, place: &[u8], row: Option<&RawRecord>) {
        if let Some(expires) = row.and_then(|row| row.expires) {
            self.remove(Table::RecordExpiry, key::at(expires, place));
        }
    }
}
