//! The store in memory: the oracle of the contract suite.
//!
//! Written for plainness, not for speed: rows lie in ordered maps under one lock, and what the
//! embedded store keeps in counters and indexes is worked out here from the rows themselves, so
//! that the two can only agree if both are right.

mod audit;
mod keys;
mod pins;
mod placements;
mod records;
mod requests;

use crate::Result;
use crate::error::StoreError;
use crate::metrics::StoreMetrics;
use crate::record::{Kept, RawRecord, RecordKey};
use crate::rules::{check_follower_name, check_not_in_future};
use holdfast_model::{
    AccountId, ApiKey, AuditCheckpoint, Change, Cid, Cursor, KeyId, PinRequest, Placement,
    RequestId, StoredPin, Tenant, TenantId, UnixMillis, UsageMark,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// A store in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    head: watch::Sender<Cursor>,
    metrics: StoreMetrics,
}

/// Everything that the store knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    closed: bool,
    /// Where feed cursors, pin versions and placement versions come from: one row of numbers, each
    /// used once.
    sequence: u64,
    feed: BTreeMap<Cursor, Cid>,
    head: Cursor,
    /// The newest entry that has been forgotten.
    trimmed: Cursor,
    followers: BTreeMap<String, Cursor>,
    requests: BTreeMap<RequestId, PinRequest>,
    accounts: BTreeMap<AccountId, Account>,
    /// By the CID's bytes, whose order the contract promises.
    pins: BTreeMap<Vec<u8>, StoredPin>,
    /// By the bytes of CID and peer.
    placements: BTreeMap<(Vec<u8>, Vec<u8>), Placement>,
    tenants: BTreeMap<TenantId, Tenant>,
    keys: BTreeMap<KeyId, ApiKey>,
    records: BTreeMap<RecordKey, RawRecord>,
    /// By the tenant that each is of.
    audit: BTreeMap<String, audit::Chain>,
    /// By tenant and segment.
    audit_checkpoints: BTreeMap<(String, u64), Kept<AuditCheckpoint>>,
}

#[derive(Debug, Default)]
struct Account {
    /// Its requests by the time that they were made.
    requests: BTreeMap<UnixMillis, RequestId>,
    /// When its newest request was made, were it deleted since.
    newest: Option<UnixMillis>,
    /// Its usage, one mark for each instant at which something changed.
    marks: BTreeMap<UnixMillis, UsageMark>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                head: watch::Sender::new(Cursor::START),
                metrics: StoreMetrics::new(),
            }),
        }
    }

    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    pub(crate) fn head(&self) -> watch::Receiver<Cursor> {
        self.shared.head.subscribe()
    }

    /// Runs one operation alone, and tells followers if the feed has grown by it.
    pub(crate) fn run<T>(&self, operation: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.shared.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let answer = operation(&mut state);
        let head = state.head;
        self.shared
            .head
            .send_if_modified(|seen| std::mem::replace(seen, head) != head);
        answer
    }

    pub(crate) fn close(&self) {
        self.shared.state.lock().closed = true;
    }
}

impl State {
    #[expect(
        clippy::unused_self,
        reason = "an operation like the others: it fails once closed"
    )]
    pub(crate) fn ping(&self) {}

    fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Adds a feed entry under a number that has just been drawn.
    fn announce(&mut self, number: u64, cid: Cid) {
        self.head = Cursor(number);
        self.feed.insert(self.head, cid);
    }

    pub(crate) fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        check_not_in_future(after, self.head)?;
        if after < self.trimmed {
            return Err(StoreError::CursorTooOld {
                oldest: self.trimmed,
            });
        }
        let entries = self.feed.iter().filter(|(cursor, _)| **cursor > after);
        let change = |(cursor, cid): (&Cursor, &Cid)| Change {
            cursor: *cursor,
            cid: *cid,
        };
        Ok(entries.take(limit as usize).map(change).collect())
    }

    pub(crate) fn trim_changes(&mut self, upto: Cursor) -> Result<()> {
        check_not_in_future(upto, self.head)?;
        let kept = self.feed.split_off(&Cursor(upto.0 + 1));
        let gone = std::mem::replace(&mut self.feed, kept);
        if let Some((cursor, _)) = gone.last_key_value() {
            self.trimmed = *cursor;
        }
        Ok(())
    }

    pub(crate) fn follower(&self, name: &str) -> Cursor {
        self.followers.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn save_follower(&mut self, name: &str, cursor: Cursor) -> Result<()> {
        check_follower_name(name)?;
        self.followers.insert(name.to_owned(), cursor);
        Ok(())
    }
}
