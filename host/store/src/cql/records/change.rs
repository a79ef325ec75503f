//! One change of one record, until it is known what became of it.

use super::{Row, home, read};
use crate::cql::Shared;
use crate::cql::calls::Cas;
use crate::cql::number::millis;
use crate::cql::pace::Pace;
use crate::cql::statement::Statement;
use crate::cql::trail::{Doubt, QUIET_MICROS, Trail};
use crate::record::{RawRecord, RecordKey};
use crate::rules::RECORD;
use crate::{Expect, Result};
use holdfast_model::UnixMillis;
use uuid::Uuid;

/// Seconds that a row stays after its time, and that a grave stays: far longer than any statement
/// lies in a node, and than clocks differ.
const GRAVE_SECONDS: u64 = 600;

/// The longest TTL that servers take, in seconds: twenty years. What is to stay longer stays until
/// somebody deletes it.
const TTL_SECONDS_MAX: u64 = 630_720_000;

pub(super) struct Change<'a> {
    shared: &'a Shared,
    key: &'a RecordKey,
    expect: Expect,
    now: UnixMillis,
    /// Marks the row as written by this change, whatever became of the answer.
    op: Uuid,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        key: &'a RecordKey,
        expect: Expect,
        now: UnixMillis,
    ) -> Self {
        Self {
            shared,
            key,
            expect,
            now,
            op: Uuid::now_v7(),
        }
    }

    /// Writes a record, or deletes it; answers its version.
    pub(super) async fn run(self, new: Option<&RawRecord>) -> Result<u64> {
        let mut pace = Pace::default();
        let mut found = match self.expect {
            // What is put for the first time is most likely not there yet.
            Expect::Absent if new.is_some() => None,
            Expect::Absent | Expect::Any | Expect::Version(_) => {
                self.read(Statement::RecordRead).await?
            }
        };
        let mut is_current = false;
        loop {
            let shown = found.as_ref().and_then(|row| row.shown(self.now));
            let shown = shown.map(|record| record.version);
            if let Err(refused) = self.expect.check(RECORD, shown) {
                if is_current {
                    return Err(refused);
                }
                // What was read may be older than what the caller has seen.
                (found, is_current) = (self.read(Statement::RecordReadSerial).await?, true);
                continue;
            }
            if new.is_none() && shown.is_none() {
                return Ok(0);
            }
            let version = found.as_ref().map_or(0, |row| row.version);
            let version = self.shared.clock.next_after(version);
            let doubt = Doubt::of(self.op, found.as_ref().map(|row| row.op));
            let answer = self.attempt(found.as_ref(), version, new).await;
            let row = async {
                let found = self.read(Statement::RecordReadSerial).await?;
                Ok(found.map(|row| (row.op, row.trail)))
            };
            if doubt.settle(answer, RECORD, row).await? {
                return Ok(version);
            }
            pace.wait(RECORD).await?;
            (found, is_current) = (self.read(Statement::RecordReadSerial).await?, true);
        }
    }

    async fn read(&self, statement: Statement) -> Result<Option<Row>> {
        read(self.shared, statement, self.key).await
    }

    async fn attempt(
        &self,
        old: Option<&Row>,
        version: u64,
        new: Option<&RawRecord>,
    ) -> Result<Cas> {
        let (shared, key) = (self.shared, self.key);
        let home = home(shared, key.kind, &key.owner);
        let (ttl, version, op) = (self.ttl(new), version.cast_signed(), self.op);
        let expires = new.and_then(|record| record.expires).map(millis);
        let body = new.map(|record| &record.json);
        let (kind, owner, id) = (key.kind, key.owner.as_str(), key.id.as_str());
        let trail = old.map_or_else(
            || Trail::begin(self.op),
            |old| {
                let is_quiet = version.cast_unsigned().saturating_sub(old.version) > QUIET_MICROS;
                old.trail.then(old.op, self.op, is_quiet)
            },
        );
        let trail = trail.as_bytes();
        let calls = &shared.calls;
        match old {
            None => {
                let values = (ttl, version, op, expires, body, trail, kind, owner, id);
                calls.condition(Statement::RecordMake, home, values).await
            }
            Some(old) => {
                let last = old.version.cast_signed();
                let values = (
                    ttl, version, op, expires, body, trail, kind, owner, id, last,
                );
                calls
                    .condition(Statement::RecordReplace, home, values)
                    .await
            }
        }
    }

    /// Seconds after which servers forget the row: a grave's, or those until it expires and some
    /// more. Zero is never.
    fn ttl(&self, new: Option<&RawRecord>) -> i32 {
        let left = match new {
            None => Some(0),
            Some(record) => record
                .expires
                .map(|end| end.as_millis().saturating_sub(self.now.as_millis()) / 1_000 + 1),
        };
        let seconds = left.map(|left| left.saturating_add(GRAVE_SECONDS));
        let seconds = seconds.filter(|seconds| *seconds <= TTL_SECONDS_MAX);
        i32::try_from(seconds.unwrap_or(0)).unwrap_or(0)
    }
}
