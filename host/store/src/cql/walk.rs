//! A walk over an account's list, newest first, from bucket to bucket.

use super::Shared;
use super::account::{HELP_AFTER_MICROS, Head};
use super::calls::OwnedRow;
use super::draft::bucket_of;
use super::number::{bigint, millis};
use super::statement::Statement;
use crate::Result;
use holdfast_model::{AccountId, RequestFilter};

/// Buckets of an account that are looked up at once.
const BUCKETS_READ: usize = 1_000;

/// A row of an account's list.
pub(super) trait Listed: OwnedRow {
    /// When the request was made.
    fn created(&self) -> i64;
}

impl Listed for (i64, uuid::Uuid, i8, Vec<u8>) {
    fn created(&self) -> i64 {
        self.0
    }
}

impl Listed for (i64, i8) {
    fn created(&self) -> i64 {
        self.0
    }
}

/// A bucket of the list.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    number: i32,
    /// When its first request was made; the newest bucket's is not looked up unless it must be.
    first: Option<i64>,
}

/// A walk over the part of an account's list that a filter's instants mean.
pub(super) struct Walk<'a> {
    shared: &'a Shared,
    account: &'a AccountId,
    newest: i32,
    stamp: u64,
    /// Requests made before it, itself not included.
    before: i64,
    /// Requests made after it, itself not included.
    after: i64,
    /// Whether empty buckets are empty for ever: nothing is left out, nothing is under way.
    is_whole: bool,
    place: Place,
}

/// Where the walk is.
enum Place {
    Start,
    /// In a bucket; those that are older, the next one last, if they have been looked up.
    In {
        bucket: Bucket,
        older: Option<Vec<Bucket>>,
        was_met: bool,
    },
    End,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        account: &'a AccountId,
        head: &Head,
        filter: &RequestFilter,
    ) -> Self {
        let age = shared.clock.reached().saturating_sub(head.version);
        let is_open = filter.before.is_none() && filter.after.is_none();
        Self {
            shared,
            account,
            newest: bucket_of(head.made.saturating_sub(1), shared.bucket_rows()),
            stamp: head.version,
            before: filter.before.map_or(i64::MAX, millis),
            after: filter.after.map_or(-1, millis),
            is_whole: is_open && age > HELP_AFTER_MICROS,
            place: Place::Start,
        }
    }

    /// The next rows, some at least; `None` at the end.
    pub(super) async fn next<R: Listed>(
        &mut self,
        statement: Statement,
        limit: usize,
    ) -> Result<Option<Vec<R>>> {
        loop {
            let number = match &self.place {
                Place::Start => {
                    self.begin().await?;
                    continue;
                }
                Place::In { bucket, .. } => bucket.number,
                Place::End => return Ok(None),
            };
            let rows: Vec<R> = self.read(statement, number, limit).await?;
            if let Some(last) = rows.last() {
                self.before = last.created();
                if let Place::In { was_met, .. } = &mut self.place {
                    *was_met = true;
                }
            }
            if rows.len() < limit {
                self.go_on().await?;
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    async fn read<R: Listed>(
        &self,
        statement: Statement,
        bucket: i32,
        limit: usize,
    ) -> Result<Vec<R>> {
        let home = self.shared.account_home(self.account);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let account = self.account.as_str();
        let values = (account, bucket, self.before, self.after, limit);
        self.shared.calls.rows(statement, home, values).await
    }

    /// Goes to the first bucket: the newest, unless the walk begins somewhere else.
    async fn begin(&mut self) -> Result<()> {
        if self.newest == 0 || self.before == i64::MAX {
            let bucket = Bucket {
                number: self.newest,
                first: None,
            };
            self.enter(bucket, (self.newest == 0).then(Vec::new));
            return Ok(());
        }
        let mut found = self.look_up(self.before).await?;
        match found.pop() {
            Some(bucket) => self.enter(bucket, Some(found)),
            None => self.place = Place::End,
        }
        Ok(())
    }

    /// Leaves a bucket that has been read for the next one.
    async fn go_on(&mut self) -> Result<()> {
        let Place::In {
            mut bucket,
            older,
            was_met,
        } = std::mem::replace(&mut self.place, Place::End)
        else {
            return Ok(());
        };
        let mut older = match older {
            Some(older) if !older.is_empty() || bucket.number == 0 => older,
            _ => {
                let mut found = self.look_up(bucket.first.unwrap_or(i64::MAX)).await?;
                if bucket.first.is_none() {
                    let own = found.iter().find(|b| b.number == bucket.number);
                    bucket.first = own.and_then(|own| own.first);
                    found.retain(|older| older.number < bucket.number);
                }
                found
            }
        };
        if let Some(first) = bucket.first {
            if self.is_whole && !was_met && bucket.number < self.newest {
                self.forget(first).await?;
            }
            if first <= self.after {
                return Ok(());
            }
        }
        if let Some(next) = older.pop() {
            self.enter(next, Some(older));
        }
        Ok(())
    }

    fn enter(&mut self, bucket: Bucket, older: Option<Vec<Bucket>>) {
        self.place = Place::In {
            bucket,
            older,
            was_met: false,
        };
    }

    /// The buckets that begin before an instant, the newest of them last.
    async fn look_up(&self, before: i64) -> Result<Vec<Bucket>> {
        let home = self.shared.account_home(self.account);
        let limit = i32::try_from(BUCKETS_READ).unwrap_or(i32::MAX);
        let values = (self.account.as_str(), before, limit);
        let found: Vec<(i64, i32)> = self
            .shared
            .calls
            .rows(Statement::BucketsBefore, home, values)
            .await?;
        let bucket = |(first, number)| Bucket {
            number,
            first: Some(first),
        };
        Ok(found.into_iter().rev().map(bucket).collect())
    }

    /// Forgets a bucket that is empty and can get no row any more.
    async fn forget(&self, first: i64) -> Result<()> {
        let home = self.shared.account_home(self.account);
        let values = (bigint(self.stamp), self.account.as_str(), first);
        self.shared
            .calls
            .write(Statement::BucketRemove, home, values)
            .await
    }
}
