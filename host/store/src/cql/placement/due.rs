//! When placements fall due: a queue for each peer, derived from the placements.
//!
//! A row is written *ahead* of the change that it follows from and bears the version that the
//! placement is to have; it counts if the placement has that version. So a row may be early or
//! stale, but no work is without one. Stale rows are deleted by the change that made them so, and
//! if that died, by whoever meets them; each attempt has a row of its own, so nobody can delete
//! what another has just written.
//!
//! Rows lie in slots of time, and an index says which slots there are. A slot that was emptied is
//! never read again, so deletions are only passed over in the slot that is being emptied: at most
//! as many as fall due within one slot.

use super::of_peer;
use super::record::Place;
use crate::Result;
use crate::cql::Shared;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_model::{Cid, PeerId, Placement, UnixMillis};

/// A slot has 2^13 ms, about 8 s: a peer of which 10,000 placements fall due in each second reads
/// past 80,000 deletions at most, under the 100,000 at which servers refuse a read.
const SLOT_BITS: u32 = 13;

/// What is due since ever has slots before all others, by the time at which it was written: letting
/// go of many pins must not crowd one slot.
const SINCE_EVER: i64 = -(1 << 50);

/// Slots that the index tells at once.
const SLOTS_AT_ONCE: i32 = 64;

/// Rows of a queue that are read at once, and compared with their placements at once.
const ROWS_MIN: usize = 16;
const ROWS_MAX: usize = 1_000;
const LOOKS_AT_ONCE: usize = 32;
const SLOTS_READ_AT_ONCE: usize = 8;

/// After how long a change that has not come can no longer come: many times as long as a call may
/// take, and as clocks may differ.
const CHANGE_MICROS_MAX: u64 = 60_000_000;

/// One row of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) due: i64,
    pub(super) cid: Vec<u8>,
    pub(super) version: u64,
}

impl Due {
    /// The row that follows from a placement, if anything is due.
    pub(super) fn of(place: &Place, placement: &Placement) -> Option<Self> {
        let due = placement.due?;
        Some(Self::at(place, due, placement.version))
    }

    /// A row of this placement at some time.
    pub(super) fn at(place: &Place, due: UnixMillis, version: u64) -> Self {
        Self {
            due: i64::try_from(due.as_millis()).unwrap_or(i64::MAX),
            cid: place.cid.clone(),
            version,
        }
    }

    pub(super) fn slot(&self) -> i64 {
        if self.due > 0 {
            return self.due >> SLOT_BITS;
        }
        let written = (self.version / 1_000).cast_signed();
        SINCE_EVER + (written >> SLOT_BITS)
    }

    /// Writes the row and its slot, ahead of the change.
    pub(super) async fn put(&self, shared: &Shared, peer: &[u8]) -> Result<()> {
        let (slot, version) = (self.slot(), self.version.cast_signed());
        let home = shared.params.home(peer);
        let row = (peer, slot, self.due, &self.cid, version, version);
        let calls = &shared.calls;
        let row = calls.write(Statement::DuePut, home, row);
        let slot = calls.write(Statement::DueSlotPut, home, (peer, slot, version));
        tokio::try_join!(row, slot).map(drop)
    }

    pub(super) async fn remove(&self, shared: &Shared, peer: &[u8]) -> Result<()> {
        let (slot, version) = (self.slot(), self.version.cast_signed());
        let row = (version, peer, slot, self.due, &self.cid, version);
        let home = shared.params.home(peer);
        shared.calls.write(Statement::DueRemove, home, row).await
    }
}

/// A peer's queue.
pub(super) struct Queue<'a> {
    shared: &'a Shared,
    peer: Vec<u8>,
    home: Home,
}

/// One page of a slot.
struct Page {
    rows: Vec<Due>,
    /// Whether there may be more.
    is_full: bool,
}

impl<'a> Queue<'a> {
    pub(super) fn of(shared: &'a Shared, peer: &PeerId) -> Self {
        let peer = peer.to_bytes();
        Self {
            shared,
            home: shared.params.home(&peer),
            peer,
        }
    }

