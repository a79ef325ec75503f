//! Records in memory.

use super::State;
use crate::record::{RawRecord, RecordKey};
use crate::rules::RECORD;
use crate::{Expect, Result};
use holdfast_model::UnixMillis;

impl State {
    pub(crate) fn record(&self, key: &RecordKey, now: UnixMillis) -> Option<RawRecord> {
        let found = self.records.get(key);
        found.filter(|row| row.is_there_at(now)).cloned()
    }

    pub(crate) fn put_record(
        &mut self,
        key: RecordKey,
        mut row: RawRecord,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<u64> {
        expect.check(RECORD, self.record(&key, now).map(|old| old.version))?;
        row.version = self.next_number();
        let version = row.version;
        self.records.insert(key, row);
        Ok(version)
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "an operation like the others: the embedded store takes the key to its writer"
    )]
    pub(crate) fn delete_record(
        &mut self,
        key: RecordKey,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<()> {
        expect.check(RECORD, self.record(&key, now).map(|old| old.version))?;
        self.records.remove(&key);
        Ok(())
    }

    pub(crate) fn records(
        &self,
        (kind, owner): (&'static str, &str),
        after: &str,
        limit: u32,
        now: UnixMillis,
    ) -> Vec<RawRecord> {
        self.records
            .iter()
            .filter(|(key, _)| (key.kind, key.owner.as_str()) == (kind, owner))
            .filter(|(key, row)| key.id.as_str() > after && row.is_there_at(now))
            .take(limit as usize)
            .map(|(_, row)| row.clone())
            .collect()
    }

    pub(crate) fn sweep_records(&mut self, now: UnixMillis, limit: u32) -> u64 {
        let over = self.records.iter().filter(|(_, row)| !row.is_there_at(now));
        let over = over.map(|(key, _)| key.clone()).take(limit as usize);
        let over: Vec<_> = over.collect();
        for key in &over {
            self.records.remove(key);
        }
        over.len() as u64
    }
}
