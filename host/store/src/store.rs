//! The door of the store: which backend answers, and the contract that each keeps.

use crate::cql::{Cql, CqlSettings};
use crate::embedded::Embedded;
use crate::memory::Memory;
use crate::metrics::{Operation, StoreMetrics};
use crate::{
    Expect, Holdings, Outcome, PinEntry, PinScan, RequestDraft, Result, Retention, ScanMark,
};
use futures_util::FutureExt;
use holdfast_model::key::KeyHash;
use holdfast_model::{
    AccountId, ApiKey, Change, Cid, Cursor, KeyId, PeerId, Period, Pin, PinRequest, Placement,
    RequestFilter, RequestId, StoredPin, Tenant, TenantId, UnixMillis, Usage,
};
use prometheus::core::Collector;
use std::path::Path;
use std::time::Instant;
use tokio::sync::watch;

/// The store.
#[derive(Debug, Clone)]
pub enum Store {
    /// In memory: gone with the process.
    Memory(Memory),
    /// In a directory of this machine, used by one process.
    Embedded(Embedded),
    /// In a ScyllaDB or Cassandra cluster, used by any number of processes.
    Cql(Cql),
}

/// Hands a call to the backend, and counts and times it. In memory some calls cannot fail: `plain`.
macro_rules! dispatch {
    ($store:ident, $operation:ident, plain $call:ident($($argument:expr),*)) => {
        dispatch!(
            $store,
            $operation,
            |state| Ok(state.$call($($argument),*)),
            $call($($argument),*)
        )
    };
    ($store:ident, $operation:ident, fallible $call:ident($($argument:expr),*)) => {
        dispatch!($store, $operation, |state| state.$call($($argument),*), $call($($argument),*))
    };
    ($store:ident, $operation:ident, $in_memory:expr, $call:ident($($argument:expr),*)) => {{
        let began = Instant::now();
        let answer = match $store {
            Self::Memory(memory) => memory.run($in_memory),
            Self::Embedded(embedded) => embedded.$call($($argument),*).await,
            // Boxed, so that whoever calls the store need not carry, nor the compiler look through,
            // all that a call to a cluster is made of.
            Self::Cql(cql) => match cql.must_be_open() {
                Ok(()) => cql.$call($($argument),*).boxed().await,
                Err(error) => Err(error),
            },
        };
        $store.metrics_kept().answered(Operation::$operation, began, &answer);
        answer
    }};
}

mod audit;
mod records;

