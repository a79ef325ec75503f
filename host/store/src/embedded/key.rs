//! The keys of the tables, byte by byte as drawn in the parent's documentation.
//!
//! Numbers are big-endian, so that bytes sort as numbers do. CIDs and peer ids tell their own
//! length, so neither is ever the beginning of another; names end in a zero byte, which none
//! contains.

use super::table::KeyRange;
use crate::Result;
use crate::error::StoreError;
use crate::record::RecordKey;
use holdfast_model::{AccountId, Cid, Cursor, KeyId, PeerId, RequestId, TenantId, UnixMillis};
use std::ops::Bound;
use uuid::Uuid;

/// Bytes of a number in a key.
const NUMBER: usize = 8;

/// Key of the row of numbers in `meta`.
pub(super) const NUMBERS: &[u8] = b"numbers";

pub(super) fn follower(name: &str) -> Vec<u8> {
    [b"follower/", name.as_bytes()].concat()
}

pub(super) fn request(id: RequestId) -> Vec<u8> {
    id.0.as_bytes().to_vec()
}

/// Beginning of an account's keys.
pub(super) fn of_account(account: &AccountId) -> Vec<u8> {
    [account.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn listing(account: &AccountId, created: UnixMillis) -> Vec<u8> {
    newest_first(&of_account(account), created)
}

/// Beginning of the keys of an account's requests of one CID.
pub(super) fn of_account_pin(account: &AccountId, cid: &Cid) -> Vec<u8> {
    [account.as_str().as_bytes(), &[0], &cid.to_bytes()].concat()
}

pub(super) fn account_pin(account: &AccountId, cid: &Cid, created: UnixMillis) -> Vec<u8> {
    newest_first(&of_account_pin(account, cid), created)
}

/// A key under `prefix` that sorts later the older `created` is.
pub(super) fn newest_first(prefix: &[u8], created: UnixMillis) -> Vec<u8> {
    [prefix, &(!created.as_millis()).to_be_bytes()].concat()
}

/// The instant at the end of a [`newest_first`] key.
pub(super) fn created_of(key: &[u8]) -> Result<UnixMillis> {
    let (_, number) = split_last_number(key)?;
    Ok(UnixMillis::new(!number))
}

pub(super) fn pin_request(cid: &Cid, id: RequestId) -> Vec<u8> {
    [cid.to_bytes().as_slice(), id.0.as_bytes()].concat()
}

/// The request at the end of a key or in a value.
pub(super) fn request_id_at_end(bytes: &[u8]) -> Result<RequestId> {
    let id = bytes.last_chunk().ok_or_else(|| damaged("a request id"))?;
    Ok(RequestId(Uuid::from_bytes(*id)))
}

pub(super) fn at(instant: UnixMillis, rest: &[u8]) -> Vec<u8> {
    [&instant.as_millis().to_be_bytes(), rest].concat()
}

/// Entries of a table with [`at`] keys up to and including an instant.
pub(super) fn until(now: UnixMillis) -> KeyRange {
    // Past the last instant too, where `plus_millis` would stand still.
    let end = Bound::Excluded((now.as_millis() + 1).to_be_bytes().to_vec());
    (Bound::Unbounded, end)
}

/// What follows the instant in an [`at`] key.
pub(super) fn after_instant(key: &[u8]) -> Result<&[u8]> {
    key.get(NUMBER..).ok_or_else(|| damaged("an expiry"))
}

pub(super) fn mark(account: &AccountId, instant: UnixMillis) -> Vec<u8> {
    let instant = instant.as_millis().to_be_bytes();
    [account.as_str().as_bytes(), &[0], &instant].concat()
}

pub(super) fn placement(cid: &Cid, peer: &PeerId) -> Vec<u8> {
    [cid.to_bytes(), peer.to_bytes()].concat()
}

pub(super) fn peer_placement(peer: &PeerId, cid: &Cid) -> Vec<u8> {
    [peer.to_bytes(), cid.to_bytes()].concat()
}

pub(super) fn due(peer: &PeerId, due: UnixMillis, cid: &Cid) -> Vec<u8> {
    [peer.to_bytes(), at(due, &cid.to_bytes())].concat()
}

/// The instant in a [`due`] key of a peer.
pub(super) fn due_of(peer: &PeerId, key: &[u8]) -> Result<UnixMillis> {
    let rest = after(&peer.to_bytes(), key)?;
    let number = rest.first_chunk().ok_or_else(|| damaged("a due time"))?;
    Ok(UnixMillis::new(u64::from_be_bytes(*number)))
}

/// The CID that follows `prefix` in a key.
pub(super) fn cid_after(prefix: &[u8], key: &[u8]) -> Result<Cid> {
    cid(after(prefix, key)?)
}

pub(super) fn cid(bytes: &[u8]) -> Result<Cid> {
    Cid::from_bytes(bytes).map_err(|_| damaged("a CID"))
}

pub(super) fn change(cursor: Cursor) -> Vec<u8> {
    cursor.0.to_be_bytes().to_vec()
}

pub(super) fn cursor_of(key: &[u8]) -> Result<Cursor> {
    split_last_number(key).map(|(_, number)| Cursor(number))
}

/// Beginning of a tenant's keys.
pub(super) fn of_tenant(tenant: &TenantId) -> Vec<u8> {
    [tenant.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn tenant_key(tenant: &TenantId, id: &KeyId) -> Vec<u8> {
    [tenant.as_str().as_bytes(), &[0], id.as_str().as_bytes()].concat()
}

/// Beginning of an owner's records of a kind.
pub(super) fn of_records(kind: &str, owner: &str) -> Vec<u8> {
    [kind.as_bytes(), &[0], owner.as_bytes(), &[0]].concat()
}

pub(super) fn record(key: &RecordKey) -> Vec<u8> {
    [&of_records(key.kind, &key.owner), key.id.as_bytes()].concat()
}

/// Beginning of a chain's keys, and the key of its head. The host's own has the empty name.
pub(super) fn of_chain(tenant: &str) -> Vec<u8> {
    [tenant.as_bytes(), &[0]].concat()
}

/// The name at the beginning of a chain's key.
pub(super) fn chain_name(key: &[u8]) -> Result<String> {
    let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| damaged("a chain's name"))?;
    Ok(name.to_owned())
}

/// A key under `prefix` in the order of a number.
pub(super) fn numbered(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

/// The number at the end of a [`numbered`] key.
pub(super) fn number_of(key: &[u8]) -> Result<u64> {
    split_last_number(key).map(|(_, number)| number)
}

/// The [`numbered`] keys under `prefix` from a number on.
pub(super) fn numbers_from(prefix: &[u8], first: u64) -> KeyRange {
    (Bound::Included(numbered(prefix, first)), end_of(prefix))
}

/// The [`numbered`] keys under `prefix` before a number, or all of them.
pub(super) fn numbers_before(prefix: &[u8], before: Option<u64>) -> KeyRange {
    let end = match before {
        Some(before) => Bound::Excluded(numbered(prefix, before)),
        None => end_of(prefix),
    };
    (Bound::Included(prefix.to_vec()), end)
}

/// What follows `prefix` in a key.
pub(super) fn after<'k>(prefix: &[u8], key: &'k [u8]) -> Result<&'k [u8]> {
    key.strip_prefix(prefix).ok_or_else(|| damaged("an index"))
}

/// The keys that begin with `prefix`, from the one after `prefix` + `after` on.
pub(super) fn page(prefix: &[u8], after: Option<&[u8]>) -> KeyRange {
    let start = match after {
        Some(after) => Bound::Excluded([prefix, after].concat()),
        None => Bound::Included(prefix.to_vec()),
    };
    (start, end_of(prefix))
}

/// The first key after all that begin with `prefix`, as the end of a range.
pub(super) fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

fn split_last_number(key: &[u8]) -> Result<(&[u8], u64)> {
    let (rest, number) = key
        .split_last_chunk()
        .ok_or_else(|| damaged("a number in a key"))?;
    Ok((rest, u64::from_be_bytes(*number)))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} cannot be read; run `holdfast state check`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_neighbour() {
        assert_eq!(end_of(b"ab\0"), Bound::Excluded(b"ab\x01".to_vec()));
        assert_eq!(end_of(b"a\xff\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(end_of(b"\xff"), Bound::Unbounded);
        assert_eq!(end_of(b""), Bound::Unbounded);
    }

    #[test]
    fn newer_requests_come_first() {
        let (old, new) = (UnixMillis::new(1), UnixMillis::new(2));
        let account = AccountId::parse("acme/web").unwrap();
        assert!(listing(&account, new) < listing(&account, old));
        assert_eq!(created_of(&listing(&account, old)).unwrap(), old);
    }
}
