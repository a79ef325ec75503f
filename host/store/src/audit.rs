//! What every backend asks of the audit chain before it takes anything.

mod walk;

pub(crate) use walk::ChainWalk;

use crate::Result;
use crate::error::StoreError;
use holdfast_model::audit::{segment_of, verify};
use holdfast_model::{AuditCheckpoint, AuditEntry, AuditHead, Invalid, TenantId};

/// Entries of one append: a conditional batch of some 300 kB on CQL, one commit on disk.
pub const AUDIT_APPEND_ENTRIES_MAX: usize = 1_000;

/// Bytes of the texts and bodies of one append: servers refuse batches of some megabytes, and keep
/// what is proposed to them twice.
pub const AUDIT_APPEND_BYTES_MAX: usize = 1024 * 1024;

/// Name of a chain in errors.
pub(crate) const AUDIT_CHAIN: &str = "audit chain";

/// Name of a checkpoint in errors.
pub(crate) const AUDIT_CHECKPOINT: &str = "audit checkpoint";

/// Refuses what is neither a tenant's name nor the empty one of the host's own chain.
pub(crate) fn check_chain_name(tenant: &str) -> Result<()> {
    if !tenant.is_empty() {
        TenantId::parse(tenant)?;
    }
    Ok(())
}

/// Refuses an append that no chain could take, wherever it stands; answers its last entry's head.
pub(crate) fn check_append(after: &AuditHead, entries: &[AuditEntry]) -> Result<AuditHead> {
    let refused = |why: String| StoreError::from(Invalid::new("entries", why));
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return Err(refused("of an append to the audit chain are none".into()));
    };
    let bytes: usize = entries.iter().map(AuditEntry::bytes).sum();
    if entries.len() > AUDIT_APPEND_ENTRIES_MAX || bytes > AUDIT_APPEND_BYTES_MAX {
        return Err(refused(format!(
            "of one append are {} with {bytes} bytes, and may be {AUDIT_APPEND_ENTRIES_MAX} with \
             {AUDIT_APPEND_BYTES_MAX}; append them in parts",
            entries.len()
        )));
    }
    if segment_of(first.seq) != segment_of(last.seq) {
        return Err(refused(format!(
            "{} to {} lie in two segments; append what is of each by itself",
            first.seq, last.seq
        )));
    }
    for entry in entries {
        entry.check_sizes()?;
    }
    let head = verify(after, entries, &[]);
    head.map_err(|fault| {
        refused(format!(
            "do not follow from the head they are put after: {fault}"
        ))
    })
}

pub(crate) fn check_checkpoint(checkpoint: &AuditCheckpoint) -> Result<()> {
    Ok(checkpoint.check()?)
}
