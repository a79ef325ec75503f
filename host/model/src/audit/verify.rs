//! Whether a run of entries is what was written, and where it first is not.

use super::{AuditEntry, AuditHead};

/// Where a chain first is not what was written, and how. Each is named by the number of the entry
/// that should stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// The entry is there and does not follow from the one before it.
    #[error("entry {seq} has been edited, or the one before it has: its hash does not follow")]
    Edited {
        /// Its place.
        seq: u64,
    },
    /// The entry is not there, and later ones are.
    #[error("entry {seq} is missing: entry {found} comes next")]
    Missing {
        /// Its place.
        seq: u64,
        /// What stands there.
        found: u64,
    },
    /// Another entry stands in the entry's place, and it elsewhere.
    #[error("entry {seq} is out of order: entry {found} stands in its place")]
    OutOfOrder {
        /// Its place.
        seq: u64,
        /// What stands there.
        found: u64,
    },
    /// The chain follows from itself, but it is another one than was signed.
    #[error("entry {seq} is not the one that was signed: it, or some before it, was made anew")]
    Replaced {
        /// Its place.
        seq: u64,
    },
    /// The chain ends before an entry that was signed.
    #[error("the chain has been cut off before entry {seq}: entry {known} was signed")]
    Truncated {
        /// The place of the first that is not there.
        seq: u64,
        /// The last that is known to have been there.
        known: u64,
    },
}

impl AuditFault {
    /// The first entry that is not as it was written.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Edited { seq }
            | Self::Missing { seq, .. }
            | Self::OutOfOrder { seq, .. }
            | Self::Replaced { seq }
            | Self::Truncated { seq, .. } => *seq,
        }
    }
}

/// Follows a run of entries from a head, and answers the head that they lead to. `known` are heads
/// that somebody vouches for; where the run passes one, it must be the same. A long chain is
/// followed run by run; what is out of order is told from what is missing within one run.
///
/// # Errors
/// The first fault.
pub fn verify(
    after: &AuditHead,
    entries: &[AuditEntry],
    known: &[AuditHead],
) -> Result<AuditHead, AuditFault> {
    let mut head = *after;
    head.must_agree(known)?;
    for entry in entries {
        let (seq, found) = (head.seq.saturating_add(1), entry.seq);
        if found != seq {
            let is_elsewhere = found < seq || entries.iter().any(|other| other.seq == seq);
            return Err(match is_elsewhere {
                true => AuditFault::OutOfOrder { seq, found },
                false => AuditFault::Missing { seq, found },
            });
        }
        if !entry.is_after(&head) {
            return Err(AuditFault::Edited { seq });
        }
        head = entry.head();
        head.must_agree(known)?;
    }
    Ok(head)
}

impl AuditHead {
    /// Whether a chain that ends here has all that somebody vouches for: the last question after
    /// [`verify`].
    ///
    /// # Errors
    /// That it was cut off.
    pub fn must_reach(&self, known: &[Self]) -> Result<(), AuditFault> {
        match known.iter().map(|known| known.seq).max() {
            Some(known) if known > self.seq => Err(AuditFault::Truncated {
                seq: self.seq.saturating_add(1),
                known,
            }),
            _ => Ok(()),
        }
    }

    fn must_agree(&self, known: &[Self]) -> Result<(), AuditFault> {
        let is_other = |known: &Self| known.seq == self.seq && known.hash != self.hash;
        match known.iter().any(is_other) {
            true => Err(AuditFault::Replaced { seq: self.seq }),
            false => Ok(()),
        }
    }
}
