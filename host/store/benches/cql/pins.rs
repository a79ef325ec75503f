//! Pins to measure with, and what the bare driver sends for them.

use crate::bare::Bare;
use futures_util::future::join_all;
use holdfast_model::{Cid, Pin, StoredPin, UnixMillis};
use holdfast_store::contract::sample;
use holdfast_store::{Expect, Store};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use uuid::Uuid;

/// Shards of the feed, and bits of a slot of it, as the store has them.
const FEED_SHARDS: u64 = 4;
const FEED_SLOT_BITS: u32 = 29;

/// Calls that setting up is done with at once.
const SET_UP_AT_ONCE: usize = 64;

/// The `n`-th CID.
pub(crate) fn cid(n: u64) -> Cid {
    sample::cid(n).unwrap()
}

/// The `n`-th pin.
pub(crate) fn pin(n: u64) -> Pin {
    let mut pin = Pin::recursive(cid(n), UnixMillis::from_seconds(1_700_000_000));
    pin.options.name = format!("bench-{n}");
    pin
}

/// Puts the first pins.
pub(crate) async fn put(store: &Store, count: u64) -> Vec<StoredPin> {
    let mut put = Vec::new();
    for numbers in (0..count).collect::<Vec<_>>().chunks(SET_UP_AT_ONCE) {
        let some = numbers
            .iter()
            .map(|n| store.put_pin(pin(*n), Expect::Absent));
        put.extend(join_all(some).await.into_iter().map(Result::unwrap));
    }
    put
}

/// A pin as the bare driver names it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) prefix: i32,
    pub(crate) cid: Vec<u8>,
    pub(crate) version: i64,
}

/// Every pin that there is.
pub(crate) async fn keys(bare: &Bare) -> Vec<Key> {
    let text = "SELECT prefix, cid, version FROM pins";
    let all = bare.session.query_unpaged(text, ()).await.unwrap();
    let all = all.into_rows_result().unwrap();
    let rows = all.rows::<(i32, Vec<u8>, i64)>().unwrap();
    rows.map(|row| {
        let (prefix, cid, version) = row.unwrap();
        Key {
            prefix,
            cid,
            version,
        }
    })
    .collect()
}

/// A row of pins, as the driver gives it.
pub(crate) type PinRow = (i64, Uuid, i64, bool, Option<i64>, Vec<u8>);

/// `pin_read`.
pub(crate) async fn read(bare: &Bare, prefix: i32, cid: &[u8]) -> Option<PinRow> {
    let answer = bare.send("pin_read", (prefix, cid)).await;
    answer.maybe_first_row::<PinRow>().unwrap()
}

/// `feed_add`: the entry ahead of a change.
pub(crate) async fn announce(bare: &Bare, cid: &[u8]) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let at = micros() + COUNT.fetch_add(1, Ordering::Relaxed);
    let shard = i32::try_from(at % FEED_SHARDS).unwrap();
    let at = at.cast_signed();
    let values = (at >> FEED_SLOT_BITS, shard, at, cid, at);
    bare.write("feed_add", values).await;
}

/// Microseconds since 1970.
pub(crate) fn micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap().as_micros()).unwrap()
}
