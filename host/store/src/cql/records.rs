//! Records: by conditions only.
//!
//! What is deleted leaves a *grave* without a body, as a placement does: it shows the change that
//! deleted as done by it, and goes by itself. What expires goes by the TTL of its write, a while
//! after its time: until then readers look at the time.

mod change;

use self::change::Change;
use super::calls::one_change;
use super::home::Home;
use super::number::instant;
use super::statement::Statement;
use super::trail::Trail;
use super::{Cql, Shared};
use crate::record::{RawRecord, RecordKey};
use crate::{Expect, Result};
use holdfast_model::UnixMillis;
use uuid::Uuid;

/// The columns of a record without its key, in the order in which every statement reads them.
type Columns = (i64, Uuid, Option<i64>, Option<Vec<u8>>);

/// The same with the trail, of one record.
type ColumnsOfOne = (i64, Uuid, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

/// A record as its row holds it.
#[derive(Debug, Clone)]
struct Row {
    version: u64,
    /// Which operation wrote it last.
    op: Uuid,
    /// None: it was deleted, and this is its grave.
    record: Option<RawRecord>,
    /// What wrote it before; nothing where it was not read.
    trail: Trail,
}

impl Row {
    fn of((version, op, expires, body): Columns) -> Self {
        let version = version.cast_unsigned();
        Self {
            version,
            op,
            record: body.map(|json| RawRecord {
                version,
                expires: expires.map(instant),
                json,
            }),
            trail: Trail::default(),
        }
    }

    fn of_one((version, op, expires, body, trail): ColumnsOfOne) -> Self {
        Self {
            trail: trail.into(),
            ..Self::of((version, op, expires, body))
        }
    }

    /// What callers see of it.
    fn shown(&self, now: UnixMillis) -> Option<&RawRecord> {
        self.record
            .as_ref()
            .filter(|record| record.is_there_at(now))
    }
}

impl Cql {
    pub(crate) async fn record(
        &self,
        key: &RecordKey,
        now: UnixMillis,
    ) -> Result<Option<RawRecord>> {
        let row = read(&self.shared, Statement::RecordRead, key).await?;
        Ok(row.and_then(|row| row.shown(now).cloned()))
    }

    pub(crate) async fn put_record(
        &self,
        key: RecordKey,
        row: RawRecord,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<u64> {
        let change = Change::new(&self.shared, &key, expect, now);
        one_change(change.run(Some(&row))).await
    }

    pub(crate) async fn delete_record(
        &self,
        key: RecordKey,
        expect: Expect,
        now: UnixMillis,
    ) -> Result<()> {
        let change = Change::new(&self.shared, &key, expect, now);
        one_change(change.run(None)).await.map(drop)
    }

    pub(crate) async fn records(
        &self,
        (kind, owner): (&'static str, &str),
        after: &str,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<RawRecord>> {
        let shared = &self.shared;
        let home = home(shared, kind, owner);
        let (mut after, limit) = (after.to_owned(), limit as usize);
        let mut found = Vec::new();
        while found.len() < limit {
            let missing = limit - found.len();
            let asked = i32::try_from(missing).unwrap_or(i32::MAX);
            let values = (kind, owner, &after, asked);
            let rows = shared
                .calls
                .rows::<(String, i64, Uuid, Option<i64>, Option<Vec<u8>>)>(
                    Statement::RecordsOfOwner,
                    home,
                    values,
                )
                .await?;
            let is_last = rows.len() < missing;
            for (id, version, op, expires, body) in rows {
                let row = Row::of((version, op, expires, body));
                found.extend(row.shown(now).cloned());
                after = id;
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Nothing: rows leave by their TTL.
    pub(crate) async fn sweep_records(&self, _now: UnixMillis, _limit: u32) -> Result<u64> {
        std::future::ready(Ok(0)).await
    }
}

fn home(shared: &Shared, kind: &str, owner: &str) -> Home {
    let place = [kind.as_bytes(), &[0], owner.as_bytes()].concat();
    shared.params.home(&place)
}

async fn read(shared: &Shared, statement: Statement, key: &RecordKey) -> Result<Option<Row>> {
    let home = home(shared, key.kind, &key.owner);
    let values = (key.kind, key.owner.as_str(), key.id.as_str());
    let row: Option<ColumnsOfOne> = shared.calls.row(statement, home, values).await?;
    Ok(row.map(Row::of_one))
}
