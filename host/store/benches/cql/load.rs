//! Many pins: made anew, and streamed out again.

use crate::bare::{self, Bare};
use crate::pins;
use crate::server::{Bench, ROUNDS};
use crate::table::{Row, row};
use crate::{AT_ONCE, Plan};
use holdfast_store::{Expect, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How many on each side, unless `HOLDFAST_LOAD_PINS` says otherwise.
const PINS: u64 = 100_000;

/// Both sides read the row, write the feed's entry ahead, and make the row under a condition.
pub(crate) fn rows(_plan: &Plan) -> Vec<Row> {
    let bench = Bench::start();
    let count = std::env::var("HOLDFAST_LOAD_PINS").map_or(PINS, |count| count.parse().unwrap());
    let store = bench.store.clone();
    let ours = bench.runtime.block_on(all(count, move |n| {
        let store = store.clone();
        async move { drop(store.put_pin(pins::pin(n), Expect::Absent).await.unwrap()) }
    }));
    let bare = Arc::clone(&bench.bare);
    let theirs = bench.runtime.block_on(all(count, move |n| {
        let bare = Arc::clone(&bare);
        async move { make(&bare, count + n).await }
    }));
    let loaded = rate("cql_load", count, &[(ours, theirs)]);
    let pairs: Vec<_> = (0..ROUNDS).map(|_| export(&bench, 2 * count)).collect();
    vec![loaded, rate("cql_export", 2 * count, &pairs)]
}

async fn make(bare: &Bare, n: u64) {
    let pin = pins::pin(n);
    let (cid, body) = (pin.cid.to_bytes(), pin.to_proto());
    // Spread as widely as the store spreads them: over 2^28 partitions.
    let prefix = i32::try_from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 36).unwrap();
    assert!(pins::read(bare, prefix, &cid).await.is_none());
    pins::announce(bare, &cid).await;
    let (version, op) = (pins::micros().cast_signed(), Uuid::now_v7());
    let values = (version, op, 0_i64, true, None::<i64>, &body, prefix, &cid);
    bare.send("pin_make", values).await;
}

/// Every pin, streamed by both sides.
fn export(bench: &Bench, count: u64) -> (Duration, Duration) {
    let begun = Instant::now();
    let ours = bench.runtime.block_on(scan(&bench.store));
    let ours_took = begun.elapsed();
    let begun = Instant::now();
    let theirs = bench.runtime.block_on(bare::stream(&bench.bare));
    assert_eq!((ours, theirs), (count, count), "not every pin was streamed");
    (ours_took, begun.elapsed())
}

async fn scan(store: &Store) -> u64 {
    let mut scan = store.scan_pins(None).unwrap();
    let mut count = 0;
    while let Some(pins) = scan.next().await.unwrap() {
        count += pins.len() as u64;
    }
    count
}

#[expect(clippy::float_arithmetic, reason = "rates for people, no money")]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn rate(name: &str, count: u64, pairs: &[(Duration, Duration)]) -> Row {
    let rate = |took: &Duration| count as f64 / took.as_secs_f64();
    let pairs: Vec<_> = pairs.iter().map(|(a, b)| (rate(a), rate(b))).collect();
    row(name, "row/s", ">= 0.85", &pairs)
}

/// Does something for each number below `count`, many at once; answers how long it took.
async fn all<A>(count: u64, does: impl Fn(u64) -> A + Send + Sync + 'static) -> Duration
where
    A: Future<Output = ()> + Send + 'static,
{
    let (begun, next, does) = (Instant::now(), Arc::new(AtomicU64::new(0)), Arc::new(does));
    let tasks: Vec<_> = (0..AT_ONCE.into_iter().max().unwrap())
        .map(|_| {
            let (next, does) = (Arc::clone(&next), Arc::clone(&does));
            tokio::spawn(async move {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        n if n < count => does(n).await,
                        _ => return,
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    begun.elapsed()
}
