//! Reading many pins: page by page in the order of the ring, and all of them at once.

use super::calls::{PageRows, WalkRows};
use super::home::Home;
use super::pin::{PinColumns, PinPlace, PinRecord};
use super::statement::Statement;
use super::{Cql, Shared};
use crate::Result;
use crate::scan::{PAGE_BYTES, RangeLeft};
use futures_util::stream::{BoxStream, iter, once, unfold};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use holdfast_model::{Cid, StoredPin};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Ranges that are read at once for each worker of the cluster: enough that none of them waits.
const AT_ONCE_PER_SHARD: usize = 3;

/// Ranges that are read at once at most: each holds two pages of the driver.
const AT_ONCE_MAX: usize = 32;

/// Parts of the ring for each that is read at once, so that all end at about the same time.
const PARTS_EACH: usize = 8;

/// Parts of the ring at most: a mark names each that is not over.
const PARTS_MAX: usize = 8_192;

/// Pins that are handed out at once.
const PIECE_PINS: usize = 1_000;

/// Bytes of rows that end a piece sooner: as many as a page of the driver is to have.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

impl Cql {
    /// Pins in the order of the ring, and of their CIDs where they lie together. (Two prefixes of
    /// the same token would hide one another; of 2^28 prefixes no two have the same.)
    pub(crate) async fn pins(&self, after: Option<&Cid>, limit: u32) -> Result<Vec<StoredPin>> {
        let limit = limit as usize;
        let mut after = after.copied();
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut most = PageRows::FIRST;
        // An empty page is the end, so one is never cut before it has a pin.
        while found.len() < limit && (found.is_empty() || bytes < PAGE_BYTES) {
            let asked = most.count().min(limit - found.len());
            let rows = self.shared.pin_rows(after.as_ref(), asked).await?;
            let is_last = rows.len() < asked;
            let of_rows = rows.iter().map(|row| row.body.len()).sum();
            bytes += of_rows;
            most = most.after(rows.len(), of_rows);
            let piece = self.shared.piece(rows)?;
            after = piece.last.or(after);
            found.extend(piece.pins);
            if is_last {
                break;
            }
        }
        Ok(found)
    }
}

/// Some pins, and how far they reach.
struct Piece {
    pins: Vec<StoredPin>,
    last: Option<Cid>,
}

impl Shared {
    async fn pin_rows(&self, after: Option<&Cid>, limit: usize) -> Result<Vec<PinRecord>> {
        let most = |rows: usize| i32::try_from(rows).unwrap_or(i32::MAX);
        let home = Home::OF_WALKS;
        let rows = match after {
            None => {
                let values = (i64::MIN, most(limit));
                self.calls.rows(Statement::PinsFirst, home, values).await?
            }
            Some(after) => {
                let place = PinPlace::of(self, after);
                let values = (place.prefix, &place.key, most(limit));
                let mut rows: Vec<PinColumns> =
                    self.calls.rows(Statement::PinsRest, home, values).await?;
                if rows.len() < limit {
                    let values = (place.prefix, most(limit - rows.len()));
                    let beyond = self.calls.rows(Statement::PinsBeyond, home, values);
                    rows.extend(beyond.await?);
                }
                rows
            }
        };
        Ok(rows.into_iter().map(PinRecord::from).collect())
    }

    /// Where on the ring a pin lies.
    fn token_of(&self, cid: &Cid) -> Option<i64> {
        let place = PinPlace::of(self, cid);
        let values = (place.prefix, &place.key);
        self.calls.token(Statement::PinRead, place.home, values)
    }

    /// The pins of rows, without those that nobody wants: these go.
    fn piece(self: &Arc<Self>, rows: Vec<PinRecord>) -> Result<Piece> {
        let mut pins = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in rows {
            let stored = row.stored()?;
            last = Some(stored.pin.cid);
            if row.is_wanted() {
                pins.push(stored);
            } else if !row.is_grave() {
                self.tidy_pin(&stored.pin.cid);
            }
        }
        Ok(Piece { pins, last })
    }

    /// The rows of one range after where it was left.
    fn rows_of(
        self: &Arc<Self>,
        left: &RangeLeft,
        walk: &WalkRows,
    ) -> BoxStream<'static, Result<PinRecord>> {
        let (shared, left, walk) = (Arc::clone(self), left.clone(), walk.clone());
        let home = Home::OF_WALKS;
        let range = async move {
            let calls = &shared.calls;
            let Some(at) = left.at else {
                let values = (left.after, left.upto);
                let whole = calls.stream_of(&walk, Statement::PinsRange, home, values);
                return whole.await;
            };
            let place = PinPlace::of(&shared, &at);
            let values = (place.prefix, &place.key);
            let rest = calls.stream_of(&walk, Statement::PinsRangeRest, home, values);
            let rest = rest.await?;
            let values = (place.prefix, left.upto);
            let beyond = Arc::clone(&shared);
            let beyond = async move {
                let calls = &beyond.calls;
                let beyond = calls.stream_of(&walk, Statement::PinsRangeBeyond, home, values);
                beyond.await
            };
            Ok(rest.chain(once(beyond).try_flatten()).boxed())
        };
        once(range)
            .try_flatten()
            .map_ok(|columns: PinColumns| PinRecord::from(columns))
            .boxed()
    }
}

