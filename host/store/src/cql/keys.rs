//! Tenants and API keys.

use super::Cql;
use super::missing;
use crate::Result;
use holdfast_model::key::KeyHash;
use holdfast_model::{ApiKey, KeyId, Tenant, TenantId, UnixMillis};

impl Cql {
    pub(crate) async fn tenant(&self, _id: &TenantId) -> Result<Option<Tenant>> {
        Err(missing("tenant"))
    }

    pub(crate) async fn put_tenant(&self, _tenant: Tenant) -> Result<()> {
        Err(missing("put_tenant"))
    }

    pub(crate) async fn tenants(
        &self,
        _after: Option<&TenantId>,
        _limit: u32,
    ) -> Result<Vec<Tenant>> {
        Err(missing("tenants"))
    }

    pub(crate) async fn add_key(&self, _key: ApiKey) -> Result<()> {
        Err(missing("add_key"))
    }

    pub(crate) async fn add_first_key(&self, _key: ApiKey) -> Result<bool> {
        Err(missing("add_first_key"))
    }

    pub(crate) async fn key_by_hash(&self, _hash: &KeyHash) -> Result<Option<ApiKey>> {
        Err(missing("key_by_hash"))
    }

    pub(crate) async fn key(&self, _id: &KeyId) -> Result<Option<ApiKey>> {
        Err(missing("key"))
    }

    pub(crate) async fn keys(
        &self,
        _tenant: &TenantId,
        _after: Option<&KeyId>,
        _limit: u32,
    ) -> Result<Vec<ApiKey>> {
        Err(missing("keys"))
    }

    pub(crate) async fn revoke_key(&self, _id: &KeyId, _now: UnixMillis) -> Result<ApiKey> {
        Err(missing("revoke_key"))
    }
}
