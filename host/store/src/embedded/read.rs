//! Reads of pins, placements, the feed, usage, tenants and keys.

use super::key;
use super::keys::key_hash;
use super::table::{Entry, KeyRange, Table, Tables, View};
use crate::Result;
use crate::error::StoreError;
use crate::row::{
    Account, AccountRow, MarkRow, Numbers, PinRow, decode, decode_key, decode_placement,
    decode_tenant,
};
use crate::rules::check_not_in_future;
use crate::scan::PAGE_BYTES;
use holdfast_model::key::KeyHash;
use holdfast_model::{
    AccountId, ApiKey, Change, Cid, Cursor, Invalid, KeyId, PeerId, Period, Placement, StoredPin,
    Tenant, TenantId, UnixMillis, Usage, UsageMark,
};
use std::ops::Bound;

impl Tables {
    pub(super) fn pin(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        let row = self.get(Table::Pins, &cid.to_bytes())?;
        row.map(|row| stored_pin(&row)).transpose()
    }

    pub(super) fn pins(&self, after: Option<&Cid>, limit: u32) -> Result<Vec<StoredPin>> {
        let range = page(after.map(Cid::to_bytes).as_deref());
        let view = self.view();
        let rows = view.range(Table::Pins, range).take(limit as usize);
        let mut bytes = 0;
        let rows = rows.take_while(|row| {
            let has_room = bytes < PAGE_BYTES;
            bytes += row.as_ref().map_or(0, |(_, row)| row.len());
            has_room
        });
        rows.map(|row| stored_pin(&row?.1)).collect()
    }

    pub(super) fn expired_pins(&self, now: UnixMillis, limit: u32) -> Result<Vec<StoredPin>> {
        let view = self.view();
        let entries = view.range(Table::PinExpiry, key::until(now));
        entries
            .take(limit as usize)
            .map(|entry| {
                let place = entry?.0;
                let row = view.row(Table::Pins, key::after_instant(&place)?)?;
                stored_pin(&row)
            })
            .collect()
    }

    pub(super) fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Option<Placement>> {
        let row = self.get(Table::Placements, &key::placement(cid, peer))?;
        row.map(|row| decode_placement(&row)).transpose()
    }

    pub(super) fn placements_of_pin(&self, cid: &Cid) -> Result<Vec<Placement>> {
        let view = self.view();
        let rows = view.range(Table::Placements, key::page(&cid.to_bytes(), None));
        rows.map(|row| decode_placement(&row?.1)).collect()
    }

    pub(super) fn placements_of_peer(
        &self,
        peer: &PeerId,
        after: Option<&Cid>,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        let view = self.view();
        let prefix = peer.to_bytes();
        let range = key::page(&prefix, after.map(Cid::to_bytes).as_deref());
        let entries = view.range(Table::PeerPlacements, range);
        entries
            .take(limit as usize)
            .map(|entry| view.placement(&key::cid_after(&prefix, &entry?.0)?, peer))
            .collect()
    }

    pub(super) fn due_placements(
        &self,
        peer: &PeerId,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        let view = self.view();
        let prefix = peer.to_bytes();
        let end = [prefix.as_slice(), &(now.as_millis() + 1).to_be_bytes()].concat();
        let range = (Bound::Included(prefix.clone()), Bound::Excluded(end));
        let entries = view.range(Table::Due, range);
        entries
            .take(limit as usize)
            .map(|entry| {
                let place = entry?.0;
                let cid = key::cid(key::after_instant(key::after(&prefix, &place)?)?)?;
                view.placement(&cid, peer)
            })
            .collect()
    }

    pub(super) fn next_due(&self, peer: &PeerId) -> Result<Option<UnixMillis>> {
        let view = self.view();
        let mut entries = view.range(Table::Due, key::page(&peer.to_bytes(), None));
        let first = entries.next().transpose()?;
        first
            .map(|(place, _)| key::due_of(peer, &place))
            .transpose()
    }

    pub(super) fn changes(&self, after: Cursor, limit: u32) -> Result<Vec<Change>> {
        let view = self.view();
        let numbers = view.numbers()?;
        check_not_in_future(after, numbers.head())?;
        if after < numbers.trimmed() {
            return Err(StoreError::CursorTooOld {
                oldest: numbers.trimmed(),
            });
        }
        let range = page(Some(&key::change(after)));
        let entries = view.range(Table::Feed, range).take(limit as usize);
        entries
            .map(|entry| {
                let (place, cid) = entry?;
                Ok(Change {
                    cursor: key::cursor_of(&place)?,
                    cid: key::cid(&cid)?,
                })
            })
            .collect()
    }

