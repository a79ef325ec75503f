//! What a batch writes besides the head of its account, as data: so that whoever finds it can
//! finish it.
//!
//! Every plain row is stamped with the version that the head has after the batch. Heads of one
//! account only grow, so a late repetition loses against what came after it.

use super::Shared;
use super::expiry::{Expiring, Kind};
use super::intent::Intent;
use super::number::{bigint, millis};
use super::statement::Statement;
use super::stop::Stop;
use super::usage::usage_slot;
use super::wanted::PinSeed;
use crate::Result;
use crate::row::{MarkRow, decode_request, encode, status_number};
use futures_util::future::{BoxFuture, FutureExt, try_join};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::{AccountId, Cid, PinRequest, RequestId, UnixMillis, UsageMark};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Rows of a batch that are written at once: a request has four, and a lane is one of many.
const WRITES_AT_ONCE: usize = 64;

/// One thing that a batch does. The order of the variants is part of what is stored: new ones go to
/// the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effect {
    /// A request is made.
    Made {
        id: Uuid,
        bucket: i32,
        /// When, by the caller's clock: `created` may be later.
        begun: u64,
        body: Vec<u8>,
    },
    /// A request has another status, size or details.
    Changed {
        id: Uuid,
        bucket: i32,
        body: Vec<u8>,
    },
    /// A request is gone.
    Removed {
        id: Uuid,
        bucket: i32,
        created: u64,
        cid: Cid,
        expires: Option<u64>,
    },
    /// The account's requests continue in another bucket from an instant on.
    Bucket { first: u64, bucket: i32 },
    /// What the account has used up to an instant.
    Mark(MarkRow),
    /// A slot of time has its first usage mark.
    UsageSlot(u64),
}

type Write<'a> = BoxFuture<'a, Result<()>>;

impl Shared {
    /// Writes everything that an intent names. What has been written already stays as it is.
    pub(super) async fn apply(self: &Arc<Self>, intent: &Intent) -> Result<()> {
        let touched = touched(intent)?;
        self.stop(Stop::Moved)?;
        let rows = self.write_rows(intent);
        let cids: Vec<_> = touched.iter().map(|(cid, _)| *cid).collect();
        let ticket = async {
            if cids.is_empty() {
                return Ok(None);
            }
            self.feed.announce(&cids).await.map(Some)
        };
        let ((), ticket) = try_join(rows, ticket).await?;
        self.stop(Stop::Written)?;
        let touches = stream::iter(touched)
            .map(|(cid, seed)| async move { self.touch_pin(&cid, seed.as_ref()).await })
            .buffer_unordered(WRITES_AT_ONCE);
        touches.try_for_each(|_| async { Ok(()) }).await?;
        if let Some(ticket) = ticket {
            ticket.done().await;
        }
        self.stop(Stop::Touched)
    }

    async fn write_rows(&self, intent: &Intent) -> Result<()> {
        let mut plan = Plan {
            shared: self,
            account: &intent.account,
            version: intent.version,
            listed: BTreeMap::new(),
            marks: BTreeMap::new(),
            first: Vec::new(),
            then: Vec::new(),
        };
        for effect in &intent.effects {
            plan.add(effect)?;
        }
        plan.group();
        let Plan { first, then, .. } = plan;
        run(first).await?;
        // An entry of the expiry index whose request is missing counts as stale.
        run(then).await
    }
}

async fn run(writes: Vec<Write<'_>>) -> Result<()> {
    let writes = stream::iter(writes).buffer_unordered(WRITES_AT_ONCE);
    writes.try_for_each(|()| async { Ok(()) }).await
}

/// The pins whose requests have come or gone, in the order of the effects, each once; with what
/// makes it, if there is none.
fn touched(intent: &Intent) -> Result<Vec<(Cid, Option<PinSeed>)>> {
    let mut order: Vec<(Cid, Option<PinSeed>)> = Vec::new();
    for effect in &intent.effects {
        let (cid, seed) = match effect {
            Effect::Made {
                id, begun, body, ..
            } => {
                let request = decode_request(RequestId(*id), body)?;
                let seed = PinSeed::of(&request.asked, UnixMillis::new(*begun));
                (request.asked.cid, Some(seed))
            }
            Effect::Removed { cid, .. } => (*cid, None),
            _ => continue,
        };
        match order.iter_mut().find(|(known, _)| *known == cid) {
            Some((_, known)) => *known = known.take().or(seed),
            None => order.push((cid, seed)),
        }
    }
    Ok(order)
}

type ListingRow<'a> = (&'a str, i32, i64, Uuid, i8, Vec<u8>, &'a [u8], i64);
type MarkWrite<'a> = (&'a str, i64, i64, Vec<u8>, i64);

/// The writes of an intent.
struct Plan<'a> {
    shared: &'a Shared,
    account: &'a AccountId,
    version: u64,
    /// Rows of the account's lists and marks, by partition: each partition is one write.
    listed: BTreeMap<i32, Vec<ListingRow<'a>>>,
    marks: BTreeMap<u64, Vec<MarkWrite<'a>>>,
    first: Vec<Write<'a>>,
    /// What must not be there without what comes first.
    then: Vec<Write<'a>>,
}

