//! Writes to tenants, keys, and the followers of the feed; forgetting the feed's beginning.

use super::draft::Draft;
use super::key;
use super::table::Table;
use crate::Result;
use crate::error::StoreError;
use crate::row::{decode_key, encode, encode_key, encode_tenant};
use crate::rules::{KEY, begin_tenant, check_not_in_future, retire};
use holdfast_model::key::KeyHash;
use holdfast_model::{ApiKey, Cursor, KeyId, Revocation, Tenant, UnixMillis};
use std::ops::Bound;

/// Feed entries that one operation forgets at most: trimming must not hold up the writes behind it.
const TRIM_ENTRIES_MAX: usize = 10_000;

impl Draft<'_> {
    pub(super) fn put_tenant(&mut self, tenant: &Tenant) -> Result<()> {
        let row = encode_tenant(tenant)?;
        self.put(Table::Tenants, tenant.id.as_str().as_bytes().to_vec(), row);
        Ok(())
    }

    pub(super) fn add_key(&mut self, added: &ApiKey) -> Result<()> {
        let id = added.id.as_str().as_bytes();
        if self.get(Table::KeyIds, id)?.is_some() || self.get(Table::Keys, &added.hash)?.is_some() {
            return Err(StoreError::Conflict(KEY));
        }
        let tenant = added.account.tenant();
        if self
            .get(Table::Tenants, tenant.as_str().as_bytes())?
            .is_none()
        {
            self.put_tenant(&begin_tenant(tenant.clone(), added.created))?;
        }
        self.put(Table::Keys, added.hash.to_vec(), encode_key(added)?);
        self.put(Table::KeyIds, id.to_vec(), added.hash);
        self.put(
            Table::TenantKeys,
            key::tenant_key(tenant, &added.id),
            added.hash,
        );
        Ok(())
    }

    /// Runs alone: it looks whether the database itself has any key.
    pub(super) fn add_first_key(&mut self, added: &ApiKey) -> Result<bool> {
        let any = self.tables().view().all(Table::Keys).next().transpose()?;
        if any.is_some() {
            return Ok(false);
        }
        self.add_key(added).map(|()| true)
    }

    pub(super) fn revoke_key(&mut self, id: &KeyId, now: UnixMillis) -> Result<ApiKey> {
        self.alter_key(id, |key| {
            key.revoked.get_or_insert(Revocation { at: now });
            Ok(())
        })
    }

    pub(super) fn retire_key(
        &mut self,
        id: &KeyId,
        successor: &KeyId,
        end: UnixMillis,
    ) -> Result<ApiKey> {
        self.alter_key(id, |key| retire(key, successor, end))
    }

    fn alter_key(
        &mut self,
        id: &KeyId,
        alter: impl FnOnce(&mut ApiKey) -> Result<()>,
    ) -> Result<ApiKey> {
        let hash = self.get(Table::KeyIds, id.as_str().as_bytes())?;
        let hash = key_hash(&hash.ok_or(StoreError::NotFound(KEY))?)?;
        let row = self.get(Table::Keys, &hash)?;
        let before = decode_key(hash, &row.ok_or(StoreError::NotFound(KEY))?)?;
        let mut after = before.clone();
        alter(&mut after)?;
        if after != before {
            self.put(Table::Keys, hash.to_vec(), encode_key(&after)?);
        }
        Ok(after)
    }

    pub(super) fn save_follower(&mut self, name: &str, cursor: Cursor) -> Result<()> {
        self.put(Table::Meta, key::follower(name), encode(&cursor.0)?);
        Ok(())
    }

    /// Forgets the oldest entries up to a cursor, and tells whether that was all of them. Runs
    /// alone: it looks into the database itself.
    pub(super) fn trim_changes(&mut self, upto: Cursor) -> Result<bool> {
        check_not_in_future(upto, self.numbers().head())?;
        let range = (Bound::Unbounded, Bound::Included(key::change(upto)));
        let view = self.tables().view();
        let mut entries = view.range(Table::Feed, range);
        for entry in entries.by_ref().take(TRIM_ENTRIES_MAX) {
            let (place, _) = entry?;
            self.forget_upto(key::cursor_of(&place)?);
            self.remove(Table::Feed, place.to_vec());
        }
        Ok(entries.next().is_none())
    }

    /// Writes for the sake of writing, so that its answer tells whether writing works.
    pub(super) fn ping(&mut self) {
        self.put(Table::Meta, b"pinged".to_vec(), []);
    }
}

/// A hash as a value holds it.
pub(super) fn key_hash(bytes: &[u8]) -> Result<KeyHash> {
    let hash = KeyHash::try_from(bytes);
    hash.map_err(|_| StoreError::Corrupt(format!("{} bytes are no key's hash", bytes.len())))
}
