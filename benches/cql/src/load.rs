//! Many pins: made anew, and streamed out again.

use crate::bare::{self, Bare};
use crate::pins;
use crate::server::{Bench, ROUNDS};
use crate::table::Row;
use crate::{AT_ONCE_MAX, Plan};
use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use holdfast_store::{Expect, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Parts of the load that the two sides make in turn, so that neither has the emptier tables.
const PARTS: u64 = 5;

/// Both sides read the row, write the feed's entry ahead, and make the row under a condition.
pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let bench = Bench::start()?;
    let part = plan.pins.div_ceil(PARTS).max(1);
    let mut pairs = Vec::new();
    let mut next = 0;
    for _ in 0..PARTS {
        let store = bench.store.clone();
        let ours = all(next, part, move |n| {
            let store = store.clone();
            async move {
                store.put_pin(pins::pin(n)?, Expect::Absent).await?;
                Ok(())
            }
        });
        let ours = bench.runtime.block_on(ours)?;
        next += part;
        let bare = Arc::clone(&bench.bare);
        let theirs = all(next, part, move |n| {
            let bare = Arc::clone(&bare);
            async move { make(&bare, n).await }
        });
        pairs.push((ours, bench.runtime.block_on(theirs)?));
        next += part;
    }
    let loaded = rate("cql_load", part, &pairs);
    let pairs: Result<Vec<_>> = (0..ROUNDS).map(|_| export(&bench, next)).collect();
    Ok(vec![loaded, rate("cql_export", next, &pairs?)])
}

async fn make(bare: &Bare, n: u64) -> Result<()> {
    let pin = pins::pin(n)?;
    let (cid, body) = (pin.cid.to_bytes(), pin.to_proto());
    let prefix = bare.prefix(&pin.cid);
    let op = Uuid::now_v7();
    let found = pins::read_for_change(bare, (prefix, &cid), op).await?;
    ensure!(found.is_none(), "a new pin is there already");
    pins::announce(bare, &cid).await?;
    let version = pins::micros()?.cast_signed();
    let trail = pins::then(None, op);
    let values = (
        version,
        op,
        0_i64,
        true,
        None::<i64>,
        &body,
        trail,
        prefix,
        &cid,
    );
    bare.send("pin_make", values).await?;
    Ok(())
}

/// Every pin, streamed by both sides.
fn export(bench: &Bench, count: u64) -> Result<(Duration, Duration)> {
    let begun = Instant::now();
    let ours = bench.runtime.block_on(scan(&bench.store))?;
    let ours_took = begun.elapsed();
    let begun = Instant::now();
    let theirs = bench.runtime.block_on(bare::stream(&bench.bare))?;
    ensure!(
        (ours, theirs) == (count, count),
        "of {count} pins the store streamed {ours} and the bare driver {theirs}"
    );
    Ok((ours_took, begun.elapsed()))
}

async fn scan(store: &Store) -> Result<u64> {
    let mut scan = store.scan_pins(None)?;
    let mut count = 0;
    while let Some(pins) = scan.next().await? {
        count += pins.len() as u64;
    }
    Ok(count)
}

#[expect(clippy::float_arithmetic, reason = "rates for people, no money")]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn rate(name: &str, count: u64, pairs: &[(Duration, Duration)]) -> Row {
    let rate = |took: &Duration| count as f64 / took.as_secs_f64();
    let pairs: Vec<_> = pairs.iter().map(|(a, b)| (rate(a), rate(b))).collect();
    Row::from_pairs(name, "row/s", ">= 0.85", &pairs)
}

/// Does something for `count` numbers from `first` on, many at once; answers how long it took.
async fn all<A>(
    first: u64,
    count: u64,
    does: impl Fn(u64) -> A + Send + Sync + 'static,
) -> Result<Duration>
where
    A: Future<Output = Result<()>> + Send + 'static,
{
    let begun = Instant::now();
    let (next, does) = (Arc::new(AtomicU64::new(first)), Arc::new(does));
    let tasks = (0..AT_ONCE_MAX).map(|_| {
        let (next, does) = (Arc::clone(&next), Arc::clone(&does));
        tokio::spawn(async move {
            loop {
                match next.fetch_add(1, Ordering::Relaxed) {
                    n if n < first + count => does(n).await?,
                    _ => return anyhow::Ok(()),
                }
            }
        })
    });
    let done: Result<Vec<()>> = try_join_all(tasks).await?.into_iter().collect();
    done?;
    Ok(begun.elapsed())
}
