//! Reading entries.

use super::{HOME, Shared, ZERO, signed, slot_of, unsigned};
use crate::Result;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use futures_util::future::try_join_all;
use holdfast_model::{Change, Cid, Cursor};

/// Slots that are looked up at once.
const SLOTS_AT_ONCE: i32 = 64;

type Entry = (i64, Vec<u8>);

/// Entries of a slot or a shard of one.
struct Part {
    entries: Vec<Entry>,
    /// Whether there are more; all up to the last of these are among them.
    more: bool,
}

impl Shared {
    /// Entries after a cursor and below `end`, oldest first: `limit` of them if there are so many,
    /// and the rest of those that share the last one's cursor.
    pub(super) async fn page(&self, after: Cursor, end: u64, limit: u32) -> Result<Vec<Change>> {
        let mut found = Vec::new();
        if limit == 0 || after.0.saturating_add(1) >= end {
            return Ok(found);
        }
        let last = slot_of(end);
        let mut next = Some(slot_of(after.0));
        while let Some(slot) = next {
            let wanted = limit as usize - found.len();
            let part = self.page_of_slot(slot, (after.0, end), wanted).await?;
            for entry in part.entries {
                found.push(change(entry)?);
            }
            if part.more || found.len() >= limit as usize {
                break;
            }
            next = self.slot_after(slot, last).await?;
        }
        Ok(found)
    }

    /// The newest entry below `end`.
    pub(super) async fn newest(&self, end: u64) -> Result<Option<u64>> {
        let slots: Vec<(i64,)> = self
            .calls
            .rows(Statement::FeedSlotsNewest, HOME, (ZERO, SLOTS_AT_ONCE))
            .await?;
        for (slot,) in slots {
            let of_shard = |shard| {
                let values = (slot, shard, signed(end));
                self.calls
                    .row::<(i64,)>(Statement::FeedNewest, HOME, values)
            };
            let newest = try_join_all(self.shards().map(of_shard)).await?;
            let newest = newest.into_iter().flatten().map(|(at,)| at).max();
            if newest.is_some() {
                return Ok(newest.map(|at| unsigned(Some(at))));
            }
        }
        Ok(None)
    }

    /// Whether there is an entry with just this cursor.
    pub(super) async fn has_entry(&self, cursor: Cursor) -> Result<bool> {
        Ok(!self.group(signed(cursor.0)).await?.is_empty())
    }

    /// Slots that may have entries, from one to another.
    pub(super) async fn slots(&self, from: u64, upto: u64) -> Result<Vec<u64>> {
        let values = (ZERO, signed(from), signed(upto), SLOTS_AT_ONCE);
        let rows: Vec<(i64,)> = self.calls.rows(Statement::FeedSlots, HOME, values).await?;
        Ok(rows
            .into_iter()
            .map(|(slot,)| unsigned(Some(slot)))
            .collect())
    }

    async fn slot_after(&self, slot: u64, last: u64) -> Result<Option<u64>> {
        match last.saturating_sub(slot) {
            0 => Ok(None),
            // Who follows closely needs no look-up.
            1 => Ok(Some(last)),
            _ => Ok(self.slots(slot + 1, last).await?.first().copied()),
        }
    }

    async fn page_of_slot(&self, slot: u64, between: (u64, u64), wanted: usize) -> Result<Part> {
        let of_shard = |shard| self.page_of_shard((slot, shard), between, wanted);
        let parts = try_join_all(self.shards().map(of_shard)).await?;
        // A shard that has more is known up to its last entry only, and so is the whole.
        let known = |part: &Part| part.more.then(|| part.entries.last().map(|e| e.0))?;
        let bound = parts.iter().filter_map(known).min();
        let mut entries: Vec<_> = parts.into_iter().flat_map(|part| part.entries).collect();
        entries.sort_unstable();
        if let Some(bound) = bound {
            entries.retain(|(at, _)| *at <= bound);
        }
        let last = wanted.checked_sub(1).and_then(|n| entries.get(n));
        let all = entries.len();
        if let Some((last, _)) = last.cloned() {
            entries.retain(|(at, _)| *at <= last);
        }
        let more = bound.is_some() || entries.len() < all;
        Ok(Part { entries, more })
    }

    async fn page_of_shard(
        &self,
        (slot, shard): (u64, i32),
        (after, end): (u64, u64),
        wanted: usize,
    ) -> Result<Part> {
        let limit = i32::try_from(wanted).unwrap_or(i32::MAX);
        let values = (signed(slot), shard, signed(after), signed(end), limit);
        let mut entries: Vec<Entry> = self.calls.rows(Statement::FeedPage, HOME, values).await?;
        let more = entries.len() >= wanted;
        if let (true, Some((last, _))) = (more, entries.last().cloned()) {
            entries.retain(|(at, _)| *at < last);
            entries.extend(self.group(last).await?);
        }
        Ok(Part { entries, more })
    }

    /// All entries with one cursor.
    async fn group(&self, at: i64) -> Result<Vec<Entry>> {
        let stamp = unsigned(Some(at));
        let values = (signed(slot_of(stamp)), self.shard(stamp), at);
        self.calls.rows(Statement::FeedGroup, HOME, values).await
    }
}

fn change((at, cid): Entry) -> Result<Change> {
    let cid = Cid::from_bytes(&cid)
        .map_err(|e| StoreError::Corrupt(format!("the feed's entry {at}: {e}")))?;
    Ok(Change {
        cursor: Cursor(unsigned(Some(at))),
        cid,
    })
}
