//! What the contract asks of the feed.

use super::{Feed, HOME, ZERO, signed, unsigned};
use crate::Result;
use crate::cql::Cql;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use crate::rules::{check_follower_name, check_not_in_future};
use holdfast_model::{Change, Cursor};
use std::time::Duration;

/// What is outdated moves in steps of 2^26 microseconds, some 67 seconds: every process of a
/// cluster trims, and all but the first find that it has been done.
const OUTDATED_STEP_BITS: u32 = 26;

impl Cql {
    pub(crate) async fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        self.shared.feed.changes(after, limit).await
    }

    pub(crate) async fn trim_changes(&self, upto: Cursor) -> Result<()> {
        self.shared.feed.trim(upto).await
    }

    pub(crate) fn outdated(&self, age: Duration) -> Cursor {
        let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        let end = self.shared.clock.reached().saturating_sub(age);
        let end = (end >> OUTDATED_STEP_BITS) << OUTDATED_STEP_BITS;
        Cursor(end).min(*self.head().borrow())
    }

    pub(crate) async fn follower(&self, name: &str) -> Result<Cursor> {
        let row =
            self.shared
                .calls
                .row::<(Option<i64>,)>(Statement::FollowerRead, HOME, (ZERO, name));
        Ok(Cursor(unsigned(row.await?.and_then(|(cursor,)| cursor))))
    }

    pub(crate) async fn save_follower(&self, name: &str, cursor: Cursor) -> Result<()> {
        check_follower_name(name)?;
        let values = (
            ZERO,
            name,
            signed(cursor.0),
            signed(self.shared.clock.next()),
        );
        self.shared
            .calls
            .write(Statement::FollowerWrite, HOME, values)
            .await
    }
}

impl Feed {
    pub(crate) async fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        let shared = &self.shared;
        let (end, floor) = {
            let standing = shared.standing.lock();
            (standing.watermark(&shared.clock), standing.floor())
        };
        if after > *shared.head.borrow() {
            // Another process may have given this cursor, a moment ago.
            self.refresh().await?;
            let head = *shared.head.borrow();
            if after > head && !shared.has_entry(after).await? {
                check_not_in_future(after, head)?;
            }
        }
        check_not_trimmed(after, floor)?;
        let page = shared.page(after, end, limit).await?;
        if !page.is_empty() {
            // What was trimmed while it was read may be missing in it.
            let floor = shared
                .calls
                .row::<(Option<i64>,)>(Statement::FloorRead, HOME, (ZERO,))
                .await?;
            check_not_trimmed(after, unsigned(floor.and_then(|(floor,)| floor)))?;
        }
        Ok(page)
    }

    /// Hears from the others now, and reads what has become readable.
    pub(super) async fn refresh(&self) -> Result<()> {
        self.shared.beat().await?;
        self.shared.catch_up().await
    }
}

fn check_not_trimmed(after: Cursor, floor: u64) -> Result<()> {
    if after.0 >= floor {
        return Ok(());
    }
    Err(StoreError::CursorTooOld {
        oldest: Cursor(floor),
    })
}
