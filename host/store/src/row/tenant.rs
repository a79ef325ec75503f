//! Tenants and keys on disk.

use super::{damaged, decode, encode};
use crate::Result;
use holdfast_model::key::KeyHash;
use holdfast_model::{AccountId, ApiKey, KeyId, Revocation, Role, Tenant, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct TenantRow<'a> {
    created: u64,
    attributes: Cow<'a, BTreeMap<String, String>>,
}

pub(crate) fn encode_tenant(tenant: &Tenant) -> Result<Vec<u8>> {
    encode(&TenantRow {
        created: tenant.created.as_millis(),
        attributes: Cow::Borrowed(&tenant.attributes),
    })
}

pub(crate) fn decode_tenant(id: TenantId, bytes: &[u8]) -> Result<Tenant> {
    let row: TenantRow<'_> = decode("tenant", bytes)?;
    Ok(Tenant {
        id,
        created: UnixMillis::new(row.created),
        attributes: row.attributes.into_owned(),
    })
}

#[derive(Serialize, Deserialize)]
struct KeyRow<'a> {
    id: Cow<'a, str>,
    account: Cow<'a, str>,
    /// By name: a role's number may change with the model, its name is a contract with policies.
    roles: Vec<Cow<'a, str>>,
    label: Cow<'a, str>,
    created: u64,
    expires: Option<u64>,
    revoked: Option<u64>,
}

pub(crate) fn encode_key(key: &ApiKey) -> Result<Vec<u8>> {
    encode(&KeyRow {
        id: key.id.as_str().into(),
        account: key.account.as_str().into(),
        roles: key.roles.iter().map(|role| role.as_str().into()).collect(),
        label: key.label.as_str().into(),
        created: key.created.as_millis(),
        expires: key.expires.map(UnixMillis::as_millis),
        revoked: key.revoked.map(|revocation| revocation.at.as_millis()),
    })
}

pub(crate) fn decode_key(hash: KeyHash, bytes: &[u8]) -> Result<ApiKey> {
    let row: KeyRow<'_> = decode("key", bytes)?;
    let roles = row.roles.iter().map(|name| Role::parse(name));
    let revocation = |at| Revocation {
        at: UnixMillis::new(at),
    };
    Ok(ApiKey {
        id: KeyId::parse(&row.id).map_err(|e| damaged("key", &e))?,
        hash,
        account: AccountId::parse(&row.account).map_err(|e| damaged("key", &e))?,
        roles: roles
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| damaged("key", &e))?,
        label: row.label.into_owned(),
        created: UnixMillis::new(row.created),
        expires: row.expires.map(UnixMillis::new),
        revoked: row.revoked.map(revocation),
    })
}