impl Store {
    /// A store in memory: the oracle of the contract suite, and good for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Memory::new())
    }

    /// Opens (or makes) the embedded store in a directory.
    ///
    /// # Errors
    /// A directory that cannot be made or written, is in use by another process, holds another
    /// format version, or is damaged; each names the path and the mend.
    pub async fn embedded(dir: &Path) -> Result<Self> {
        Embedded::open(dir).await.map(Self::Embedded)
    }

    /// Opens the store in a CQL cluster: connects, brings the schema up to date, prepares.
    ///
    /// # Errors
    /// A cluster that cannot be reached, a login that is refused, a schema that this program does
    /// not know; each names the setting and the mend.
    pub async fn cql(settings: CqlSettings) -> Result<Self> {
        Cql::open(settings).await.map(Self::Cql)
    }

    // Pin requests ------------------------------------------------------------------------------

    /// Makes a request, `queued`. In the same commit: `created` is set to `now` or, if the
    /// account's newest request is not older, to one millisecond after that; the account's counts
    /// and usage mark move ([`holdfast_model::Operation::Pin`]); the pin exists afterwards (made
    /// recursive, with the request's name, origins and metadata, if it did not) and counts one more
    /// request; the feed has an entry.
    pub async fn create_request(&self, draft: RequestDraft, now: UnixMillis) -> Result<PinRequest> {
        dispatch!(self, CreateRequest, fallible create_request(draft, now))
    }

    /// Makes a request in the place of an old one of the same account, all in one commit: as
    /// creating the new and deleting the old, but counted as one `Operation::Replace`.
    /// `NotFound` if the account has no such old request.
    pub async fn replace_request(
        &self,
        old: RequestId,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        dispatch!(self, ReplaceRequest, fallible replace_request(old, draft, now))
    }

    /// Deletes a request. In the same commit: counts and usage (`Operation::Unpin`) move, the pin
    /// counts one less and is removed if nobody wants it any more, the feed has an entry.
    /// `NotFound` if the account has no such request.
    pub async fn delete_request(
        &self,
        account: &AccountId,
        id: RequestId,
        now: UnixMillis,
    ) -> Result<()> {
        dispatch!(self, DeleteRequest, fallible delete_request(account, id, now))
    }

    /// Moves a request to another status if it still has `version`; counts and usage move in the
    /// same commit. `Conflict` if the version has moved on, `NotFound` if it is gone. Does not make
    /// a feed entry (the pin has not changed).
    pub async fn settle_request(
        &self,
        id: RequestId,
        version: u64,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        dispatch!(self, SettleRequest, fallible settle_request(id, version, outcome, now))
    }

    /// One request.
    pub async fn request(&self, id: RequestId) -> Result<Option<PinRequest>> {
        dispatch!(self, Request, plain request(id))
    }

    /// An account's requests that a filter means, newest first, `limit` at most. The next page is
    /// the same filter with `before` set to the last row's `created`.
    pub async fn requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        dispatch!(self, Requests, plain requests(account, filter, limit))
    }

    /// A page as [`Self::requests`] gives it, and how many requests the filter means, on this page
    /// or not: never fewer than the rows, so that a client that pages until it has all of them
    /// comes to an end.
    pub async fn page_of_requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<(u64, Vec<PinRequest>)> {
        if let Self::Cql(cql) = self {
            let began = Instant::now();
            let page = async {
                cql.must_be_open()?;
                cql.page_of_requests(account, filter, limit).await
            };
            let answer = page.boxed().await;
            let metrics = self.metrics_kept();
            metrics.answered(Operation::PageOfRequests, began, &answer);
            return answer;
        }
        let rows = self.requests(account, filter, limit).await?;
        let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if shown < u64::from(limit) {
            return Ok((shown, rows));
        }
        let counted = self.count_requests(account, filter).await?;
        Ok((counted.max(shown), rows))
    }

    /// How many of an account's requests a filter means, exactly. From counters, at once, when the
    /// filter looks at status only.
    pub async fn count_requests(&self, account: &AccountId, filter: &RequestFilter) -> Result<u64> {
        dispatch!(self, CountRequests, plain count_requests(account, filter))
    }

    /// An account's requests by status, and the bytes that it has pinned: one read.
    pub async fn holdings(&self, account: &AccountId) -> Result<Holdings> {
        dispatch!(self, Holdings, plain holdings(account))
    }

    /// The requests that want a pin, each once in an order of the backend's own, after one of
    /// them, which may be gone by now.
    pub async fn requests_of_pin(
        &self,
        cid: &Cid,
        after: Option<&PinRequest>,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        dispatch!(self, RequestsOfPin, plain requests_of_pin(cid, after, limit))
    }

    /// Requests whose `asked.expires` is not after `now`, soonest first.
    pub async fn expired_requests(&self, now: UnixMillis, limit: u32) -> Result<Vec<PinRequest>> {
        dispatch!(self, ExpiredRequests, plain expired_requests(now, limit))
    }

    // Pins --------------------------------------------------------------------------------------

    /// One pin.
    pub async fn pin(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        dispatch!(self, Pin, plain pin(cid))
    }

    /// One pin, which may be as old as the change feed is late: about a second. For who asks often
    /// and can live with that, as clients of a cluster's own interface do who look at a pin's
    /// status. The service's workers and verbs do not ask this way: all of them act on what they
    /// read, so theirs must be current.
    pub async fn pin_lately(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        match self {
            Self::Cql(cql) => {
                let began = Instant::now();
                let answer = cql.pin_lately(cid).await;
                cql.metrics().answered(Operation::Pin, began, &answer);
                answer
            }
            Self::Memory(_) | Self::Embedded(_) => self.pin(cid).await,
        }
    }

    /// Puts a pin as a cluster node does: from then on the cluster wants it. `Conflict` if `expect`
    /// does not hold. Feed entry in the same commit.
    pub async fn put_pin(&self, pin: Pin, expect: Expect) -> Result<StoredPin> {
        dispatch!(self, PutPin, fallible put_pin(pin, expect))
    }

    /// The cluster no longer wants a pin; it is removed if no request wants it either. Deleting
    /// what is not there is fine with `Expect::Any`. Feed entry in the same commit.
    pub async fn delete_pin(&self, cid: &Cid, expect: Expect) -> Result<()> {
        dispatch!(self, DeletePin, fallible delete_pin(cid, expect))
    }

    /// Puts and deletes many pins, each as [`Store::put_pin`] and [`Store::delete_pin`] do and
    /// atomic by itself. Answers what became of each in its place, of a put its version. Entries of
    /// the same CID take effect in their order.
    pub async fn change_pins(&self, entries: Vec<PinEntry>) -> Vec<Result<Option<u64>>> {
        let began = Instant::now();
        let answers = match self {
            Self::Memory(memory) => {
                let change = |entry| memory.run(|state| state.change_pin(entry));
                entries.into_iter().map(change).collect()
            }
            Self::Embedded(embedded) => embedded.change_pins(entries).await,
            Self::Cql(cql) => cql.change_pins(entries).boxed().await,
        };
        for answer in &answers {
            let metrics = self.metrics_kept();
            metrics.answered(Operation::ChangePins, began, answer);
        }
        answers
    }

    /// Records where a pin is placed, if it still has `version`. No feed entry: placement follows
    /// the feed and must not wake itself.
    pub async fn allocate_pin(
        &self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        dispatch!(self, AllocatePin, fallible allocate_pin(cid, version, allocations))
    }

    /// Pins after `after`, each once, in an order of the backend's own that never changes. A pin
    /// that comes or goes meanwhile may be met or not. A page of large pins may be shorter than
    /// `limit`; only an empty one is the end.
    pub async fn pins(&self, after: Option<&Cid>, limit: u32) -> Result<Vec<StoredPin>> {
        dispatch!(self, Pins, plain pins(after, limit))
    }

    /// All pins, however many there are, from the beginning or from a mark on.
    ///
    /// # Errors
    /// A mark that another kind of store has made.
    pub fn scan_pins(&self, from: Option<ScanMark>) -> Result<PinScan> {
        PinScan::begin(self, from)
    }

    /// About how many pins a store has that tells at once.
    pub(crate) fn pins_about(&self) -> u64 {
        match self {
            Self::Memory(memory) => memory.pins_about(),
            Self::Embedded(embedded) => embedded.pins_about(),
            Self::Cql(_) => 0,
        }
    }

    /// Pins that a cluster node put with an `expire_at` not after `now`, soonest first.
    pub async fn expired_pins(&self, now: UnixMillis, limit: u32) -> Result<Vec<StoredPin>> {
        dispatch!(self, ExpiredPins, plain expired_pins(now, limit))
    }

    // Placements --------------------------------------------------------------------------------

    /// Writes a placement; its `version` is set by the store. `Conflict` if `expect` does not hold.
    pub async fn put_placement(&self, placement: Placement, expect: Expect) -> Result<Placement> {
        dispatch!(self, PutPlacement, fallible put_placement(placement, expect))
    }

    /// Deletes a placement. `Conflict` if `expect` does not hold; what is not there is fine with
    /// `Expect::Any`.
    pub async fn delete_placement(&self, cid: &Cid, peer: &PeerId, expect: Expect) -> Result<()> {
        dispatch!(self, DeletePlacement, fallible delete_placement(cid, peer, expect))
    }

    /// One placement.
    pub async fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Option<Placement>> {
        dispatch!(self, Placement, plain placement(cid, peer))
    }

    /// Where a pin is, all of it: as many rows as peers.
    pub async fn placements_of_pin(&self, cid: &Cid) -> Result<Vec<Placement>> {
        dispatch!(self, PlacementsOfPin, plain placements_of_pin(cid))
    }

    /// What a peer has or is to have, after `after`: each once, in an order of the backend's own
    /// that never changes.
    pub async fn placements_of_peer(
        &self,
        peer: &PeerId,
        after: Option<&Cid>,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        dispatch!(self, PlacementsOfPeer, plain placements_of_peer(peer, after, limit))
    }

    /// A peer's placements whose `due` is not after `now`, soonest first.
    pub async fn due_placements(
        &self,
        peer: &PeerId,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        dispatch!(self, DuePlacements, plain due_placements(peer, now, limit))
    }

    /// When a peer's next placement falls due.
    pub async fn next_due(&self, peer: &PeerId) -> Result<Option<UnixMillis>> {
        dispatch!(self, NextDue, plain next_due(peer))
    }

    // The change feed ---------------------------------------------------------------------------

    /// Changes after a cursor, oldest first: `limit` of them if there are so many, and those that
    /// share the last one's cursor. `CursorTooOld` if some after it have been trimmed, `Invalid` if
    /// it lies in the future.
    pub async fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        dispatch!(self, Changes, fallible changes(after, limit))
    }

    /// The newest entry's cursor, as it moves. For waking up only: missing a step loses nothing.
    /// Where several processes write, it is the newest that can be read, a beat or two late.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Cursor> {
        match self {
            Self::Memory(memory) => memory.head(),
            Self::Embedded(embedded) => embedded.head(),
            Self::Cql(cql) => cql.head(),
        }
    }

    /// The newest cursor up to which nothing is kept that has been in the feed for longer than it
    /// should be.
    #[must_use]
    pub fn outdated(&self, kept: Retention) -> Cursor {
        let behind = |head: Cursor| Cursor(head.0.saturating_sub(kept.steps));
        match self {
            Self::Memory(memory) => behind(*memory.head().borrow()),
            Self::Embedded(embedded) => behind(*embedded.head().borrow()),
            Self::Cql(cql) => cql.outdated(kept.age),
        }
    }

    /// Forgets entries up to and including a cursor.
    pub async fn trim_changes(&self, upto: Cursor) -> Result<()> {
        dispatch!(self, TrimChanges, fallible trim_changes(upto))
    }

    /// Where a named follower of the feed had got to; `Cursor::START` if it is new.
    pub async fn follower(&self, name: &str) -> Result<Cursor> {
        dispatch!(self, Follower, plain follower(name))
    }

    /// Keeps where a named follower has got to.
    pub async fn save_follower(&self, name: &str, cursor: Cursor) -> Result<()> {
        dispatch!(self, SaveFollower, fallible save_follower(name, cursor))
    }

    // Usage -------------------------------------------------------------------------------------

    /// What an account used in a period: two look-ups.
    pub async fn usage(&self, account: &AccountId, period: Period) -> Result<Usage> {
        dispatch!(self, Usage, plain usage(account, period))
    }

    /// Accounts that ever made a request, each once in an order of the backend's own, after
    /// `after`.
    pub async fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<AccountId>> {
        dispatch!(self, Accounts, plain accounts(after, limit))
    }

    // Tenants and keys --------------------------------------------------------------------------

    /// One tenant.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        dispatch!(self, Tenant, plain tenant(id))
    }

    /// Writes a tenant, new or not.
    pub async fn put_tenant(&self, tenant: Tenant) -> Result<()> {
        dispatch!(self, PutTenant, plain put_tenant(tenant))
    }

    /// Tenants by name, after `after`.
    pub async fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        dispatch!(self, Tenants, plain tenants(after, limit))
    }

    /// Adds a key and, if it is not there yet, its tenant (no attributes). `Conflict` if the id or
    /// the hash is taken.
    pub async fn add_key(&self, key: ApiKey) -> Result<()> {
        dispatch!(self, AddKey, fallible add_key(key))
    }

    /// Adds the very first key, in one commit with the look whether there is any; answers whether
    /// it was added.
    pub async fn add_first_key(&self, key: ApiKey) -> Result<bool> {
        dispatch!(self, AddFirstKey, fallible add_first_key(key))
    }

    /// The key with this hash.
    pub async fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        dispatch!(self, KeyByHash, plain key_by_hash(hash))
    }

    /// The key with this id.
    pub async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>> {
        dispatch!(self, Key, plain key(id))
    }

    /// A tenant's keys by id, after `after`.
    pub async fn keys(
        &self,
        tenant: &TenantId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        dispatch!(self, Keys, plain keys(tenant, after, limit))
    }

    /// Revokes a key; doing it again changes nothing. `NotFound` if there is none.
    pub async fn revoke_key(&self, id: &KeyId, now: UnixMillis) -> Result<ApiKey> {
        dispatch!(self, RevokeKey, fallible revoke_key(id, now))
    }

    /// Ends a key at an instant, or sooner if it ends sooner, and names the key in its place. One
    /// that has a successor keeps it: `Conflict`. `NotFound` if there is none.
    pub async fn retire_key(
        &self,
        id: &KeyId,
        successor: &KeyId,
        end: UnixMillis,
    ) -> Result<ApiKey> {
        dispatch!(self, RetireKey, fallible retire_key(id, successor, end))
    }

    /// Whether other processes may use it at the same time.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Cql(_))
    }

    // Life --------------------------------------------------------------------------------------

    /// Answers if the store can take writes now: readiness asks this.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn ping(&self) -> Result<()> {
        dispatch!(self, Ping, plain ping())
    }

    /// Finishes the writes that were accepted, and closes.
    pub async fn close(&self) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.close(),
            Self::Embedded(embedded) => embedded.close().await,
            Self::Cql(cql) => cql.close().await,
        }
        Ok(())
    }

    /// Walks the whole store and tells what does not agree with what it follows from: indexes,
    /// counts, usage. Nothing, if all is well.
    ///
    /// # Errors
    /// Data that cannot be read at all.
    pub async fn check(&self) -> Result<Vec<String>> {
        match self {
            // Nothing is kept there that follows from something else.
            Self::Memory(_) => Ok(Vec::new()),
            Self::Embedded(embedded) => embedded.check().await,
            Self::Cql(cql) => cql.check().await,
        }
    }

    /// The store's metrics, to be registered where metrics are gathered.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        let mut all = self.metrics_kept().collectors();
        if let Self::Cql(cql) = self {
            all.extend(cql.collectors());
        }
        all
    }

    fn metrics_kept(&self) -> &StoreMetrics {
        match self {
            Self::Memory(memory) => memory.metrics(),
            Self::Embedded(embedded) => embedded.metrics(),
            Self::Cql(cql) => cql.metrics(),
        }
    }
}
