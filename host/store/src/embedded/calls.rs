//! The calls of the contract: each is handed to the writer, or read at once.

use super::draft::Draft;
use super::pins::{PinPut, PinWrite};
use super::table::Table;
use super::writer::{GROUP_OPERATIONS_MAX, Share};
use super::{Answer, Embedded, PING_WAIT_MAX, wait_for};
use crate::error::StoreError;
use crate::rules::check_follower_name;
use crate::{Expect, Holdings, Outcome, PinEntry, PinStep, RequestDraft, Result};
use holdfast_model::key::KeyHash;
use holdfast_model::{
    AccountId, ApiKey, Change, Cid, Cursor, KeyId, PeerId, Period, Pin, PinRequest, Placement,
    RequestFilter, RequestId, StoredPin, Tenant, TenantId, UnixMillis, Usage,
};
use std::collections::VecDeque;
use std::io;

/// Changes of one operation that makes many: as many as a group has, so that they are a group.
const CHANGES_MAX: usize = GROUP_OPERATIONS_MAX;

/// Parts of one call that are under way at once: the writer finds the next one waiting, and a large
/// call takes a small share of the queue.
const PARTS_AT_ONCE: usize = 4;

/// Some changes of a call, on their way to the writer or refused a place there.
struct Part {
    count: usize,
    sent: Result<Answer<Vec<Result<Option<u64>>>>>,
}

impl Embedded {
    pub(crate) async fn create_request(
        &self,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        self.write(move |rows| rows.create_request(draft, now))
            .await
    }

    pub(crate) async fn replace_request(
        &self,
        old: RequestId,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        self.write(move |rows| rows.replace_request(old, draft, now))
            .await
    }

    pub(crate) async fn delete_request(
        &self,
        account: &AccountId,
        id: RequestId,
        now: UnixMillis,
    ) -> Result<()> {
        let account = account.clone();
        self.write(move |rows| rows.delete_request(&account, id, now))
            .await
    }

    pub(crate) async fn settle_request(
        &self,
        id: RequestId,
        version: u64,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        self.write(move |rows| rows.settle_request(id, version, outcome, now))
            .await
    }

    pub(crate) async fn request(&self, id: RequestId) -> Result<Option<PinRequest>> {
        self.read(|rows| rows.request(id))
    }

