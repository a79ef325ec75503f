//! Following a stored chain from the first entry that is kept to its head.

use holdfast_model::audit::{AuditFault, verify};
use holdfast_model::{AuditEntry, AuditHead};

/// A chain, as far as it has been followed.
pub(crate) struct ChainWalk<'a> {
    tenant: &'a str,
    /// The heads that its checkpoints name.
    signed: &'a [AuditHead],
    at: Option<AuditHead>,
    fault: Option<AuditFault>,
    /// Entries that were met.
    pub(crate) entries: u64,
}

impl<'a> ChainWalk<'a> {
    pub(crate) const fn new(tenant: &'a str, signed: &'a [AuditHead]) -> Self {
        Self {
            tenant,
            signed,
            at: None,
            fault: None,
            entries: 0,
        }
    }

    /// The next entries.
    pub(crate) fn take(&mut self, entries: &[AuditEntry]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        self.entries += entries.len() as u64;
        let before = self.at.unwrap_or_else(|| self.before(first.seq));
        self.at = Some(last.head());
        if self.fault.is_none() {
            self.fault = verify(&before, entries, self.signed).err();
        }
    }

    /// What is amiss with the chain, which is said to end at `head`.
    pub(crate) fn end(self, head: AuditHead) -> Option<String> {
        let tenant = self.tenant;
        let last = self.at.unwrap_or(head);
        let fault = self.fault;
        if let Some(fault) = fault.or_else(|| last.must_reach(self.signed).err()) {
            return Some(format!("the audit chain of {tenant:?}: {fault}"));
        }
        let (last_seq, head_seq) = (last.seq, head.seq);
        (last != head).then(|| {
            format!("the audit chain of {tenant:?} ends at {last_seq}, and its head is {head_seq}")
        })
    }

    /// What the first entry that is kept follows from: what came before may have gone, and then a
    /// checkpoint tells.
    fn before(&self, seq: u64) -> AuditHead {
        let is_before = |head: &&AuditHead| head.seq.checked_add(1) == Some(seq);
        let known = self.signed.iter().find(is_before).copied();
        known.unwrap_or_else(|| AuditHead::start(self.tenant))
    }
}
