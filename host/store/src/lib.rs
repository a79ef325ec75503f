//! The pin store: one contract in meanings, a closed set of backends that all keep it.
//!
//! *Architecture invariants:* nobody outside sees bytes, keys or tables; the store knows no
//! principal, no policy and no HTTP; what a method has answered is durable (the embedded backend
//! answers after the fsync of the group commit that carried it).

mod error;

pub use error::StoreError;

use holdfast_model::key::KeyHash;
use holdfast_model::{
    AccountId, ApiKey, Change, Cid, Cursor, KeyId, NewRequest, PeerId, Period, Pin, PinRequest,
    Placement, RequestFilter, RequestId, RequestStatus, StatusCounts, StoredPin, Tenant, TenantId,
    UnixMillis, Usage,
};
use std::path::Path;
use tokio::sync::watch;

/// What must hold of a row for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: write whatever is there.
    Any,
    /// There is no such row.
    Absent,
    /// The row has this version.
    Version(u64),
}

/// A request to be made: what was asked, by whom, under which id.
#[derive(Debug, Clone)]
pub struct RequestDraft {
    /// Fresh id.
    pub id: RequestId,
    /// Whose it will be.
    pub account: AccountId,
    /// What was asked for, checked.
    pub asked: NewRequest,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The new status.
    pub status: RequestStatus,
    /// Bytes of the whole DAG; `None` keeps what is known.
    pub dag_size: Option<u64>,
    /// What a person should know of it; `None` clears it.
    pub details: Option<String>,
}

/// The store.
#[derive(Debug, Clone)]
pub enum Store {
    /// Nothing yet.
    Nothing,
}

/// Result of every method.
pub type Result<T> = std::result::Result<T, StoreError>;

macro_rules! dispatch {
    ($($x:tt)*) => {
        unimplemented!()
    };
}

#[allow(
    unused_variables,
    clippy::unimplemented,
    clippy::allow_attributes_without_reason
)]
impl Store {
    /// A store in memory: the oracle of the contract suite, and good for tests.
    #[must_use]
    pub fn memory() -> Self {
        dispatch!()
    }

    /// Opens (or makes) the embedded store in a directory.
    ///
    /// # Errors
    /// A directory that cannot be made or written, is in use by another process, holds another
    /// format version, or is damaged; each names the path and the mend.
    pub async fn embedded(dir: &Path) -> Result<Self> {
        dispatch!()
    }

    // Pin requests ------------------------------------------------------------------------------

    /// Makes a request, `queued`. In the same commit: `created` is set to `now` or, if the account's
    /// newest request is not older, to one millisecond after that; the account's counts and usage
    /// mark move ([`holdfast_model::Operation::Pin`]); the pin exists afterwards (made recursive,
    /// with the request's name, origins and metadata, if it did not) and counts one more request;
    /// the feed has an entry.
    pub async fn create_request(&self, draft: RequestDraft, now: UnixMillis) -> Result<PinRequest> {
        dispatch!()
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
        dispatch!()
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
        dispatch!()
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
        dispatch!()
    }

    /// One request.
    pub async fn request(&self, id: RequestId) -> Result<Option<PinRequest>> {
        dispatch!()
    }

