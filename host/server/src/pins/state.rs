//! Pins as a cluster's nodes keep them: read, put and removed as a whole set, whoever wants them.
//!
//! Authorizer components are not asked here: they judge an account's requests, and what a cluster
//! pins is no account's. Who may be a node is the policies' affair (`readPins`, `writePins`).

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use holdfast_model::action::{ReadPins, SignAudit, WritePins};
use holdfast_model::limits::PIN_BYTES_MAX;
use holdfast_model::{Change, Cid, Cursor, ErrorKind, Pin, StoredPin, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, PinScan, ScanMark, Store, StoreError};
pub use holdfast_store::{PinEntry as Entry, PinStep as Step};
use std::collections::HashMap;
use std::pin::pin;

/// Pins that are read at once, for a page of the feed or for who asks for many: a thousand take
/// some round trips to a cluster and do not crowd out other callers. What is on its way is held
/// beside what is told, and nobody knows how large it is.
const READS_AT_ONCE: usize = 16;

/// So that pins of the largest size, all of them, are few enough for one caller.
const _: () = assert!(READS_AT_ONCE * PIN_BYTES_MAX <= 160 * 1024 * 1024);

/// Bytes of pins that end a page of the feed, whatever was asked for.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

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
    _permit: &Permit<WritePins>,
    entries: Vec<Entry>,
) -> Vec<Result<Option<u64>, StoreError>> {
    store.change_pins(entries).await
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
/// within the page comes once, at its last change: what it is now is told there. A page of large
/// pins may be shorter than `limit`; only an empty one is the end.
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
    let reads = stream::iter(last_of_each(page).into_iter().map(read));
    let mut reads = pin!(reads.buffered(READS_AT_ONCE));
    let (mut told, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES
        && let Some(changed) = reads.try_next().await?
    {
        bytes += changed.pin.as_ref().map_or(0, |stored| stored.pin.weight());
        told.push(changed);
    }
    Ok(told)
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
