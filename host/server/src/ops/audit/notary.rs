//! Who signs checkpoints, and what is signed: a note of a segment's tree, as transparency logs
//! write it (C2SP `tlog-checkpoint` within `signed-note`).
//!
//! ```text
//! holdfast/audit/acme/0            which log: the chain and its segment
//! 1234                             entries of the segment so far
//! <base64>                         root of the tree of their hashes (RFC 6962)
//! seq 1234                         the last of them
//! head <hex>                       its hash, which everything before is bound by
//! time 2026-11-21T13:00:00Z        when it happened
//!
//! — holdfast.<key id> <base64>     ed25519, with the key's hash before it
//! ```

use super::carried::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_model::audit::{
    AUDIT_SEGMENT_ENTRIES, AuditCheckpoint, AuditEntry, AuditHead, AuditTree, last_seq_of,
    segment_of, verify,
};
use holdfast_model::{Cid, ErrorKind, UnixMillis};
use holdfast_runtime::{PublicKey, SigningKey};
use holdfast_store::{Expect, Kept, Store, StoreError};
use sha2::{Digest, Sha256};

/// Entries that are read at once.
const PAGE_ENTRIES: u32 = 1_000;

/// How the host's own chain is named where a tenant's name would stand.
pub const HOST_CHAIN: &str = "@host";

/// What an ed25519 key is called in a signed note.
const ED25519: u8 = 1;

/// Bytes of a key's hash that stand before a signature.
const KEY_HASH_BYTES: usize = 4;

/// Who signs.
#[derive(Debug)]
pub struct Notary {
    key: SigningKey,
}

/// Why a chain was not signed.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the store is not what was written.
    #[error("it is not signed, for it is broken: {0}; run `holdfast audit verify`")]
    Broken(String),
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The chain: a tenant, or nothing for the host's own.
    pub tenant: String,
    /// The segment.
    pub segment: u64,
    /// The root of the segment's tree.
    pub root: [u8; 32],
    /// The last entry and its hash.
    pub head: AuditHead,
    /// The id of the key that it names.
    pub key_id: String,
    text: String,
    signature: Vec<u8>,
}

impl Notary {
    /// Signs by a key.
    #[must_use]
    pub const fn new(key: SigningKey) -> Self {
        Self { key }
    }

    /// What its signatures are checked with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn sign(&self, text: &str) -> String {
        let public = self.key.public();
        let name = key_name(&public);
        let mut signature = key_hash(&name, &public).to_vec();
        signature.extend(self.key.sign_note(text));
        format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
    }
}

impl Note {
    /// Takes a note apart. Whether the signature is good, [`Self::is_by`] says.
    #[must_use]
    pub fn parse(note: &str) -> Option<Self> {
        let (body, signatures) = note.split_once("\n\n")?;
        let text = format!("{body}\n");
        let mut lines = body.lines();
        let origin = lines.next()?.strip_prefix("holdfast/audit/")?;
        let (chain, segment) = origin.rsplit_once('/')?;
        let size: u64 = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?;
        let seq: u64 = lines.next()?.strip_prefix("seq ")?.parse().ok()?;
        let hash = lines.next()?.strip_prefix("head ")?;
        let segment: u64 = segment.parse().ok()?;
        let first = segment.checked_mul(AUDIT_SEGMENT_ENTRIES)?;
        if first.checked_add(size)? != seq || size > AUDIT_SEGMENT_ENTRIES {
            return None;
        }
        let signature = signatures.lines().next()?.strip_prefix("\u{2014} ")?;
        let (name, signature) = signature.split_once(' ')?;
        Some(Self {
            tenant: match chain {
                HOST_CHAIN => String::new(),
                tenant => tenant.to_owned(),
            },
            segment,
            root: root.try_into().ok()?,
            head: AuditHead {
                seq,
                hash: from_hex(hash)?,
            },
            key_id: name.strip_prefix("holdfast.")?.to_owned(),
            text,
            signature: STANDARD.decode(signature).ok()?,
        })
    }

    /// Whether a key has signed it.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey) -> bool {
        let hash = key_hash(&key_name(key), key);
        let signature = self.signature.strip_prefix(&hash);
        signature.is_some_and(|signature| key.has_signed_note(&self.text, signature))
    }
}

/// The name of a chain where one must be written.
#[must_use]
pub fn chain_name(tenant: &str) -> &str {
    match tenant {
        "" => HOST_CHAIN,
        tenant => tenant,
    }
}

fn key_name(key: &PublicKey) -> String {
    format!("holdfast.{}", key.id())
}

fn key_hash(name: &str, key: &PublicKey) -> [u8; KEY_HASH_BYTES] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    let mut short = [0; KEY_HASH_BYTES];
    for (to, from) in short.iter_mut().zip(hash) {
        *to = from;
    }
    short
}