    pub(super) fn follower(&self, name: &str) -> Result<Cursor> {
        let row = self.get(Table::Meta, &key::follower(name))?;
        let cursor = row.map(|row| decode("follower", &row)).transpose()?;
        Ok(cursor.map_or(Cursor::START, Cursor))
    }

    pub(super) fn account(&self, id: &AccountId) -> Result<Account> {
        let row = self.get(Table::Accounts, id.as_str().as_bytes())?;
        let row = row.map(|row| decode::<AccountRow>("account", &row));
        Ok(row.transpose()?.map(Account::from).unwrap_or_default())
    }

    pub(super) fn usage(&self, account: &AccountId, period: Period) -> Result<Usage> {
        let view = self.view();
        let before = |end: UnixMillis| -> Result<Option<UsageMark>> {
            let start = Bound::Included(key::of_account(account));
            let range = (start, Bound::Excluded(key::mark(account, end)));
            let last = view.range(Table::Marks, range).next_back().transpose()?;
            let mark = last.map(|(_, row)| decode::<MarkRow>("usage", &row));
            Ok(mark.transpose()?.map(UsageMark::from))
        };
        Ok(Usage::between(
            period,
            before(period.start)?,
            before(period.end)?,
        ))
    }

    pub(super) fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<AccountId>> {
        let range = page(after.map(|id| id.as_str().as_bytes()));
        self.named(Table::Accounts, range, limit, AccountId::parse)?
            .into_iter()
            .map(|(id, _)| Ok(id))
            .collect()
    }

    pub(super) fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        let row = self.get(Table::Tenants, id.as_str().as_bytes())?;
        row.map(|row| decode_tenant(id.clone(), &row)).transpose()
    }

    pub(super) fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        let range = page(after.map(|id| id.as_str().as_bytes()));
        self.named(Table::Tenants, range, limit, TenantId::parse)?
            .into_iter()
            .map(|(id, (_, row))| decode_tenant(id, &row))
            .collect()
    }

    pub(super) fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        let row = self.get(Table::Keys, hash)?;
        row.map(|row| decode_key(*hash, &row)).transpose()
    }

    pub(super) fn key(&self, id: &KeyId) -> Result<Option<ApiKey>> {
        let Some(hash) = self.get(Table::KeyIds, id.as_str().as_bytes())? else {
            return Ok(None);
        };
        self.key_by_hash(&key_hash(&hash)?)
    }

    pub(super) fn keys(
        &self,
        tenant: &TenantId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        let view = self.view();
        let range = key::page(
            &key::of_tenant(tenant),
            after.map(|id| id.as_str().as_bytes()),
        );
        let entries = view.range(Table::TenantKeys, range).take(limit as usize);
        entries
            .map(|entry| {
                let hash = key_hash(&entry?.1)?;
                decode_key(hash, &view.row(Table::Keys, &hash)?)
            })
            .collect()
    }

    /// Entries whose whole key is a name.
    fn named<T>(
        &self,
        table: Table,
        range: KeyRange,
        limit: u32,
        parse: impl Fn(&str) -> std::result::Result<T, Invalid>,
    ) -> Result<Vec<(T, Entry)>> {
        let view = self.view();
        let entries = view.range(table, range).take(limit as usize);
        let named = entries.map(|entry| {
            let entry = entry?;
            let name = std::str::from_utf8(&entry.0)
                .ok()
                .and_then(|name| parse(name).ok());
            let name = name.ok_or_else(|| {
                StoreError::Corrupt(format!("a key of {} is no name", table.name()))
            })?;
            Ok((name, entry))
        });
        named.collect()
    }
}

impl View<'_> {
    /// The row that an index entry of the same instant leads to.
    pub(super) fn row(&self, table: Table, key: &[u8]) -> Result<fjall::UserValue> {
        self.get(table, key)?.ok_or_else(|| {
            StoreError::Corrupt(format!("an index names a row that {} lacks", table.name()))
        })
    }

    pub(super) fn numbers(&self) -> Result<Numbers> {
        decode("numbers", &self.row(Table::Meta, key::NUMBERS)?)
    }

    fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Placement> {
        decode_placement(&self.row(Table::Placements, &key::placement(cid, peer))?)
    }
}

fn page(after: Option<&[u8]>) -> KeyRange {
    key::page(&[], after)
}

fn stored_pin(row: &[u8]) -> Result<StoredPin> {
    decode::<PinRow<'_>>("pin", row)?.into_pin()
}
