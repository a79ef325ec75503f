//! What goes by itself, and when: an index over time of requests and of pins.
//!
//! Entries lie in slots of time, each slot spread over a few partitions, so that reading what is
//! due meets only the tombstones of its own slot (at most what expires in one slot divided by the
//! shards; servers refuse a read at 100,000, which 1,500 expiries a second do not reach). The index
//! of slots tells which of them have anything.
//!
//! An entry is written after the row that it speaks of, and its slot's index row after the entry,
//! stamped with the clock. So an entry whose row is missing is stale and may be removed by whoever
//! meets it, and an old slot that is empty may be taken out of the index by a removal that is
//! stamped a minute back: what was written to the index since then stays.

use super::Shared;
use super::home::{Home, Params};
use super::number::{bigint, instant, millis, unsigned};
use super::statement::Statement;
use crate::Result;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::UnixMillis;
use quick_cache::sync::Cache;

/// A slot lasts 2^18 milliseconds, 4.4 minutes.
const SLOT_BITS: u32 = 18;

/// Slots read of the index at once.
const SLOTS_READ: i32 = 256;

/// Slots whose index row this process knows to be there.
const SLOTS_KNOWN_MAX: usize = 4_096;

/// How long an empty slot stays in the index after its time, in microseconds: an hour.
const SLOT_KEPT_MICROS: u64 = 3_600_000_000;

/// How far back a removal from the index is stamped, in microseconds: longer than clocks differ.
const REMOVAL_BACK_MICROS: u64 = 60_000_000;

/// What expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A pin request; the key is its id.
    Request,
    /// A pin that a cluster node put; the key is its CID.
    Pin,
}

impl Kind {
    const fn number(self) -> i8 {
        match self {
            Self::Request => 0,
            Self::Pin => 1,
        }
    }
}

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expiring {
    /// When it expires.
    pub(crate) at: UnixMillis,
    /// What does.
    pub(crate) key: Vec<u8>,
}

/// The slots whose index row is known to be there.
#[derive(Debug)]
pub(crate) struct KnownSlots(Cache<(Kind, u64), ()>);

impl Default for KnownSlots {
    fn default() -> Self {
        Self(Cache::new(SLOTS_KNOWN_MAX))
    }
}

const fn slot_of(at: UnixMillis) -> u64 {
    at.as_millis() >> SLOT_BITS
}

/// The first microsecond after a slot.
const fn slot_end_micros(slot: u64) -> u64 {
    ((slot + 1) << SLOT_BITS).saturating_mul(1_000)
}

impl Shared {
    /// Notes when something expires. The row that says so must have been written before.
    pub(crate) async fn put_expiry(
        &self,
        kind: Kind,
        entry: &Expiring,
        version: u64,
    ) -> Result<()> {
        let slot = slot_of(entry.at);
        let shard = self.expiry_shard(&entry.key);
        let home = self.expiry_home(kind, slot, shard);
        let place = (kind.number(), bigint(slot), shard);
        let row = (
            place.0,
            place.1,
            place.2,
            millis(entry.at),
            &entry.key,
            bigint(version),
        );
        self.calls.write(Statement::ExpiryPut, home, row).await?;
        self.put_expiry_slot(kind, slot).await
    }

    /// Forgets when something was to expire.
    pub(crate) async fn remove_expiry(
        &self,
        kind: Kind,
        entry: &Expiring,
        version: u64,
    ) -> Result<()> {
        let slot = slot_of(entry.at);
        let shard = self.expiry_shard(&entry.key);
        let home = self.expiry_home(kind, slot, shard);
        let place = (kind.number(), bigint(slot), shard);
        let row = (
            bigint(version),
            place.0,
            place.1,
            place.2,
            millis(entry.at),
            &entry.key,
        );
        self.calls.write(Statement::ExpiryRemove, home, row).await
    }