    /// What is due up to some time, soonest first.
    pub(super) async fn upto(
        &self,
        upto: Option<UnixMillis>,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        let upto = upto.and_then(|upto| i64::try_from(upto.as_millis()).ok());
        let upto = upto.unwrap_or(i64::MAX);
        let limit = limit as usize;
        let mut found = Vec::new();
        let mut after = i64::MIN;
        while found.len() < limit {
            let slots = self.slots(after, upto >> SLOT_BITS).await?;
            let Some(last) = slots.last() else {
                break;
            };
            after = *last;
            self.of_slots(slots, upto, limit, &mut found).await?;
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn slots(&self, after: i64, upto: i64) -> Result<Vec<i64>> {
        let values = (&self.peer, after, upto, SLOTS_AT_ONCE);
        let calls = &self.shared.calls;
        let rows = calls.rows::<(i64,)>(Statement::DueSlots, self.home, values);
        Ok(rows.await?.into_iter().map(|(slot,)| slot).collect())
    }

    async fn of_slots(
        &self,
        slots: Vec<i64>,
        upto: i64,
        limit: usize,
        found: &mut Vec<Placement>,
    ) -> Result<()> {
        let rows = limit.saturating_sub(found.len()).clamp(ROWS_MIN, ROWS_MAX);
        let at_once = limit.div_ceil(ROWS_MIN).clamp(1, SLOTS_READ_AT_ONCE);
        let pages = stream::iter(slots)
            .map(async |slot| {
                let page = self.page(slot, upto, None, rows).await?;
                Result::Ok((slot, page))
            })
            .buffered(at_once);
        let mut pages = std::pin::pin!(pages);
        while found.len() < limit {
            let Some((slot, mut page)) = pages.try_next().await? else {
                return Ok(());
            };
            if page.rows.is_empty() {
                self.forget(slot, upto).await?;
            }
            loop {
                self.judge_all(&page, found).await?;
                let Some(last) = page.rows.last().filter(|_| page.is_full) else {
                    break;
                };
                if found.len() >= limit {
                    return Ok(());
                }
                page = self.page(slot, upto, Some(last), rows).await?;
            }
        }
        Ok(())
    }

    async fn page(&self, slot: i64, upto: i64, after: Option<&Due>, rows: usize) -> Result<Page> {
        let (due, cid, version) = match after {
            Some(after) => (after.due, after.cid.as_slice(), after.version.cast_signed()),
            None => (i64::MIN, &[][..], i64::MIN),
        };
        let limit = i32::try_from(rows).unwrap_or(i32::MAX);
        let values = (&self.peer, slot, due, cid, version, upto, limit);
        let calls = &self.shared.calls;
        let found = calls.rows::<(i64, Vec<u8>, i64)>(Statement::Due, self.home, values);
        let found = found.await?;
        let is_full = found.len() >= rows;
        let row = |(due, cid, version): (i64, Vec<u8>, i64)| Due {
            due,
            cid,
            version: version.cast_unsigned(),
        };
        Ok(Page {
            rows: found.into_iter().map(row).collect(),
            is_full,
        })
    }

    /// Takes an empty slot from the index, unless somebody has just announced a row of it.
    async fn forget(&self, slot: i64, upto: i64) -> Result<()> {
        if slot >= upto >> SLOT_BITS {
            return Ok(());
        }
        let stamp = self
            .shared
            .clock
            .reached()
            .saturating_sub(CHANGE_MICROS_MAX);
        let values = (stamp.cast_signed(), &self.peer, slot);
        let calls = &self.shared.calls;
        calls
            .write(Statement::DueSlotRemove, self.home, values)
            .await
    }

    async fn judge_all(&self, page: &Page, found: &mut Vec<Placement>) -> Result<()> {
        // Collected, because a closure over borrowed rows that lives across an await keeps the
        // whole call from being sent to another thread.
        let verdicts: Vec<_> = page.rows.iter().map(|row| self.judge(row)).collect();
        let verdicts = stream::iter(verdicts).buffered(LOOKS_AT_ONCE);
        let valid: Vec<Option<Placement>> = verdicts.try_collect().await?;
        found.extend(valid.into_iter().flatten());
        Ok(())
    }

    /// The placement, if the row follows from it. A row that no longer does is removed, after what
    /// its change may have left undone.
    async fn judge(&self, row: &Due) -> Result<Option<Placement>> {
        let shared = self.shared;
        let cid = Cid::from_bytes(&row.cid)
            .map_err(|e| StoreError::Corrupt(format!("a due row holds {e}")))?;
        let place = Place::of_bytes(shared, &cid, self.peer.clone());
        let record = place.read(shared).await?;
        let is_past = row.version.saturating_add(CHANGE_MICROS_MAX) < shared.clock.reached();
        match record {
            Some(record) if record.version >= row.version => {
                if let Some(placement) = &record.placement
                    && Due::of(&place, placement).as_ref() == Some(row)
                {
                    return Ok(record.placement);
                }
                of_peer::follow(shared, &place, &record).await?;
            }
            None if is_past => of_peer::remove(shared, &place, row.version).await?,
            Some(_) if is_past => {}
            // Its change is under way.
            _ => return Ok(None),
        }
        row.remove(shared, &self.peer).await?;
        Ok(None)
    }
}
