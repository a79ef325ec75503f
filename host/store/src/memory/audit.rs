//! Audit chains in memory.

use super::State;
use crate::audit::{AUDIT_CHAIN, AUDIT_CHECKPOINT};
use crate::error::StoreError;
use crate::record::Kept;
use crate::{Expect, Result};
use holdfast_model::audit::segment_of;
use holdfast_model::{AuditCheckpoint, AuditEntry, AuditHead, UnixMillis};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A chain, from the first entry that is kept.
#[derive(Debug)]
pub(super) struct Chain {
    head: AuditHead,
    entries: BTreeMap<u64, AuditEntry>,
}

impl State {
    pub(crate) fn audit_head(&self, tenant: &str) -> AuditHead {
        let chain = self.audit.get(tenant);
        chain.map_or_else(|| AuditHead::start(tenant), |chain| chain.head)
    }

    pub(crate) fn append_audit(
        &mut self,
        tenant: &str,
        after: AuditHead,
        entries: &[AuditEntry],
    ) -> Result<()> {
        let head = self.audit_head(tenant);
        let Some(last) = entries.last() else {
            return Ok(());
        };
        if head != after {
            let chain = self.audit.get(tenant);
            let there = chain.and_then(|chain| chain.entries.get(&last.seq));
            return match there.is_some_and(|there| there.hash == last.hash) {
                true => Ok(()),
                false => Err(StoreError::Conflict(AUDIT_CHAIN)),
            };
        }
        let begin = || Chain {
            head,
            entries: BTreeMap::new(),
        };
        let chain = self.audit.entry(tenant.to_owned()).or_insert_with(begin);
        let rows = entries.iter().map(|entry| (entry.seq, entry.clone()));
        chain.entries.extend(rows);
        chain.head = last.head();
        Ok(())
    }

    pub(crate) fn audit_entries(&self, tenant: &str, from: u64, limit: u32) -> Vec<AuditEntry> {
        let chain = self.audit.get(tenant).into_iter();
        let entries = chain.flat_map(|chain| chain.entries.range(from..));
        let entries = entries.take(limit as usize);
        entries.map(|(_, entry)| entry.clone()).collect()
    }

    pub(crate) fn audit_entries_before(
        &self,
        tenant: &str,
        before: u64,
        limit: u32,
    ) -> Vec<AuditEntry> {
        let chain = self.audit.get(tenant).into_iter();
        let entries = chain.flat_map(|chain| chain.entries.range(..before).rev());
        let entries = entries.take(limit as usize);
        entries.map(|(_, entry)| entry.clone()).collect()
    }

    pub(crate) fn put_audit_checkpoint(
        &mut self,
        tenant: &str,
        checkpoint: &AuditCheckpoint,
        expect: Expect,
    ) -> Result<u64> {
        let place = (tenant.to_owned(), checkpoint.segment);
        let old = self.audit_checkpoints.get(&place).map(|old| old.version);
        expect.check(AUDIT_CHECKPOINT, old)?;
        let version = self.next_number();
        let kept = Kept {
            value: checkpoint.clone(),
            version,
        };
        self.audit_checkpoints.insert(place, kept);
        Ok(version)
    }

    pub(crate) fn audit_checkpoints(
        &self,
        tenant: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Vec<Kept<AuditCheckpoint>> {
        let place = |segment| (tenant.to_owned(), segment);
        let end = match before {
            Some(before) => Bound::Excluded(place(before)),
            None => Bound::Included(place(u64::MAX)),
        };
        let range = (Bound::Included(place(0)), end);
        let kept = self.audit_checkpoints.range(range).rev();
        let kept = kept.take(limit as usize);
        kept.map(|(_, kept)| kept.clone()).collect()
    }

    pub(crate) fn audit_tenants(&self, after: Option<&str>, limit: u32) -> Vec<String> {
        let names = self.audit.keys();
        let names = names.filter(|name| after.is_none_or(|after| name.as_str() > after));
        names.take(limit as usize).cloned().collect()
    }

    pub(crate) fn sweep_audit(&mut self, before: UnixMillis, limit: u32) -> u64 {
        let mut swept = 0;
        for ((tenant, segment), kept) in &self.audit_checkpoints {
            let Some(chain) = self.audit.get_mut(tenant) else {
                continue;
            };
            let is_over = kept.value.is_of_all() && kept.value.last_at < before;
            let held = chain.entries.len();
            if is_over && swept < u64::from(limit) {
                chain.entries.retain(|seq, _| segment_of(*seq) != *segment);
                swept += u64::from(chain.entries.len() < held);
            }
        }
        swept
    }
}
