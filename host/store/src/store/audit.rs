//! The calls about audit chains: one for each tenant, and the host's own under the empty name.

use super::Store;
use crate::audit::{check_append, check_chain_name, check_checkpoint};
use crate::metrics::Operation;
use crate::record::Kept;
use crate::{Expect, Result};
use futures_util::FutureExt;
use holdfast_model::{AuditCheckpoint, AuditEntry, AuditHead, UnixMillis};
use std::time::Instant;

impl Store {
    /// How far a chain has come; [`AuditHead::start`] if nothing was ever entered.
    pub async fn audit_head(&self, tenant: &str) -> Result<AuditHead> {
        check_chain_name(tenant)?;
        dispatch!(self, AuditHead, plain audit_head(tenant))
    }

    /// Enters all of `entries`, which follow from `after`, or none; answers the head that they lead
    /// to. `Conflict` if the chain's head is another. Repeating an append that has happened changes
    /// nothing and is answered as it was: so who does not know what became of one repeats it.
    /// `Invalid` if there are none, more than one append may have, entries of two segments, or any
    /// that does not follow.
    pub async fn append_audit(
        &self,
        tenant: &str,
        after: AuditHead,
        entries: &[AuditEntry],
    ) -> Result<AuditHead> {
        check_chain_name(tenant)?;
        let head = check_append(&after, entries)?;
        dispatch!(self, AppendAudit, fallible append_audit(tenant, after, entries))?;
        Ok(head)
    }

    /// A chain's entries in their order, from a number on, or from the first that is kept.
    pub async fn audit_entries(
        &self,
        tenant: &str,
        from: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        check_chain_name(tenant)?;
        dispatch!(self, AuditEntries, plain audit_entries(tenant, from, limit))
    }

    /// A chain's entries before a number, the newest first. Before [`u64::MAX`] are all of them.
    pub async fn audit_entries_before(
        &self,
        tenant: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        check_chain_name(tenant)?;
        dispatch!(self, AuditEntriesBefore, plain audit_entries_before(tenant, before, limit))
    }

    /// Keeps what was signed of a segment, and answers its version. `Conflict` if `expect` does not
    /// hold. Nobody here looks whether it is true: that is what whoever reads it does.
    pub async fn put_audit_checkpoint(
        &self,
        tenant: &str,
        checkpoint: &AuditCheckpoint,
        expect: Expect,
    ) -> Result<u64> {
        check_chain_name(tenant)?;
        check_checkpoint(checkpoint)?;
        dispatch!(
            self,
            PutAuditCheckpoint,
            fallible put_audit_checkpoint(tenant, checkpoint, expect)
        )
    }

    /// A chain's checkpoints, the newest segment's first, or those of the segments before one.
    pub async fn audit_checkpoints(
        &self,
        tenant: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Kept<AuditCheckpoint>>> {
        check_chain_name(tenant)?;
        dispatch!(self, AuditCheckpoints, plain audit_checkpoints(tenant, before, limit))
    }

    /// The names of those that have a chain, in the order of their bytes, after `after`. The host's
    /// own comes first.
    pub async fn audit_tenants(&self, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        dispatch!(self, AuditTenants, plain audit_tenants(after, limit))
    }

    /// Lets the entries of so many segments go, and answers of how many: of those that a checkpoint
    /// covers to the last entry, which happened before `before`. Checkpoints stay, so that what was
    /// taken out before can still be proved.
    ///
    /// On CQL entries leave by their TTL and the answer is 0; what keeps a chain at rest from being
    /// forgotten is done there, for so many chains. So it must be called now and then all the same.
    pub async fn sweep_audit(&self, before: UnixMillis, limit: u32) -> Result<u64> {
        dispatch!(self, SweepAudit, plain sweep_audit(before, limit))
    }
}