impl<'a> Plan<'a> {
    fn add(&mut self, effect: &'a Effect) -> Result<()> {
        match effect {
            Effect::Made {
                id, bucket, body, ..
            } => {
                let request = decode_request(RequestId(*id), body)?;
                self.put_wish(&request);
                if let Some(at) = request.asked.expires {
                    self.put_expiry(*id, at);
                }
                self.put_request(&request, *bucket, body);
            }
            Effect::Changed { id, bucket, body } => {
                let request = decode_request(RequestId(*id), body)?;
                self.put_request(&request, *bucket, body);
            }
            Effect::Removed {
                id,
                bucket,
                created,
                cid,
                expires,
            } => {
                self.remove_request(*id, *bucket, *created);
                self.remove_wish(*id, cid);
                if let Some(at) = expires {
                    self.remove_expiry(*id, UnixMillis::new(*at));
                }
            }
            Effect::Bucket { first, bucket } => {
                let row = (self.account.as_str(), bigint(*first), *bucket, self.stamp());
                self.of_account(Statement::BucketPut, row);
            }
            Effect::Mark(mark) => self.put_mark(*mark)?,
            Effect::UsageSlot(slot) => {
                let row = (self.account.as_str(), bigint(*slot), self.stamp());
                self.of_account(Statement::UsageSlotPut, row);
            }
        }
        Ok(())
    }

    /// Makes one write of the rows of each partition.
    fn group(&mut self) {
        let shared = self.shared;
        let home = shared.account_home(self.account);
        for rows in std::mem::take(&mut self.listed).into_values() {
            let write = async move {
                let all = shared.calls.write_all(Statement::ListingPut, home, &rows);
                all.await
            };
            self.first.push(write.boxed());
        }
        for rows in std::mem::take(&mut self.marks).into_values() {
            let write = async move {
                let all = shared.calls.write_all(Statement::MarkPut, home, &rows);
                all.await
            };
            self.first.push(write.boxed());
        }
    }

    fn stamp(&self) -> i64 {
        bigint(self.version)
    }

    /// A row whose partition begins with the account.
    fn of_account(
        &mut self,
        statement: Statement,
        row: impl scylla::serialize::row::SerializeRow + Send + Sync + 'a,
    ) {
        let home = self.shared.account_home(self.account);
        let write = self.shared.calls.write(statement, home, row);
        self.first.push(write.boxed());
    }

    fn put_request(&mut self, request: &PinRequest, bucket: i32, body: &'a [u8]) {
        let id = request.id.0;
        let home = self.shared.params.home(id.as_bytes());
        let row = (id, bucket, body, self.stamp());
        let write = self.shared.calls.write(Statement::RequestPut, home, row);
        self.first.push(write.boxed());
        let status = status_number(request.status).cast_signed();
        let row = (
            self.account.as_str(),
            bucket,
            millis(request.created),
            id,
            status,
            request.asked.cid.to_bytes(),
            body,
            self.stamp(),
        );
        self.listed.entry(bucket).or_default().push(row);
    }

    fn remove_request(&mut self, id: Uuid, bucket: i32, created: u64) {
        let home = self.shared.params.home(id.as_bytes());
        let row = (self.stamp(), id);
        let write = self.shared.calls.write(Statement::RequestRemove, home, row);
        self.first.push(write.boxed());
        let row = (self.stamp(), self.account.as_str(), bucket, bigint(created));
        self.of_account(Statement::ListingRemove, row);
    }

    fn put_wish(&mut self, request: &PinRequest) {
        let prefix = self.shared.params.prefix(&request.asked.cid);
        let home = self.shared.params.pin_home(prefix);
        let key = request.asked.cid.to_bytes();
        let row = (
            prefix,
            key,
            self.account.as_str(),
            request.id.0,
            self.stamp(),
        );
        let write = self.shared.calls.write(Statement::WishPut, home, row);
        self.first.push(write.boxed());
    }

    fn remove_wish(&mut self, id: Uuid, cid: &Cid) {
        let prefix = self.shared.params.prefix(cid);
        let home = self.shared.params.pin_home(prefix);
        let row = (
            self.stamp(),
            prefix,
            cid.to_bytes(),
            self.account.as_str(),
            id,
        );
        let write = self.shared.calls.write(Statement::WishRemove, home, row);
        self.first.push(write.boxed());
    }

    fn put_expiry(&mut self, id: Uuid, at: UnixMillis) {
        let (shared, version) = (self.shared, self.version);
        let write = async move {
            let entry = expiring(id, at);
            shared.put_expiry(Kind::Request, &entry, version).await
        };
        self.then.push(write.boxed());
    }

    fn remove_expiry(&mut self, id: Uuid, at: UnixMillis) {
        let (shared, version) = (self.shared, self.version);
        let write = async move {
            let entry = expiring(id, at);
            shared.remove_expiry(Kind::Request, &entry, version).await
        };
        self.first.push(write.boxed());
    }

    fn put_mark(&mut self, mark: MarkRow) -> Result<()> {
        let at = UsageMark::from(mark).at;
        let slot = usage_slot(at);
        let row = (
            self.account.as_str(),
            bigint(slot),
            millis(at),
            encode(&mark)?,
            self.stamp(),
        );
        self.marks.entry(slot).or_default().push(row);
        Ok(())
    }
}

fn expiring(id: Uuid, at: UnixMillis) -> Expiring {
    Expiring {
        at,
        key: id.as_bytes().to_vec(),
    }
}