    pub(crate) async fn requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        // Rows are skipped only under these filters; any other page is as long as it is asked for.
        let walks = filter.name.is_some() || !filter.statuses.is_empty() || !filter.meta.is_empty();
        let rows = if walks { u32::MAX } else { limit };
        let (account, filter) = (account.clone(), filter.clone());
        self.read_page(rows, move |rows| rows.requests(&account, &filter, limit))
            .await
    }

    pub(crate) async fn count_requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
    ) -> Result<u64> {
        if filter.is_by_status_only() {
            return self.read(|rows| rows.count_requests(account, filter));
        }
        let (account, filter) = (account.clone(), filter.clone());
        self.scan(move |rows| rows.count_requests(&account, &filter))
            .await
    }

    pub(crate) async fn holdings(&self, account: &AccountId) -> Result<Holdings> {
        self.read(|rows| rows.holdings(account))
    }

    pub(crate) async fn requests_of_pin(
        &self,
        cid: &Cid,
        after: Option<&PinRequest>,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        let (cid, after) = (*cid, after.map(|after| after.id));
        self.read_page(limit, move |rows| rows.requests_of_pin(&cid, after, limit))
            .await
    }

    pub(crate) async fn expired_requests(
        &self,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        self.read_page(limit, move |rows| rows.expired_requests(now, limit))
            .await
    }

    pub(crate) async fn pin(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        self.read(|rows| rows.pin(cid))
    }

    pub(crate) async fn put_pin(&self, pin: Pin, expect: Expect) -> Result<StoredPin> {
        let put = PinPut::of(pin, expect)?;
        self.write(move |rows| rows.put_pin(put)).await
    }

    /// Makes changes, each atomic by itself, in as few operations as they fit into; answers each in
    /// its place.
    ///
    /// A part is on its way to the writer as soon as it is made, while the next one is made.
    pub(crate) async fn change_pins(&self, entries: Vec<PinEntry>) -> Vec<Result<Option<u64>>> {
        let mut answers = Vec::with_capacity(entries.len());
        let mut entries = entries.into_iter();
        let mut under_way = VecDeque::with_capacity(PARTS_AT_ONCE);
        while !entries.as_slice().is_empty() {
            if under_way.len() >= PARTS_AT_ONCE
                && let Some(part) = under_way.pop_front()
            {
                answers.extend(answered(part).await);
            }
            // What has to be written is made here: the one thread that writes should do no more.
            let part: Vec<_> = entries.by_ref().take(CHANGES_MAX).map(prepared).collect();
            under_way.push_back(self.send_changes(part).await);
        }
        while let Some(part) = under_way.pop_front() {
            answers.extend(answered(part).await);
        }
        answers
    }

    async fn send_changes(&self, changes: Vec<Result<PinWrite>>) -> Part {
        let count = changes.len();
        let each = move |rows: &mut Draft<'_>| {
            let change = |change: Result<PinWrite>| {
                let change = change?;
                rows.attempt(|rows| match change {
                    PinWrite::Put(put) => rows.put_pin(*put).map(|stored| Some(stored.version)),
                    PinWrite::Delete(cid, expect) => rows.delete_pin(&cid, expect).map(|()| None),
                })
            };
            Ok(changes.into_iter().map(change).collect())
        };
        let sent = self.send(Share::Counts(count), each).await;
        Part { count, sent }
    }

    pub(crate) async fn delete_pin(&self, cid: &Cid, expect: Expect) -> Result<()> {
        let cid = *cid;
        self.write(move |rows| rows.delete_pin(&cid, expect)).await
    }

    pub(crate) async fn allocate_pin(
        &self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        let cid = *cid;
        self.write(move |rows| rows.allocate_pin(&cid, version, allocations))
            .await
    }

    /// About how many pins there are: what is overwritten or gone may count until it is tidied up.
    pub(crate) fn pins_about(&self) -> u64 {
        let count = self.read(|rows| Ok(rows.keyspace(Table::Pins).approximate_len()));
        u64::try_from(count.unwrap_or_default()).unwrap_or(u64::MAX)
    }

    pub(crate) async fn pins(&self, after: Option<&Cid>, limit: u32) -> Result<Vec<StoredPin>> {
        let after = after.copied();
        self.read_page(limit, move |rows| rows.pins(after.as_ref(), limit))
            .await
    }

    pub(crate) async fn expired_pins(&self, now: UnixMillis, limit: u32) -> Result<Vec<StoredPin>> {
        self.read_page(limit, move |rows| rows.expired_pins(now, limit))
            .await
    }

    pub(crate) async fn put_placement(
        &self,
        placement: Placement,
        expect: Expect,
    ) -> Result<Placement> {
        self.write(move |rows| rows.put_placement(placement, expect))
            .await
    }

    pub(crate) async fn delete_placement(
        &self,
        cid: &Cid,
        peer: &PeerId,
        expect: Expect,
    ) -> Result<()> {
        let (cid, peer) = (*cid, *peer);
        self.write(move |rows| rows.delete_placement(&cid, &peer, expect))
            .await
    }

    pub(crate) async fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Option<Placement>> {
        self.read(|rows| rows.placement(cid, peer))
    }

    pub(crate) async fn placements_of_pin(&self, cid: &Cid) -> Result<Vec<Placement>> {
        self.read(|rows| rows.placements_of_pin(cid))
    }

    pub(crate) async fn placements_of_peer(
        &self,
        peer: &PeerId,
        after: Option<&Cid>,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        let (peer, after) = (*peer, after.copied());
        self.read_page(limit, move |rows| {
            rows.placements_of_peer(&peer, after.as_ref(), limit)
        })
        .await
    }

    pub(crate) async fn due_placements(
        &self,
        peer: &PeerId,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        let peer = *peer;
        self.read_page(limit, move |rows| rows.due_placements(&peer, now, limit))
            .await
    }

    pub(crate) async fn next_due(&self, peer: &PeerId) -> Result<Option<UnixMillis>> {
        self.read(|rows| rows.next_due(peer))
    }

    pub(crate) async fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        self.read_page(limit, move |rows| rows.changes(after, limit))
            .await
    }

    pub(crate) async fn trim_changes(&self, upto: Cursor) -> Result<()> {
        // In pieces, so that other writes come in between.
        while !self
            .write_alone(move |rows| rows.trim_changes(upto))
            .await?
        {}
        Ok(())
    }

    pub(crate) async fn follower(&self, name: &str) -> Result<Cursor> {
        self.read(|rows| rows.follower(name))
    }

    pub(crate) async fn save_follower(&self, name: &str, cursor: Cursor) -> Result<()> {
        check_follower_name(name)?;
        let name = name.to_owned();
        self.write(move |rows| rows.save_follower(&name, cursor))
            .await
    }

    pub(crate) async fn usage(&self, account: &AccountId, period: Period) -> Result<Usage> {
        self.read(|rows| rows.usage(account, period))
    }

    pub(crate) async fn accounts(
        &self,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountId>> {
        let after = after.cloned();
        self.read_page(limit, move |rows| rows.accounts(after.as_ref(), limit))
            .await
    }

    pub(crate) async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        self.read(|rows| rows.tenant(id))
    }

    pub(crate) async fn put_tenant(&self, tenant: Tenant) -> Result<()> {
        self.write(move |rows| rows.put_tenant(&tenant)).await
    }

    pub(crate) async fn tenants(
        &self,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>> {
        let after = after.cloned();
        self.read_page(limit, move |rows| rows.tenants(after.as_ref(), limit))
            .await
    }

    pub(crate) async fn add_key(&self, key: ApiKey) -> Result<()> {
        self.write(move |rows| rows.add_key(&key)).await
    }

    pub(crate) async fn add_first_key(&self, key: ApiKey) -> Result<bool> {
        self.write_alone(move |rows| rows.add_first_key(&key)).await
    }

    pub(crate) async fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        self.read(|rows| rows.key_by_hash(hash))
    }

    pub(crate) async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>> {
        self.read(|rows| rows.key(id))
    }

    pub(crate) async fn keys(
        &self,
        tenant: &TenantId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.read_page(limit, move |rows| rows.keys(&tenant, after.as_ref(), limit))
            .await
    }

    pub(crate) async fn revoke_key(&self, id: &KeyId, now: UnixMillis) -> Result<ApiKey> {
        let id = id.clone();
        self.write(move |rows| rows.revoke_key(&id, now)).await
    }

    pub(crate) async fn retire_key(
        &self,
        id: &KeyId,
        successor: &KeyId,
        end: UnixMillis,
    ) -> Result<ApiKey> {
        let (id, successor) = (id.clone(), successor.clone());
        self.write(move |rows| rows.retire_key(&id, &successor, end))
            .await
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        let written = self.write(|rows| {
            rows.ping();
            Ok(())
        });
        let answer = tokio::time::timeout(PING_WAIT_MAX, written).await;
        answer.unwrap_or_else(|_| {
            Err(StoreError::Unavailable {
                doing: "write".into(),
                source: io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("nothing was written for {PING_WAIT_MAX:?}; look at the disk"),
                ),
            })
        })
    }

    pub(crate) async fn check(&self) -> Result<Vec<String>> {
        self.scan(super::check::faults).await
    }
}

/// What became of each change of a part: a part that failed as a whole failed for each.
async fn answered(Part { count, sent }: Part) -> Vec<Result<Option<u64>>> {
    let answers = match sent {
        Ok(answer) => wait_for(answer).await,
        Err(error) => Err(error),
    };
    answers.unwrap_or_else(|error| (0..count).map(|_| Err(error.again())).collect())
}

/// A change as the writer is given it.
fn prepared(entry: PinEntry) -> Result<PinWrite> {
    match entry.step {
        PinStep::Put(pin) => {
            let put = PinPut::of(*pin, entry.expect)?;
            Ok(PinWrite::Put(Box::new(put)))
        }
        PinStep::Delete(cid) => Ok(PinWrite::Delete(cid, entry.expect)),
    }
}
