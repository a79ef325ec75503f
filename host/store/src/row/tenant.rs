//! Tenants and keys on disk.

use super::{damaged, decode, encode, encode_as};
use crate::Result;
use crate::error::StoreError;
use holdfast_model::key::KeyHash;
use holdfast_model::{
    AccountId, ApiKey, KeyId, PrincipalId, Revocation, Role, Scopes, Tenant, TenantId, UnixMillis,
};
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

/// The form of a key's row that has [`KeyMore`] behind it. What has nothing of that is written in
/// the first form, which earlier releases read too.
const KEY_ROW_VERSION: u8 = 2;

#[derive(Serialize, Deserialize)]
struct KeyMore<'a> {
    /// By name, as roles are; none means all.
    scopes: Option<Vec<Cow<'a, str>>>,
    successor: Option<Cow<'a, str>>,
    maker: Option<Cow<'a, str>>,
}

pub(crate) fn encode_key(key: &ApiKey) -> Result<Vec<u8>> {
    let row = KeyRow {
        id: key.id.as_str().into(),
        account: key.account.as_str().into(),
        roles: key.roles.iter().map(|role| role.as_str().into()).collect(),
        label: key.label.as_str().into(),
        created: key.created.as_millis(),
        expires: key.expires.map(UnixMillis::as_millis),
        revoked: key.revoked.map(|revocation| revocation.at.as_millis()),
    };
    let names = key.scopes.names();
    let more = KeyMore {
        scopes: names.map(|names| names.into_iter().map(Cow::Borrowed).collect()),
        successor: key.successor.as_ref().map(|id| id.as_str().into()),
        maker: key.maker.as_ref().map(|id| id.as_str().into()),
    };
    if more.scopes.is_none() && more.successor.is_none() && more.maker.is_none() {
        return encode(&row);
    }
    encode_as(KEY_ROW_VERSION, &(row, more))
}

pub(crate) fn decode_key(hash: KeyHash, bytes: &[u8]) -> Result<ApiKey> {
    let (row, more) = match bytes.split_first() {
        Some((&KEY_ROW_VERSION, bytes)) => {
            let read: (KeyRow<'_>, KeyMore<'_>) = postcard::from_bytes(bytes)
                .map_err(|e| StoreError::Corrupt(format!("a key row cannot be read: {e}")))?;
            (read.0, Some(read.1))
        }
        _ => (decode("key", bytes)?, None),
    };
    let roles = row.roles.iter().map(|name| Role::parse(name));
    let revocation = |at| Revocation {
        at: UnixMillis::new(at),
    };
    let mut key = ApiKey {
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
        scopes: Scopes::ALL,
        successor: None,
        maker: None,
    };
    if let Some(more) = more {
        if let Some(names) = &more.scopes {
            key.scopes = Scopes::of_kept(names.iter().map(AsRef::as_ref));
        }
        let successor = more.successor.map(|id| KeyId::parse(&id));
        key.successor = successor.transpose().map_err(|e| damaged("key", &e))?;
        let maker = more.maker.map(|id| PrincipalId::parse(&id));
        key.maker = maker.transpose().map_err(|e| damaged("key", &e))?;
    }
    Ok(key)
}
