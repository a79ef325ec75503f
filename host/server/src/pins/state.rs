//! Pins as a cluster's nodes keep them: read, put and removed as a whole set, whoever wants them.
//!
//! Authorizer components are not asked here: they judge an account's requests, and what a cluster
//! pins is no account's. Who may be a node is the policies' affair (`readPins`, `writePins`).

use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use holdfast_model::action::{ReadPins, SignAudit, WritePins};
use holdfast_model::{Change, Cid, Cursor, ErrorKind, Pin, StoredPin, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, PinScan, ScanMark, Store, StoreError};
use std::collections::{HashMap, HashSet};

/// Pins of a page of the feed that are read at once: a page of a thousand takes a few round trips
/// to a cluster and does not crowd out other callers.
const READS_AT_ONCE: usize = 64;

/// Entries that are under way at once in a store of one process: four of the groups that it
/// commits, so that the next one waits while one is written.
const WRITES_AT_ONCE: usize = 2_048;

/// Entries that are under way at once on a cluster: beyond these, calls wait in the driver's queue
/// and take from others.
const WRITES_AT_ONCE_ON_CLUSTER: usize = 256;

/// What the pin of a checkpoint's note is called.
const NOTE: &str = "audit checkpoint";

/// What a change left: the pin as it is now, or that it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Where it stands in the feed.
    pub cursor: Cursor,
    /// Which pin.
    pub cid: Cid,
    /// The pin as it is now; nothing if it is gone.
    pub pin: Option<StoredPin>,
}

/// What is to be done with one pin, and under which condition.
#[derive(Debug)]
pub struct Entry {
    /// What.
    pub step: Step,
    /// Only if this holds.
    pub expect: Expect,
}

/// What is to be done with one pin.
#[derive(Debug)]
pub enum Step {
    /// Put it.
    Put(Box<Pin>),
    /// Remove it.
    Delete(Cid),
}

impl Entry {
    /// The pin that it is about.
    #[must_use]
    pub fn cid(&self) -> Cid {
        match &self.step {
            Step::Put(pin) => pin.cid,
            Step::Delete(cid) => *cid,
        }
    }
}

/// One pin.
///
/// # Errors
/// The store fails.
pub async fn get(
    store: &Store,
    _permit: &Permit<ReadPins>,
    cid: &Cid,
) -> Result<Option<StoredPin>, StoreError> {
    store.pin(cid).await
}

/// Has the set hold the note of a checkpoint, which whoever may have the audit log signed may ask
/// for: a node that is Holdfast's alone would soon give it up otherwise. One that is there stays.
///
/// # Errors
/// The store fails.
pub async fn hold_note(
    store: &Store,
    _permit: &Permit<SignAudit>,
    cid: Cid,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut note = Pin::recursive(cid, now);
    note.options.name = NOTE.to_owned();
    match store.put_pin(note, Expect::Absent).await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        put => put.map(drop),
    }
}

/// Many pins, each with what there is of it, in the order in which they are asked for.
pub fn get_each<'a>(
    store: &'a Store,
    _permit: &Permit<ReadPins>,
    cids: Vec<Cid>,
) -> impl Stream<Item = Result<(Cid, Option<StoredPin>), StoreError>> + use<'a> {
    let read = move |cid| async move { Ok((cid, store.pin(&cid).await?)) };
    stream::iter(cids).map(read).buffered(READS_AT_ONCE)
}

/// Puts a pin; durable when it is answered.
///
/// # Errors
/// `Conflict` if `expect` does not hold, `Invalid` if the pin is too large, or the store fails.
pub async fn put(
    store: &Store,
    _permit: &Permit<WritePins>,
    pin: Pin,
    expect: Expect,
) -> Result<StoredPin, StoreError> {
    store.put_pin(pin, expect).await
}

/// Removes a pin; one that requests want stays for them.
///
/// # Errors
/// `Conflict` if `expect` does not hold, or the store fails.
pub async fn remove(
    store: &Store,
    _permit: &Permit<WritePins>,
    cid: &Cid,
    expect: Expect,
) -> Result<(), StoreError> {
    store.delete_pin(cid, expect).await
}

/// Does many things at once, each atomic by itself; answers what became of each, in their order,
/// of a put its new version. Entries of the same CID take effect in their order too.
pub async fn commit(
    store: &Store,
    permit: &Permit<WritePins>,
    entries: Vec<Entry>,
) -> Vec<Result<Option<u64>, StoreError>> {
    let most = match store {
        Store::Cql(_) => WRITES_AT_ONCE_ON_CLUSTER,
        Store::Memory(_) | Store::Embedded(_) => WRITES_AT_ONCE,
    };
    let mut answers = Vec::with_capacity(entries.len());
    let mut together = Vec::new();
    let mut cids = HashSet::new();
    for entry in entries {
        if together.len() >= most || cids.contains(&entry.cid()) {
            answers.extend(join_all(together.drain(..)).await);
            cids.clear();
        }
        cids.insert(entry.cid());
        together.push(one(store, permit, entry));
    }
    answers.extend(join_all(together).await);
    answers
}

async fn one(
    store: &Store,
    permit: &Permit<WritePins>,
    Entry { step, expect }: Entry,
) -> Result<Option<u64>, StoreError> {
    match step {
        Step::Put(pin) => put(store, permit, *pin, expect)
            .await
            .map(|stored| Some(stored.version)),
        Step::Delete(cid) => remove(store, permit, &cid, expect).await.map(|()| None),
    }
}

/// All pins, from the beginning or from a mark on.
///
/// # Errors
/// A mark of another kind of store.
pub fn scan(
    store: &Store,
    _permit: &Permit<ReadPins>,
    from: Option<ScanMark>,
) -> Result<PinScan, StoreError> {
    store.scan_pins(from)
}

/// Changes after a cursor, oldest first, each with what it left. A CID that changed several times
/// within the page comes once, at its last change: what it is now is told there.
///
/// # Errors
/// `CursorTooOld`, `Invalid` for a cursor from the future, or the store fails.
pub async fn changes(
    store: &Store,
    _permit: &Permit<ReadPins>,
    after: Cursor,
    limit: u32,
) -> Result<Vec<Changed>, StoreError> {
    let page = store.changes(after, limit).await?;
    let read = |change: Change| async move {
        Ok::<_, StoreError>(Changed {
            cursor: change.cursor,
            cid: change.cid,
            pin: store.pin(&change.cid).await?,
        })
    };
    stream::iter(last_of_each(page).into_iter().map(read))
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await
}

/// The last change of each CID, in their order.
fn last_of_each(page: Vec<Change>) -> Vec<Change> {
    let mut last = HashMap::with_capacity(page.len());
    for (place, change) in page.iter().enumerate() {
        last.insert(change.cid, place);
    }
    let is_last = |(place, change): &(usize, Change)| last.get(&change.cid) == Some(place);
    let kept = page.into_iter().enumerate().filter(is_last);
    kept.map(|(_, change)| change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_changes_of_a_cid_the_last_is_told_in_its_place() {
        let cid = |n: u8| Cid::from_bytes(&[1, 0x55, 0, 1, n]).unwrap();
        let change = |at, n| Change {
            cursor: Cursor(at),
            cid: cid(n),
        };
        let page = vec![change(1, 1), change(2, 2), change(3, 1), change(4, 3)];
        let kept = last_of_each(page);
        assert_eq!(kept, [change(2, 2), change(3, 1), change(4, 3)]);
    }
}
