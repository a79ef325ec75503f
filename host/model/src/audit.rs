//! The audit chain: who did what, each entry bound by its hash to all before it.
//!
//! There is a chain for each tenant, and one of the host's own under the empty name. An entry's
//! hash covers the hash of the entry before it, so nobody can change, leave out or move an entry
//! without changing every later hash; whoever knows a later one (a signed checkpoint tells it)
//! finds that out. [`verify`](fn@verify) says where. The arithmetic lives here so that the store,
//! the service and a verifier without either share it.
//!
//! Chains are cut into *segments* of equal length. A segment has one checkpoint, which binds its
//! entries by the root of a Merkle tree, and leaves as a whole once it is too old.

mod tree;
mod verify;

pub use tree::AuditTree;
pub use verify::{AuditFault, verify};

use crate::cid::Cid;
use crate::error::Invalid;
use crate::time::UnixMillis;
use sha2::{Digest, Sha256};

/// Entries of a segment: as many rows as lie well in one partition, and a proof of 14 hashes.
pub const AUDIT_SEGMENT_ENTRIES: u64 = 10_000;

/// Bytes of an entry's body: a line with every name in it at its longest fits twice.
pub const AUDIT_BODY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of an action, an outcome, an actor or a resource: a token's subject behind its issuer
/// fits, and so does a CID behind its account.
pub const AUDIT_NAME_BYTES_MAX: usize = 1_024;

/// Bytes of a checkpoint's signature: a signed note with a handful of signatures.
pub const AUDIT_SIGNATURE_BYTES_MAX: usize = 4 * 1024;

/// What sets these hashes apart from all others that are ever made. Another way to make them gets
/// another number.
const ENTRY_DOMAIN: &[u8] = b"holdfast audit entry 1\n";
const CHAIN_DOMAIN: &[u8] = b"holdfast audit chain 1\n";

/// What is to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its name, chosen where it happened. The same event is never entered twice.
    pub id: u128,
    /// When it happened.
    pub at: UnixMillis,
    /// What was tried.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// Who tried it.
    pub actor: String,
    /// On what.
    pub resource: String,
    /// All that is known of it, byte for byte as it was written down first.
    pub body: Vec<u8>,
}

/// An event in its place in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place: 1 for the first, and none is left out.
    pub seq: u64,
    /// The event's name.
    pub id: u128,
    /// When it happened.
    pub at: UnixMillis,
    /// What was tried.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// Who tried it.
    pub actor: String,
    /// On what.
    pub resource: String,
    /// All that is known of it, byte for byte as it was written down first.
    pub body: Vec<u8>,
    /// SHA-256 over a word of our own, the hash of the entry before, and every field above:
    /// numbers big-endian, texts and bytes behind their length.
    pub hash: [u8; 32],
}

/// How far a chain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Its last entry; 0 if there is none yet.
    pub seq: u64,
    /// That entry's hash.
    pub hash: [u8; 32],
}

/// What was signed of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// Which segment, from 0.
    pub segment: u64,
    /// When the first of its entries happened.
    pub first_at: UnixMillis,
    /// When the last entry happened that it covers.
    pub last_at: UnixMillis,
    /// The last entry that it covers: the segment's last, unless the segment still grows.
    pub last_seq: u64,
    /// That entry's hash.
    pub last_hash: [u8; 32],
    /// The root of the tree of the hashes of the segment's entries, up to the last that it covers.
    pub root: [u8; 32],
    /// The signed note.
    pub signature: Vec<u8>,
    /// Where it is pinned, if it is.
    pub anchor: Option<Cid>,
}

/// The segment that an entry lies in. There is no entry 0; it counts to the first.
#[must_use]
pub const fn segment_of(seq: u64) -> u64 {
    seq.saturating_sub(1) / AUDIT_SEGMENT_ENTRIES
}

/// The last entry of a segment.
#[must_use]
pub const fn last_seq_of(segment: u64) -> u64 {
    segment
        .saturating_add(1)
        .saturating_mul(AUDIT_SEGMENT_ENTRIES)
}

impl AuditHead {
    /// Where the chain of a tenant begins. The name is in the hash, so that no chain can be passed
    /// off as another tenant's.
    #[must_use]
    pub fn start(tenant: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(CHAIN_DOMAIN)
            .chain_update(tenant)
            .finalize();
        Self {
            seq: 0,
            hash: hash.into(),
        }
    }
}

impl AuditEntry {
    /// The entry of an event behind a head.
    ///
    /// # Errors
    /// An event that is too large, or the end of all numbers.
    pub fn follow(head: &AuditHead, event: AuditEvent) -> Result<Self, Invalid> {
        let seq = head.seq.checked_add(1);
        let seq = seq.ok_or_else(|| Invalid::new("seq", "is the last number there is"))?;
        let mut entry = Self {
            seq,
            id: event.id,
            at: event.at,
            action: event.action,
            outcome: event.outcome,
            actor: event.actor,
            resource: event.resource,
            body: event.body,
            hash: [0; 32],
        };
        entry.check_sizes()?;
        entry.hash = entry.hash_after(head);
        Ok(entry)
    }

    /// Whether it is the very entry that follows a head: by its place and its hash.
    #[must_use]
    pub fn is_after(&self, head: &AuditHead) -> bool {
        head.seq.checked_add(1) == Some(self.seq) && self.hash_after(head) == self.hash
    }

    /// The chain's head once this entry is its last.
    #[must_use]
    pub const fn head(&self) -> AuditHead {
        AuditHead {
            seq: self.seq,
            hash: self.hash,
        }
    }

