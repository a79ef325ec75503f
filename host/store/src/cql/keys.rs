//! Tenants and API keys: by conditions only.

mod claim;
mod tenant;
#[cfg(test)]
mod tests;

use super::Cql;
use super::Shared;
use super::calls::{Cas, one_change};
use super::pace::Pace;
use super::statement::Statement;
use super::stop::Stop;
use crate::Result;
use crate::error::StoreError;
use crate::row::{decode_key, encode_key};
use crate::rules::{KEY, retire};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_model::key::KeyHash;
use holdfast_model::{ApiKey, KeyId, Revocation, TenantId, UnixMillis};
use uuid::Uuid;

/// Keys of a page that are read at once.
const KEYS_AT_ONCE: usize = 32;

/// A key as its row holds it.
struct KeyRow {
    /// Which operation wrote it last.
    op: Uuid,
    key: ApiKey,
}

impl Cql {
    pub(crate) async fn add_key(&self, key: ApiKey) -> Result<()> {
        let adding = async {
            // Whoever adds a first key at the same time is to know that there will be one.
            claim::first(&self.shared, claim::begin(&self.shared)).await?;
            add(&self.shared, &key).await
        };
        one_change(adding).await
    }

    pub(crate) async fn add_first_key(&self, key: ApiKey) -> Result<bool> {
        one_change(self.add_if_first(&key)).await
    }

    async fn add_if_first(&self, key: &ApiKey) -> Result<bool> {
        let shared = &self.shared;
        if claim::any_key(shared).await? {
            return Ok(false);
        }
        if !claim::first(shared, claim::begin(shared)).await? {
            return Err(StoreError::Unavailable {
                doing: "add the first key".to_owned(),
                source: std::io::Error::other(
                    "somebody else has begun to a moment ago; try again in a minute",
                ),
            });
        }
        // Whoever had the claim before may have written his key by now.
        if claim::any_key(shared).await? {
            return Ok(false);
        }
        add(shared, key).await.map(|()| true)
    }