/// All pins, by parts of the ring of which some are read at once.
pub(crate) struct PinRanges {
    shared: Arc<Shared>,
    /// What is left of the parts that are not over.
    left: BTreeMap<usize, RangeLeft>,
    /// What its parts know of the size of rows.
    walk: WalkRows,
    pieces: BoxStream<'static, (usize, Result<Option<Piece>>)>,
}

impl fmt::Debug for PinRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PinRanges({} left)", self.left.len())
    }
}

impl PinRanges {
    pub(crate) fn all(cql: &Cql) -> Self {
        let ring = cql.shared.calls.ring();
        let parts = at_once(ring.shards) * PARTS_EACH;
        Self::resume(cql, split(ring.tokens, parts))
    }

    pub(crate) fn resume(cql: &Cql, left: Vec<RangeLeft>) -> Self {
        let shared = Arc::clone(&cql.shared);
        let left = left.into_iter().enumerate().collect();
        let walk = WalkRows::default();
        let pieces = pieces(&shared, &left, &walk);
        Self {
            shared,
            left,
            walk,
            pieces,
        }
    }

    pub(crate) fn left(&self) -> Vec<RangeLeft> {
        self.left.values().cloned().collect()
    }

    /// How much of the ring is done, and the whole of it.
    pub(crate) fn done(&self) -> (u128, u128) {
        const RING: u128 = (1 << 64) - 1;
        let left = self.left.values().map(|left| {
            let at = left.at.as_ref().and_then(|at| self.shared.token_of(at));
            let from = at.unwrap_or(left.after).clamp(left.after, left.upto);
            u128::from(left.upto.abs_diff(from))
        });
        (RING - left.sum::<u128>().min(RING), RING)
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Vec<StoredPin>>> {
        while let Some((part, piece)) = self.pieces.next().await {
            match piece {
                Ok(Some(piece)) => {
                    if let Some(left) = self.left.get_mut(&part) {
                        left.at = piece.last.or(left.at);
                    }
                    if !piece.pins.is_empty() {
                        return Ok(Some(piece.pins));
                    }
                }
                Ok(None) => {
                    self.left.remove(&part);
                }
                Err(error) => {
                    // Whoever asks again goes on where everything was left.
                    self.pieces = pieces(&self.shared, &self.left, &self.walk);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }
}

/// Pieces of all parts as they come, and a `None` at the end of each part.
fn pieces(
    shared: &Arc<Shared>,
    left: &BTreeMap<usize, RangeLeft>,
    walk: &WalkRows,
) -> BoxStream<'static, (usize, Result<Option<Piece>>)> {
    let (shared, walk) = (Arc::clone(shared), walk.clone());
    let at_once = at_once(shared.calls.ring().shards);
    let parts: Vec<_> = left.iter().map(|(n, left)| (*n, left.clone())).collect();
    iter(parts)
        .map(move |(part, left)| {
            pieces_of(&shared, &left, &walk)
                .map(move |piece| (part, piece))
                .boxed()
        })
        .flatten_unordered(at_once)
        .boxed()
}

fn pieces_of(
    shared: &Arc<Shared>,
    left: &RangeLeft,
    walk: &WalkRows,
) -> impl Stream<Item = Result<Option<Piece>>> + Send + use<> {
    let rows = unfold(shared.rows_of(left, walk).fuse(), |mut rows| async {
        let some = some(&mut rows).await?;
        Some((some, rows))
    });
    let shared = Arc::clone(shared);
    let piece = move |rows: Result<Vec<_>>| shared.piece(rows?).map(Some);
    rows.map(piece).chain(once(async { Ok(None) }))
}

/// The next rows, as many as are there already and fit into a piece.
async fn some(
    rows: &mut (impl Stream<Item = Result<PinRecord>> + Unpin),
) -> Option<Result<Vec<PinRecord>>> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    let mut next = Some(rows.next().await?);
    while let Some(row) = next {
        let row = match row {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        bytes += row.body.len();
        some.push(row);
        if some.len() >= PIECE_PINS || bytes >= PIECE_BYTES {
            break;
        }
        next = rows.next().now_or_never().flatten();
    }
    Some(Ok(some))
}

fn at_once(shards: usize) -> usize {
    (AT_ONCE_PER_SHARD * shards).clamp(1, AT_ONCE_MAX)
}

/// Cuts the ring at the nodes' tokens, and finer if that makes too few parts.
fn split(mut tokens: Vec<i64>, parts: usize) -> Vec<RangeLeft> {
    tokens.sort_unstable();
    tokens.dedup();
    let few = tokens.len().div_ceil(PARTS_MAX).max(1);
    let ends = tokens.into_iter().step_by(few);
    let mut ranges = Vec::new();
    let mut after = i64::MIN;
    let ends: Vec<i64> = ends
        .filter(|end| *end > i64::MIN && *end < i64::MAX)
        .collect();
    let finer = parts.div_ceil(ends.len() + 1).max(1);
    for end in ends.into_iter().chain([i64::MAX]) {
        cut(after, end, finer, &mut ranges);
        after = end;
    }
    ranges
}

fn cut(after: i64, upto: i64, parts: usize, into: &mut Vec<RangeLeft>) {
    let width = upto.abs_diff(after) / (parts as u64) + 1;
    let mut from = after;
    while from < upto {
        let end = from
            .checked_add_unsigned(width)
            .unwrap_or(i64::MAX)
            .min(upto);
        into.push(RangeLeft {
            after: from,
            upto: end,
            at: None,
        });
        from = end;
    }
}

#[cfg(test)]
mod tests;