    /// Bytes of its texts and its body.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.action.len()
            + self.outcome.len()
            + self.actor.len()
            + self.resource.len()
            + self.body.len()
    }

    /// Whether every field is as short as it must be.
    ///
    /// # Errors
    /// The one that is not.
    pub fn check_sizes(&self) -> Result<(), Invalid> {
        let names = [
            ("action", &self.action),
            ("outcome", &self.outcome),
            ("actor", &self.actor),
            ("resource", &self.resource),
        ];
        let names = names.map(|(field, name)| (field, name.len(), AUDIT_NAME_BYTES_MAX));
        let body = ("body", self.body.len(), AUDIT_BODY_BYTES_MAX);
        for (field, has, may) in names.into_iter().chain([body]) {
            if has > may {
                let why = format!("of an audit entry has {has} bytes, and may have {may}");
                return Err(Invalid::new(field, why));
            }
        }
        Ok(())
    }

    fn hash_after(&self, head: &AuditHead) -> [u8; 32] {
        let mut hash = Sha256::new()
            .chain_update(ENTRY_DOMAIN)
            .chain_update(head.hash)
            .chain_update(self.seq.to_be_bytes())
            .chain_update(self.id.to_be_bytes())
            .chain_update(self.at.as_millis().to_be_bytes());
        let texts = [&self.action, &self.outcome, &self.actor, &self.resource];
        let texts = texts.map(String::as_bytes);
        for field in texts.into_iter().chain([self.body.as_slice()]) {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into()
    }
}

impl AuditCheckpoint {
    /// The head that it vouches for. Verification can begin there when older entries have gone.
    #[must_use]
    pub const fn head(&self) -> AuditHead {
        AuditHead {
            seq: self.last_seq,
            hash: self.last_hash,
        }
    }

    /// Whether it covers its whole segment, which then never changes again.
    #[must_use]
    pub const fn is_of_all(&self) -> bool {
        self.last_seq == last_seq_of(self.segment)
    }

    /// Whether it can be one of its segment at all.
    ///
    /// # Errors
    /// What contradicts that.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.last_seq == 0 || segment_of(self.last_seq) != self.segment {
            let why = format!(
                "{} does not lie in segment {}, which ends at {}",
                self.last_seq,
                self.segment,
                last_seq_of(self.segment)
            );
            return Err(Invalid::new("last_seq", why));
        }
        if self.signature.len() > AUDIT_SIGNATURE_BYTES_MAX {
            let why = format!(
                "has {} bytes, and may have {AUDIT_SIGNATURE_BYTES_MAX}",
                self.signature.len()
            );
            return Err(Invalid::new("signature", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &[u8]) -> AuditEvent {
        AuditEvent {
            id: 0x0192_0000_0000_7000_8000_0000_0000_0001,
            at: UnixMillis::new(1_700_000_000_007),
            action: "pin.create".into(),
            outcome: "allow".into(),
            actor: "key:abc".into(),
            resource: "acme/web".into(),
            body: body.into(),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Worked out by another program (Python's `hashlib`) over the bytes as they are described.
    #[test]
    fn hashes_are_fixed_for_ever() {
        let start = AuditHead::start("acme");
        assert_eq!(hex(&start.hash), START);
        assert_ne!(start.hash, AuditHead::start("").hash);
        let first = AuditEntry::follow(&start, event(b"{}")).unwrap();
        assert_eq!(hex(&first.hash), FIRST);
        let second = AuditEntry::follow(&first.head(), event(b"")).unwrap();
        assert_eq!((second.seq, hex(&second.hash).as_str()), (2, SECOND));
    }

    const START: &str = "782295ec9d52cdd3c0fd029bb82085db91fa5b1aaa75fcc58a7645e7ce76938f";
    const FIRST: &str = "5c94005e362e98e20b19efdf9e924115165fe662216ab0e911159f9c0907c7bf";
    const SECOND: &str = "1f49151c3ab2bcfdb74f2ff7f88e603a0bf1aa46c402a41380604c8ca8e0503c";

    #[test]
    fn segments_are_of_equal_length() {
        assert_eq!((segment_of(1), last_seq_of(0)), (0, 10_000));
        assert_eq!((segment_of(10_000), segment_of(10_001)), (0, 1));
        assert_eq!(segment_of(last_seq_of(7)), 7);
    }

    #[test]
    fn what_is_too_large_is_no_entry() {
        let start = AuditHead::start("");
        let fits = event(&[b'x'; AUDIT_BODY_BYTES_MAX]);
        assert!(AuditEntry::follow(&start, fits).is_ok());
        let large = event(&[b'x'; AUDIT_BODY_BYTES_MAX + 1]);
        let refused = AuditEntry::follow(&start, large).unwrap_err();
        assert_eq!(refused.what, "body");
        let long = AuditEvent {
            actor: "x".repeat(AUDIT_NAME_BYTES_MAX + 1),
            ..event(b"")
        };
        assert_eq!(AuditEntry::follow(&start, long).unwrap_err().what, "actor");
    }

    #[test]
    fn a_checkpoint_lies_in_its_segment() {
        let mut checkpoint = AuditCheckpoint {
            segment: 1,
            first_at: UnixMillis::EPOCH,
            last_at: UnixMillis::EPOCH,
            last_seq: 10_001,
            last_hash: [1; 32],
            root: [2; 32],
            signature: Vec::new(),
            anchor: None,
        };
        assert!(checkpoint.check().is_ok() && !checkpoint.is_of_all());
        checkpoint.last_seq = 20_000;
        assert!(checkpoint.check().is_ok() && checkpoint.is_of_all());
        for outside in [0, 10_000, 20_001] {
            checkpoint.last_seq = outside;
            assert!(checkpoint.check().is_err(), "{outside}");
        }
    }
}