    /// What has expired at `now`, soonest first, after an entry.
    pub(crate) async fn expired(
        &self,
        kind: Kind,
        now: UnixMillis,
        after: Option<&Expiring>,
        limit: usize,
    ) -> Result<Vec<Expiring>> {
        let mut found = Vec::new();
        let mut from = after.map_or(0, |after| slot_of(after.at));
        while found.len() < limit && from <= slot_of(now) {
            let slots = self.expiry_slots(kind, from, slot_of(now)).await?;
            let Some(last) = slots.last() else {
                break;
            };
            from = last + 1;
            for slot in slots {
                if found.len() >= limit {
                    break;
                }
                found.extend(self.expired_of_slot(kind, slot, now, after, limit).await?);
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// One slot's entries in their order, merged over its shards.
    async fn expired_of_slot(
        &self,
        kind: Kind,
        slot: u64,
        now: UnixMillis,
        after: Option<&Expiring>,
        limit: usize,
    ) -> Result<Vec<Expiring>> {
        let shards = 0..i32::from(self.params.expiry_shards.max(1));
        let shards = stream::iter(shards)
            .map(|shard| self.expired_of_shard(kind, (slot, shard), now, after, limit));
        let mut entries: Vec<_> = shards
            .buffer_unordered(usize::from(self.params.expiry_shards.max(1)))
            .try_collect::<Vec<_>>()
            .await?
            .into_iter()
            .flatten()
            .collect();
        let reached = self.clock.reached();
        let is_old = slot_end_micros(slot).saturating_add(SLOT_KEPT_MICROS) < reached;
        if entries.is_empty() && after.is_none() && is_old {
            self.remove_expiry_slot(kind, slot, reached).await?;
        }
        entries.sort_unstable();
        Ok(entries)
    }

    async fn expired_of_shard(
        &self,
        kind: Kind,
        (slot, shard): (u64, i32),
        now: UnixMillis,
        after: Option<&Expiring>,
        limit: usize,
    ) -> Result<Vec<Expiring>> {
        let home = self.expiry_home(kind, slot, shard);
        let (at, key) = after.map_or((-1, &[][..]), |after| (millis(after.at), &after.key));
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let kind = kind.number();
        let values = (kind, bigint(slot), shard, at, key, millis(now), limit);
        let rows: Vec<(i64, Vec<u8>)> =
            self.calls.rows(Statement::ExpiryUpto, home, values).await?;
        let entry = |(at, key)| Expiring {
            at: instant(at),
            key,
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    async fn expiry_slots(&self, kind: Kind, from: u64, upto: u64) -> Result<Vec<u64>> {
        let home = self.expiry_slots_home(kind);
        let values = (kind.number(), bigint(from), bigint(upto), SLOTS_READ);
        let rows: Vec<(i64,)> = self
            .calls
            .rows(Statement::ExpirySlotsUpto, home, values)
            .await?;
        Ok(rows.into_iter().map(|(slot,)| unsigned(slot)).collect())
    }

    /// Puts a slot into the index, unless it is there for certain: only past slots are taken out.
    async fn put_expiry_slot(&self, kind: Kind, slot: u64) -> Result<()> {
        let is_to_come = slot_end_micros(slot) > self.clock.reached();
        if is_to_come && self.expiry_slots.0.get(&(kind, slot)).is_some() {
            return Ok(());
        }
        let values = (kind.number(), bigint(slot), bigint(self.clock.next()));
        let home = self.expiry_slots_home(kind);
        self.calls
            .write(Statement::ExpirySlotPut, home, values)
            .await?;
        self.expiry_slots.0.insert((kind, slot), ());
        Ok(())
    }

    async fn remove_expiry_slot(&self, kind: Kind, slot: u64, reached: u64) -> Result<()> {
        let stamp = reached.saturating_sub(REMOVAL_BACK_MICROS);
        let values = (bigint(stamp), kind.number(), bigint(slot));
        let home = self.expiry_slots_home(kind);
        self.calls
            .write(Statement::ExpirySlotRemove, home, values)
            .await
    }

    fn expiry_shard(&self, key: &[u8]) -> i32 {
        Params::shard(key, self.params.expiry_shards)
    }

    fn expiry_home(&self, kind: Kind, slot: u64, shard: i32) -> Home {
        let mut key = vec![kind.number().unsigned_abs()];
        key.extend(slot.to_be_bytes());
        key.extend(shard.to_be_bytes());
        self.params.home(&key)
    }

    fn expiry_slots_home(&self, kind: Kind) -> Home {
        self.params.home(&[kind.number().unsigned_abs()])
    }
}