    /// An account's requests that a filter means, newest first, `limit` at most. The next page is
    /// the same filter with `before` set to the last row's `created`.
    pub async fn requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        dispatch!()
    }

    /// How many of an account's requests a filter means, exactly. From counters, at once, when the
    /// filter looks at status only.
    pub async fn count_requests(&self, account: &AccountId, filter: &RequestFilter) -> Result<u64> {
        dispatch!()
    }

    /// An account's requests by status: one read.
    pub async fn status_counts(&self, account: &AccountId) -> Result<StatusCounts> {
        dispatch!()
    }

    /// The requests that want a pin, by id, after `after`.
    pub async fn requests_of_pin(
        &self,
        cid: &Cid,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        dispatch!()
    }

    /// Requests whose `asked.expires` is not after `now`, soonest first.
    pub async fn expired_requests(&self, now: UnixMillis, limit: u32) -> Result<Vec<PinRequest>> {
        dispatch!()
    }

    // Pins --------------------------------------------------------------------------------------

    /// One pin.
    pub async fn pin(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        dispatch!()
    }

    /// Puts a pin as a cluster node does: from then on the cluster wants it. `Conflict` if `expect`
    /// does not hold. Feed entry in the same commit.
    pub async fn put_pin(&self, pin: Pin, expect: Expect) -> Result<StoredPin> {
        dispatch!()
    }

    /// The cluster no longer wants a pin; it is removed if no request wants it either. Deleting
    /// what is not there is fine with `Expect::Any`. Feed entry in the same commit.
    pub async fn delete_pin(&self, cid: &Cid, expect: Expect) -> Result<()> {
        dispatch!()
    }

    /// Records where a pin is placed, if it still has `version`. No feed entry: placement follows
    /// the feed and must not wake itself.
    pub async fn allocate_pin(
        &self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        dispatch!()
    }

    /// Pins in the order of their CIDs' bytes, after `after`.
    pub async fn pins(&self, after: Option<&Cid>, limit: u32) -> Result<Vec<StoredPin>> {
        dispatch!()
    }

    /// Pins that a cluster node put with an `expire_at` not after `now`, soonest first.
    pub async fn expired_pins(&self, now: UnixMillis, limit: u32) -> Result<Vec<StoredPin>> {
        dispatch!()
    }

    // Placements --------------------------------------------------------------------------------

    /// Writes a placement; its `version` is set by the store. `Conflict` if `expect` does not hold.
    pub async fn put_placement(&self, placement: Placement, expect: Expect) -> Result<Placement> {
        dispatch!()
    }

    /// Deletes a placement. `Conflict` if `expect` does not hold; what is not there is fine with
    /// `Expect::Any`.
    pub async fn delete_placement(&self, cid: &Cid, peer: &PeerId, expect: Expect) -> Result<()> {
        dispatch!()
    }

    /// One placement.
    pub async fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Option<Placement>> {
        dispatch!()
    }

    /// Where a pin is, all of it: as many rows as peers.
    pub async fn placements_of_pin(&self, cid: &Cid) -> Result<Vec<Placement>> {
        dispatch!()
    }

    /// What a peer has or is to have, in the order of CIDs, after `after`.
    pub async fn placements_of_peer(
        &self,
        peer: &PeerId,
        after: Option<&Cid>,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        dispatch!()
    }

    /// A peer's placements whose `due` is not after `now`, soonest first.
    pub async fn due_placements(
        &self,
        peer: &PeerId,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        dispatch!()
    }

    /// When a peer's next placement falls due.
    pub async fn next_due(&self, peer: &PeerId) -> Result<Option<UnixMillis>> {
        dispatch!()
    }

    // The change feed ---------------------------------------------------------------------------

    /// Changes after a cursor, oldest first. `CursorTooOld` if some after it have been trimmed,
    /// `Invalid` if it lies in the future.
    pub async fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        dispatch!()
    }

    /// The newest entry's cursor, as it moves. For waking up only: missing a step loses nothing.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Cursor> {
        dispatch!()
    }

    /// Forgets entries up to and including a cursor.
    pub async fn trim_changes(&self, upto: Cursor) -> Result<()> {
        dispatch!()
    }

    /// Where a named follower of the feed had got to; `Cursor::START` if it is new.
    pub async fn follower(&self, name: &str) -> Result<Cursor> {
        dispatch!()
    }

    /// Keeps where a named follower has got to.
    pub async fn save_follower(&self, name: &str, cursor: Cursor) -> Result<()> {
        dispatch!()
    }

    // Usage -------------------------------------------------------------------------------------

    /// What an account used in a period: two look-ups.
    pub async fn usage(&self, account: &AccountId, period: Period) -> Result<Usage> {
        dispatch!()
    }

    /// Bytes that an account has pinned now.
    pub async fn pinned_bytes(&self, account: &AccountId) -> Result<u128> {
        dispatch!()
    }

    /// Accounts that ever made a request, by id, after `after`.
    pub async fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<AccountId>> {
        dispatch!()
    }

    // Tenants and keys --------------------------------------------------------------------------

    /// One tenant.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        dispatch!()
    }

    /// Writes a tenant, new or not.
    pub async fn put_tenant(&self, tenant: Tenant) -> Result<()> {
        dispatch!()
    }

    /// Tenants by name, after `after`.
    pub async fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        dispatch!()
    }

    /// Adds a key and, if it is not there yet, its tenant (no attributes). `Conflict` if the id or
    /// the hash is taken.
    pub async fn add_key(&self, key: ApiKey) -> Result<()> {
        dispatch!()
    }

    /// Adds the very first key, in one commit with the look whether there is any; answers whether
    /// it was added.
    pub async fn add_first_key(&self, key: ApiKey) -> Result<bool> {
        dispatch!()
    }

    /// The key with this hash.
    pub async fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        dispatch!()
    }

    /// The key with this id.
    pub async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>> {
        dispatch!()
    }

    /// A tenant's keys by id, after `after`.
    pub async fn keys(
        &self,
        tenant: &TenantId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        dispatch!()
    }

    /// Revokes a key; doing it again changes nothing. `NotFound` if there is none.
    pub async fn revoke_key(&self, id: &KeyId, now: UnixMillis) -> Result<ApiKey> {
        dispatch!()
    }

    // Life --------------------------------------------------------------------------------------

    /// Answers if the store can take writes now: readiness asks this.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn ping(&self) -> Result<()> {
        dispatch!()
    }

    /// Finishes the writes that were accepted, and closes.
    pub async fn close(&self) -> Result<()> {
        dispatch!()
    }
}
