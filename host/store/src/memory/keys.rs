//! Tenants and keys in memory.

use super::State;
use crate::Result;
use crate::error::StoreError;
use crate::rules::{KEY, begin_tenant, retire};
use holdfast_model::key::KeyHash;
use holdfast_model::{ApiKey, KeyId, Revocation, Tenant, TenantId, UnixMillis};

impl State {
    pub(crate) fn tenant(&self, id: &TenantId) -> Option<Tenant> {
        self.tenants.get(id).cloned()
    }

    pub(crate) fn put_tenant(&mut self, tenant: Tenant) {
        self.tenants.insert(tenant.id.clone(), tenant);
    }

    pub(crate) fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Vec<Tenant> {
        self.tenants
            .values()
            .filter(|tenant| after.is_none_or(|after| tenant.id > *after))
            .take(limit as usize)
            .cloned()
            .collect()
    }

    pub(crate) fn add_key(&mut self, key: ApiKey) -> Result<()> {
        if self.keys.contains_key(&key.id) || self.key_by_hash(&key.hash).is_some() {
            return Err(StoreError::Conflict(KEY));
        }
        let tenant = key.account.tenant();
        self.tenants
            .entry(tenant.clone())
            .or_insert_with(|| begin_tenant(tenant.clone(), key.created));
        self.keys.insert(key.id.clone(), key);
        Ok(())
    }

    pub(crate) fn add_first_key(&mut self, key: ApiKey) -> Result<bool> {
        if !self.keys.is_empty() {
            return Ok(false);
        }
        self.add_key(key).map(|()| true)
    }

    pub(crate) fn key_by_hash(&self, hash: &KeyHash) -> Option<ApiKey> {
        self.keys.values().find(|key| key.hash == *hash).cloned()
    }

    pub(crate) fn key(&self, id: &KeyId) -> Option<ApiKey> {
        self.keys.get(id).cloned()
    }

    pub(crate) fn keys(&self, tenant: &TenantId, after: Option<&KeyId>, limit: u32) -> Vec<ApiKey> {
        self.keys
            .values()
            .filter(|key| key.account.tenant() == tenant)
            .filter(|key| after.is_none_or(|after| key.id > *after))
            .take(limit as usize)
            .cloned()
            .collect()
    }

    pub(crate) fn revoke_key(&mut self, id: &KeyId, now: UnixMillis) -> Result<ApiKey> {
        let key = self.keys.get_mut(id).ok_or(StoreError::NotFound(KEY))?;
        key.revoked.get_or_insert(Revocation { at: now });
        Ok(key.clone())
    }

    pub(crate) fn retire_key(
        &mut self,
        id: &KeyId,
        successor: &KeyId,
        end: UnixMillis,
    ) -> Result<ApiKey> {
        let key = self.keys.get_mut(id).ok_or(StoreError::NotFound(KEY))?;
        retire(key, successor, end)?;
        Ok(key.clone())
    }
}
