//! Audit chains: every entry against the one before it, every head against the last entry, and
//! what was signed against what is there.

use super::Walk;
use crate::Result;
use crate::audit::ChainWalk;
use crate::embedded::audit::{entry_of, head_of};
use crate::embedded::key;
use crate::embedded::table::Table;
use crate::row::decode_audit_checkpoint;
use holdfast_model::AuditHead;
use std::collections::BTreeMap;

impl Walk<'_> {
    pub(super) fn audit(&mut self) -> Result<()> {
        let signed = self.signed()?;
        let mut entries = 0;
        for row in self.view.all(Table::AuditHeads) {
            let (place, row) = row?;
            let tenant = key::chain_name(&place)?;
            let head = head_of(&tenant, Some(row))?;
            let signed = signed.get(&tenant).map(Vec::as_slice).unwrap_or_default();
            entries += self.chain(&tenant, head, signed)?;
        }
        // Entries of a chain without a head are what is left over.
        self.sized(Table::Audit, entries)
    }

    /// The heads that checkpoints name, by chain.
    fn signed(&mut self) -> Result<BTreeMap<String, Vec<AuditHead>>> {
        let mut signed: BTreeMap<String, Vec<AuditHead>> = BTreeMap::new();
        for row in self.view.all(Table::AuditCheckpoints) {
            let (place, row) = row?;
            let kept = decode_audit_checkpoint(key::number_of(&place)?, &row)?.value;
            let tenant = key::chain_name(&place)?;
            signed.entry(tenant).or_default().push(kept.head());
        }
        Ok(signed)
    }

    /// Follows a chain; answers how many entries there are.
    fn chain(&mut self, tenant: &str, head: AuditHead, signed: &[AuditHead]) -> Result<u64> {
        let mut chain = ChainWalk::new(tenant, signed);
        let range = key::page(&key::of_chain(tenant), None);
        for row in self.view.range(Table::Audit, range) {
            chain.take(&[entry_of(row)?]);
        }
        let entries = chain.entries;
        if let Some(fault) = chain.end(head) {
            self.fault(|| fault);
        }
        Ok(entries)
    }
}