/// Bytes from hex digits, exactly as many as there must be.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Signs what of a chain is not signed yet, segment by segment. Says how many checkpoints it made.
///
/// # Errors
/// The store fails, or the chain is not what was written: such a one gets no signature.
pub async fn sign_chain(store: &Store, notary: &Notary, tenant: &str) -> Result<u64, NotaryError> {
    let head = store.audit_head(tenant).await?;
    let mut made = 0;
    if head.seq == 0 {
        return Ok(made);
    }
    let newest = store.audit_checkpoints(tenant, None, 1).await?;
    let first = match newest.first() {
        Some(newest) if newest.value.last_seq >= head.seq => return Ok(made),
        Some(newest) if newest.value.is_of_all() => newest.value.segment + 1,
        Some(newest) => newest.value.segment,
        None => 0,
    };
    for segment in first..=segment_of(head.seq) {
        made += u64::from(sign_segment(store, notary, tenant, segment).await?);
    }
    Ok(made)
}

/// Signs a segment as it is now. Says whether it did: there may be nothing in it, or somebody else
/// just has.
async fn sign_segment(
    store: &Store,
    notary: &Notary,
    tenant: &str,
    segment: u64,
) -> Result<bool, NotaryError> {
    let found = store
        .audit_checkpoints(tenant, Some(segment + 1), 2)
        .await?;
    let kept = found.iter().find(|kept| kept.value.segment == segment);
    let before = found.iter().find(|kept| kept.value.segment + 1 == segment);
    let before = before.map(|before| &before.value);
    let start = begin(store, tenant, segment, before).await?;
    let broken = |fault: &dyn std::fmt::Display| NotaryError::Broken(fault.to_string());
    let (mut head, mut tree) = (start, AuditTree::default());
    let (mut first_at, mut last_at) = (None, UnixMillis::EPOCH);
    let known: Vec<AuditHead> = kept.iter().map(|kept| kept.value.head()).collect();
    while head.seq < last_seq_of(segment) {
        let page = store
            .audit_entries(tenant, head.seq + 1, PAGE_ENTRIES)
            .await?;
        let of_segment = |entry: &AuditEntry| segment_of(entry.seq) == segment;
        let page: Vec<AuditEntry> = page.into_iter().take_while(of_segment).collect();
        let Some(last) = page.last() else { break };
        (first_at, last_at) = (first_at.or(page.first().map(|first| first.at)), last.at);
        head = verify(&head, &page, &known).map_err(|fault| broken(&fault))?;
        page.iter().for_each(|entry| tree.push(&entry.hash));
    }
    head.must_reach(&known).map_err(|fault| broken(&fault))?;
    let Some(first_at) = first_at else {
        return Ok(false);
    };
    let mut checkpoint = AuditCheckpoint {
        segment,
        first_at,
        last_at,
        last_seq: head.seq,
        last_hash: head.hash,
        root: tree.root(),
        signature: Vec::new(),
        anchor: None,
    };
    checkpoint.signature = notary.sign(&text(tenant, &checkpoint)).into_bytes();
    let expect = kept.map_or(Expect::Absent, |kept| Expect::Version(kept.version));
    match store
        .put_audit_checkpoint(tenant, &checkpoint, expect)
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Keeps where a checkpoint's note is pinned.
///
/// # Errors
/// The store fails, or there is a newer checkpoint of the segment by now.
pub async fn anchor_checkpoint(
    store: &Store,
    tenant: &str,
    checkpoint: Kept<AuditCheckpoint>,
    cid: Cid,
) -> Result<AuditCheckpoint, StoreError> {
    let Kept { mut value, version } = checkpoint;
    value.anchor = Some(cid);
    let expect = Expect::Version(version);
    store.put_audit_checkpoint(tenant, &value, expect).await?;
    Ok(value)
}

/// Where a segment begins: behind the one before it.
async fn begin(
    store: &Store,
    tenant: &str,
    segment: u64,
    before: Option<&AuditCheckpoint>,
) -> Result<AuditHead, NotaryError> {
    if segment == 0 {
        return Ok(AuditHead::start(tenant));
    }
    if let Some(before) = before.filter(|before| before.is_of_all()) {
        return Ok(before.head());
    }
    let last = last_seq_of(segment - 1);
    let found = store.audit_entries(tenant, last, 1).await?;
    let found = found.first().filter(|entry| entry.seq == last);
    found
        .map(AuditEntry::head)
        .ok_or_else(|| NotaryError::Broken(format!("entry {last} is missing")))
}

fn text(tenant: &str, checkpoint: &AuditCheckpoint) -> String {
    let AuditCheckpoint {
        segment,
        last_seq,
        last_at,
        ..
    } = checkpoint;
    format!(
        "holdfast/audit/{}/{segment}\n{}\n{}\nseq {last_seq}\nhead {}\ntime {last_at}\n",
        chain_name(tenant),
        last_seq - segment * AUDIT_SEGMENT_ENTRIES,
        STANDARD.encode(checkpoint.root),
        hex(&checkpoint.last_hash),
    )
}