    pub(crate) async fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        let Some(id) = claim::holder(&self.shared, hash).await? else {
            return Ok(None);
        };
        let found = self.key(&id).await?;
        Ok(found.filter(|key| key.hash == *hash))
    }

    pub(crate) async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>> {
        let row = read(&self.shared, Statement::KeyRead, id).await?;
        Ok(row.map(|row| row.key))
    }

    /// Keys are listed before they are written, so a name may be without a key, or of another's.
    pub(crate) async fn keys(
        &self,
        tenant: &TenantId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        let mut after = after.map_or_else(String::new, |after| after.as_str().to_owned());
        let limit = limit as usize;
        let mut found = Vec::new();
        while found.len() < limit {
            let missing = limit - found.len();
            let ids = self.listed(tenant, &after, missing).await?;
            let Some(last) = ids.last() else {
                break;
            };
            after = last.as_str().to_owned();
            let is_last = ids.len() < missing;
            let keys = stream::iter(ids).map(async |id| self.key(&id).await);
            let keys: Vec<_> = keys.buffered(KEYS_AT_ONCE).try_collect().await?;
            let keys = keys.into_iter().flatten();
            found.extend(keys.filter(|key| key.account.tenant() == tenant));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    pub(crate) async fn revoke_key(&self, id: &KeyId, now: UnixMillis) -> Result<ApiKey> {
        self.alter_key(id, |key| {
            key.revoked.get_or_insert(Revocation { at: now });
            Ok(())
        })
        .await
    }

    pub(crate) async fn retire_key(
        &self,
        id: &KeyId,
        successor: &KeyId,
        end: UnixMillis,
    ) -> Result<ApiKey> {
        self.alter_key(id, |key| retire(key, successor, end)).await
    }

    /// Changes a key in a way that may be done twice.
    async fn alter_key(
        &self,
        id: &KeyId,
        alter: impl Fn(&mut ApiKey) -> Result<()>,
    ) -> Result<ApiKey> {
        let shared = &self.shared;
        let home = shared.params.home(id.as_str().as_bytes());
        let op = Uuid::now_v7();
        let mut pace = Pace::default();
        loop {
            let row = read_serially(shared, id).await?;
            let KeyRow { op: last, key } = row.ok_or(StoreError::NotFound(KEY))?;
            let mut after = key.clone();
            alter(&mut after)?;
            if after == key {
                return Ok(key);
            }
            let values = (op, encode_key(&after)?, id.as_str(), last);
            let calls = &shared.calls;
            let cas = calls.condition(Statement::KeyReplace, home, values).await?;
            if cas == Cas::Applied {
                return Ok(after);
            }
            pace.wait(KEY).await?;
        }
    }

    async fn listed(&self, tenant: &TenantId, after: &str, limit: usize) -> Result<Vec<KeyId>> {
        let shared = &self.shared;
        let home = shared.params.home(tenant.as_str().as_bytes());
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (tenant.as_str(), after, limit);
        let rows = shared
            .calls
            .rows::<(String,)>(Statement::KeysOfTenant, home, values)
            .await?;
        rows.iter().map(|(id,)| parse_id(id)).collect()
    }
}

/// Adds a key: the row by its id comes last and decides. What is before it names a key that may
/// never be: a claim that can be taken over, a tenant, a line of a list that is compared with keys.
async fn add(shared: &Shared, key: &ApiKey) -> Result<()> {
    if read_serially(shared, &key.id).await?.is_some() {
        return Err(StoreError::Conflict(KEY));
    }
    let op = claim::begin(shared);
    claim::hash(shared, key, op).await?;
    shared.stop(Stop::KeyClaimed)?;
    tenant::begin(shared, key.account.tenant(), key.created).await?;
    list(shared, key).await?;
    shared.stop(Stop::KeyPrepared)?;
    if !claim::holds(shared, op) {
        claim::release(shared, key, op).await?;
        return Err(StoreError::Unavailable {
            doing: "add a key".to_owned(),
            source: std::io::Error::other("it took too long; nothing was added"),
        });
    }
    let home = shared.params.home(key.id.as_str().as_bytes());
    let values = (key.id.as_str(), op, key.hash.as_slice(), encode_key(key)?);
    let calls = &shared.calls;
    if calls.condition(Statement::KeyMake, home, values).await? == Cas::Applied {
        return Ok(());
    }
    match read_serially(shared, &key.id).await? {
        // A revocation may have come between: then it is this key all the same.
        Some(row) if row.op == op || row.key.hash == key.hash => Ok(()),
        _ => {
            claim::release(shared, key, op).await?;
            Err(StoreError::Conflict(KEY))
        }
    }
}

/// Puts a key on its tenant's list.
async fn list(shared: &Shared, key: &ApiKey) -> Result<()> {
    let tenant = key.account.tenant().as_str();
    let home = shared.params.home(tenant.as_bytes());
    let stamp = shared.clock.next().cast_signed();
    let values = (tenant, key.id.as_str(), stamp);
    shared
        .calls
        .write(Statement::KeyOfTenantPut, home, values)
        .await
}

async fn read_serially(shared: &Shared, id: &KeyId) -> Result<Option<KeyRow>> {
    read(shared, Statement::KeyReadSerial, id).await
}

async fn read(shared: &Shared, statement: Statement, id: &KeyId) -> Result<Option<KeyRow>> {
    let home = shared.params.home(id.as_str().as_bytes());
    let row: Option<(Uuid, Vec<u8>, Vec<u8>)> =
        shared.calls.row(statement, home, (id.as_str(),)).await?;
    let Some((op, hash, body)) = row else {
        return Ok(None);
    };
    let hash = KeyHash::try_from(hash)
        .map_err(|_| StoreError::Corrupt(format!("the key {id} has a hash of another length")))?;
    let key = decode_key(hash, &body)?;
    Ok(Some(KeyRow { op, key }))
}

fn parse_id(id: &str) -> Result<KeyId> {
    KeyId::parse(id).map_err(|e| StoreError::Corrupt(format!("a row about a key {e}")))
}
