//! Pins to measure with, and what the bare driver sends for them.

use crate::bare::Bare;
use anyhow::Result;
use futures_util::future::try_join_all;
use holdfast_model::{Cid, Pin, StoredPin, UnixMillis};
use holdfast_store::contract::sample;
use holdfast_store::{Expect, Store};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use uuid::Uuid;

/// Shards of the feed, and bits of a slot of it, as the store has them.
const FEED_SHARDS: u64 = 4;
const FEED_SLOT_BITS: u32 = 29;

/// Operations in a row's trail, and the bytes of each, as the store has them.
const TRAIL_MAX: usize = 32;
const TRAIL_MARK: usize = 8;

/// Calls that setting up is done with at once.
pub(crate) const SET_UP_AT_ONCE: usize = 64;

/// The `n`-th CID.
pub(crate) fn cid(n: u64) -> Result<Cid> {
    Ok(sample::cid(n)?)
}

/// The `n`-th pin.
pub(crate) fn pin(n: u64) -> Result<Pin> {
    let mut pin = Pin::recursive(cid(n)?, UnixMillis::from_seconds(1_700_000_000));
    pin.options.name = format!("bench-{n}");
    Ok(pin)
}

/// Puts the first pins.
pub(crate) async fn put(store: &Store, count: u64) -> Result<Vec<StoredPin>> {
    let mut put = Vec::new();
    for numbers in (0..count).collect::<Vec<_>>().chunks(SET_UP_AT_ONCE) {
        let some = numbers.iter().map(async |n| {
            let put = store.put_pin(pin(*n)?, Expect::Absent).await?;
            anyhow::Ok(put)
        });
        put.extend(try_join_all(some).await?);
    }
    Ok(put)
}

/// A row of pins, as the driver gives it.
pub(crate) type PinRow = (i64, Uuid, i64, bool, Option<i64>, Vec<u8>);

/// `pin_read`.
pub(crate) async fn read(bare: &Bare, prefix: i32, cid: &[u8]) -> Result<Option<PinRow>> {
    let answer = bare.send("pin_read", (prefix, cid)).await?;
    Ok(answer.maybe_first_row::<PinRow>()?)
}

/// A row of pins for who is going to write it: with its trail of operations.
type PinRowForChange = (i64, Uuid, i64, bool, Option<i64>, Vec<u8>, Option<Vec<u8>>);

/// `pin_read_for_change`: the version, and the trail after one more operation.
pub(crate) async fn read_for_change(
    bare: &Bare,
    (prefix, cid): (i32, &[u8]),
    op: Uuid,
) -> Result<Option<(i64, Vec<u8>)>> {
    let answer = bare.send("pin_read_for_change", (prefix, cid)).await?;
    let found = answer.maybe_first_row::<PinRowForChange>()?;
    Ok(found.map(|(version, .., trail)| (version, then(trail.as_deref(), op))))
}

/// The trail after one more operation.
pub(crate) fn then(trail: Option<&[u8]>, op: Uuid) -> Vec<u8> {
    let trail = trail.unwrap_or(&[0; TRAIL_MARK]);
    let kept = trail.len().saturating_sub((TRAIL_MAX - 1) * TRAIL_MARK);
    let mark = op.as_u64_pair().1.to_be_bytes();
    [trail.get(kept..).unwrap_or_default(), &mark].concat()
}

/// `feed_add`: the entry ahead of a change.
pub(crate) async fn announce(bare: &Bare, cid: &[u8]) -> Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let at = micros()? + COUNT.fetch_add(1, Ordering::Relaxed);
    let shard = i32::try_from(at % FEED_SHARDS)?;
    let at = at.cast_signed();
    let values = (at >> FEED_SLOT_BITS, shard, at, cid, at);
    bare.write("feed_add", values).await
}

/// Microseconds since 1970.
pub(crate) fn micros() -> Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_micros())?)
}
