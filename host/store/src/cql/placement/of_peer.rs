//! What a peer has or is to have: derived from the placements, in buckets.
//!
//! Rows are stamped with the placement's version, so a late repeat of an old one loses. They are
//! written after the placement; that they are written at all is seen to by the rows in the queue of
//! what is due (see [`super::due`]), of which each change leaves one behind until it has ended. If
//! its writer died, a row is late until its placement is looked at because it is due, or until
//! somebody acts on what it says and is refused.

use super::record::{Place, Record};
use crate::Result;
use crate::cql::Shared;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use crate::row::{decode_placement, encode_placement};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_model::{Cid, PeerId, Placement};

/// Buckets that are read at once. Most are empty for a small peer, and full for a large one, which
/// then needs only the first.
const BUCKETS_AT_ONCE: usize = 8;

/// Brings the row in line with the placement.
pub(super) async fn follow(shared: &Shared, place: &Place, record: &Record) -> Result<()> {
    match &record.placement {
        Some(placement) => put(shared, place, placement).await,
        None => remove(shared, place, record.version).await,
    }
}

async fn put(shared: &Shared, place: &Place, placement: &Placement) -> Result<()> {
    let values = (
        &place.peer,
        shared.params.peer_bucket(place.prefix),
        &place.cid,
        encode_placement(placement)?,
        placement.version.cast_signed(),
    );
    let home = shared.params.home(&place.peer);
    shared.calls.write(Statement::OfPeerPut, home, values).await
}

/// Removes the row of every version up to this one.
pub(super) async fn remove(shared: &Shared, place: &Place, version: u64) -> Result<()> {
    let bucket = shared.params.peer_bucket(place.prefix);
    let values = (version.cast_signed(), &place.peer, bucket, &place.cid);
    let home = shared.params.home(&place.peer);
    shared
        .calls
        .write(Statement::OfPeerRemove, home, values)
        .await
}

/// A page in the order of buckets, and of CIDs within one.
pub(super) async fn page(
    shared: &Shared,
    peer: &PeerId,
    after: Option<&Cid>,
    limit: u32,
) -> Result<Vec<Placement>> {
    let limit = limit as usize;
    let peer = peer.to_bytes();
    let walk = Walk {
        shared,
        home: shared.params.home(&peer),
        peer,
    };
    let (mut found, first) = match after {
        Some(after) => {
            let bucket = shared.params.peer_bucket(shared.params.prefix(after));
            let rest = walk.bucket(bucket, after.to_bytes(), limit).await?;
            (rest, bucket + 1)
        }
        None => (Vec::new(), 0),
    };
    if found.len() < limit {
        let missing = limit - found.len();
        let buckets = stream::iter(first..shared.params.peer_buckets());
        let pages = buckets
            .map(|bucket| walk.bucket(bucket, Vec::new(), missing))
            .buffered(BUCKETS_AT_ONCE);
        let mut pages = std::pin::pin!(pages);
        while found.len() < limit {
            let Some(page) = pages.try_next().await? else {
                break;
            };
            found.extend(page);
        }
        found.truncate(limit);
    }
    found.iter().map(|body| decode_placement(body)).collect()
}

struct Walk<'a> {
    shared: &'a Shared,
    home: Home,
    peer: Vec<u8>,
}

impl Walk<'_> {
    /// Bodies of one bucket after a CID.
    async fn bucket(&self, bucket: i32, after: Vec<u8>, limit: usize) -> Result<Vec<Vec<u8>>> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (&self.peer, bucket, after, limit);
        let calls = &self.shared.calls;
        let rows = calls.rows::<(Vec<u8>,)>(Statement::OfPeer, self.home, values);
        Ok(rows.await?.into_iter().map(|(body,)| body).collect())
    }
}
