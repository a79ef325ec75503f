//! Keys against their hashes and lists; records.

use super::Walk;
use crate::Result;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use crate::row::decode_key;
use holdfast_model::key::KeyHash;
use std::collections::{HashMap, HashSet};

impl Walk<'_> {
    /// A hash or a line of a list without a key is what an unfinished attempt leaves behind; the
    /// next one takes it over.
    pub(super) async fn keys(&mut self) -> Result<()> {
        let hashes: Vec<(Vec<u8>, String)> = self.all(Statement::ScanKeyHashes).await?;
        let hashes: HashMap<_, _> = hashes.into_iter().collect();
        let listed: Vec<(String, String)> = self.all(Statement::ScanKeysOfTenants).await?;
        let listed: HashSet<_> = listed.into_iter().collect();
        let tenants: Vec<(String,)> = self.all(Statement::ScanTenants).await?;
        let tenants: HashSet<_> = tenants.into_iter().map(|(id,)| id).collect();
        let rows: Vec<(String, Vec<u8>, Vec<u8>)> = self.all(Statement::ScanKeys).await?;
        for (id, hash, body) in rows {
            if hashes.get(&hash) != Some(&id) {
                self.fault(|| format!("key_hashes lacks key {id}"));
            }
            let hash = KeyHash::try_from(hash).map_err(|_| {
                StoreError::Corrupt(format!("key {id} has a hash of another length"))
            })?;
            let key = decode_key(hash, &body)?;
            let tenant = key.account.tenant().as_str().to_owned();
            if !tenants.contains(&tenant) {
                self.fault(|| format!("tenant {tenant} of key {id} is not there"));
            }
            if !listed.contains(&(tenant, id.clone())) {
                self.fault(|| format!("the list of its tenant lacks key {id}"));
            }
        }
        Ok(())
    }

    /// Records stand alone; each must be readable.
    pub(super) async fn records(&mut self) -> Result<()> {
        type Row = (String, String, String, Option<Vec<u8>>);
        let rows: Vec<Row> = self.all(Statement::ScanRecords).await?;
        for (kind, owner, id, body) in rows {
            let Some(body) = body else {
                continue;
            };
            if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
                self.fault(|| format!("record {kind}/{owner}/{id} holds no JSON"));
            }
        }
        Ok(())
    }
}
