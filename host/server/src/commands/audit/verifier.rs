//! The verifier: works out every hash again, and compares with whatever was signed.

use crate::ops::audit::{Note, chain_name};
use holdfast_model::audit::{
    AUDIT_SEGMENT_ENTRIES, AuditEntry, AuditHead, AuditTree, segment_of, verify,
};
use holdfast_runtime::PublicKey;
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries that are followed at once: within so many, one that is out of order is told from one
/// that is missing.
const RUN_ENTRIES: usize = 1_000;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// The chain.
    pub(super) tenant: String,
    /// The first entry that is not as it was.
    pub(super) seq: u64,
    pub(super) why: String,
}

/// What was found of a chain.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    pub(super) tenant: String,
    /// The first entry that was looked at.
    pub(super) first: u64,
    pub(super) entries: u64,
    /// The last entry that is good, and its hash.
    pub(super) seq: u64,
    hash: String,
    /// Checkpoints that it was compared with.
    pub(super) checkpoints: usize,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    pub(super) chains: Vec<Verified>,
    pub(super) faults: Vec<Fault>,
    /// Whether signatures were checked: only who names keys knows whose they are.
    pub(super) signatures_checked: bool,
}

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    keys: Vec<PublicKey>,
    /// Whether a chain may begin behind its beginning: a part of it was exported.
    is_part: bool,
    chains: BTreeMap<String, Chain>,
    faults: Vec<Fault>,
}

#[derive(Debug, Default)]
struct Chain {
    notes: Vec<Note>,
    /// Where the last run ended; nothing before the first.
    head: Option<AuditHead>,
    first: u64,
    entries: u64,
    run: Vec<AuditEntry>,
    tree: AuditTree,
    /// Nothing behind a fault is looked at: everything there depends on it.
    is_broken: bool,
}

impl Verifier {
    /// With whose signatures are good (nobody's are looked at if none is named), and whether a
    /// chain's beginning may be missing.
    pub(super) fn new(keys: Vec<PublicKey>, is_part: bool) -> Self {
        Self {
            keys,
            is_part,
            ..Self::default()
        }
    }

    /// Whoever is asked about has a chain, if only an empty one.
    pub(super) fn expect(&mut self, tenant: &str) {
        self.chains.entry(tenant.to_owned()).or_default();
    }

    /// Takes a checkpoint's note: of the chain that it stands beside, if it stands beside one.
    pub(super) fn note(&mut self, beside: Option<&str>, text: &str) {
        let fault = |tenant: &str, seq, why: &str| Fault {
            tenant: chain_name(tenant).to_owned(),
            seq,
            why: why.to_owned(),
        };
        let Some(note) = Note::parse(text) else {
            let why = "a checkpoint is no signed note, or was edited";
            self.faults.push(fault(beside.unwrap_or_default(), 0, why));
            return;
        };
        let seq = note.head.seq;
        if beside.is_some_and(|beside| beside != note.tenant) {
            let why = "a checkpoint is of another chain";
            self.faults
                .push(fault(beside.unwrap_or_default(), seq, why));
        } else if !self.keys.is_empty() && !self.keys.iter().any(|key| note.is_by(key)) {
            let why = format!(
                "the checkpoint of segment {} is not signed by a key that was named (it names {})",
                note.segment, note.key_id
            );
            self.faults.push(fault(&note.tenant, seq, &why));
        } else {
            let chain = self.chains.entry(note.tenant.clone()).or_default();
            chain.notes.push(note);
        }
    }

    /// Takes the next entry of a chain.
    pub(super) fn entry(&mut self, tenant: &str, entry: AuditEntry) {
        let is_part = self.is_part;
        let chain = self.chains.entry(tenant.to_owned()).or_default();
        chain.run.push(entry);
        if chain.run.len() >= RUN_ENTRIES
            && let Err(fault) = chain.follow(tenant, is_part)
        {
            self.faults.push(fault);
        }
    }

    /// All has been taken.
    pub(super) fn finish(mut self) -> Report {
        let mut verified = Vec::new();
        for (tenant, mut chain) in self.chains {
            let followed = chain.follow(&tenant, self.is_part);
            let ended = followed.and_then(|()| chain.end(&tenant));
            self.faults.extend(ended.err());
            let head = chain.head.unwrap_or_else(|| AuditHead::start(&tenant));
            verified.push(Verified {
                tenant: chain_name(&tenant).to_owned(),
                first: chain.first,
                entries: chain.entries,
                seq: head.seq,
                hash: crate::ops::audit::hex(&head.hash),
                checkpoints: chain.notes.len(),
            });
        }
        Report {
            ok: self.faults.is_empty(),
            chains: verified,
            faults: self.faults,
            signatures_checked: !self.keys.is_empty(),
        }
    }
}

impl Chain {
    /// Follows the entries that have gathered.
    fn follow(&mut self, tenant: &str, is_part: bool) -> Result<(), Fault> {
        let run = std::mem::take(&mut self.run);
        let Some(first) = run.first().filter(|_| !self.is_broken) else {
            return Ok(());
        };
        // Where a part begins there is nothing that its first entry could be compared with.
        let is_trusted = self.head.is_none() && is_part && first.seq > 1;
        let (start, rest) = match (self.head, self.noted(first.seq - 1)) {
            (Some(head), _) | (None, Some(head)) => (head, run.as_slice()),
            (None, None) if is_trusted => (first.head(), run.get(1..).unwrap_or_default()),
            (None, None) => (AuditHead::start(tenant), run.as_slice()),
        };
        if self.head.is_none() {
            self.first = first.seq;
        }
        let known: Vec<AuditHead> = self.notes.iter().map(|note| note.head).collect();
        let reached = verify(&start, rest, &known);
        let reached = reached.map_err(|fault| self.broken(tenant, fault.seq(), &fault))?;
        self.head = Some(reached);
        self.entries += u64::try_from(run.len()).unwrap_or(u64::MAX);
        run.iter().try_for_each(|entry| self.grow(tenant, entry))
    }

    /// What was signed of the chain up to an entry.
    fn noted(&self, seq: u64) -> Option<AuditHead> {
        let mut heads = self.notes.iter().map(|note| note.head);
        heads.find(|head| head.seq == seq)
    }

    /// Adds an entry to its segment's tree, and compares the root where one was signed.
    fn grow(&mut self, tenant: &str, entry: &AuditEntry) -> Result<(), Fault> {
        let before = (entry.seq - 1) % AUDIT_SEGMENT_ENTRIES;
        if before == 0 {
            self.tree = AuditTree::default();
        }
        // A segment whose beginning is not there has no root that could be compared.
        if self.tree.leaves() != before {
            return Ok(());
        }
        self.tree.push(&entry.hash);
        let root = self.tree.root();
        let mut signed = self.notes.iter().filter(|note| note.head.seq == entry.seq);
        match signed.all(|note| note.root == root && note.segment == segment_of(entry.seq)) {
            true => Ok(()),
            false => {
                let why = "the root of the segment's tree is not the one that was signed";
                Err(self.broken(tenant, entry.seq, &why))
            }
        }
    }

    /// Whether all is there that was signed.
    fn end(&mut self, tenant: &str) -> Result<(), Fault> {
        if self.is_broken {
            return Ok(());
        }
        let known: Vec<AuditHead> = self.notes.iter().map(|note| note.head).collect();
        let head = self.head.unwrap_or_else(|| AuditHead::start(tenant));
        let reached = head.must_reach(&known);
        reached.map_err(|fault| self.broken(tenant, fault.seq(), &fault))
    }

    fn broken(&mut self, tenant: &str, seq: u64, why: &dyn std::fmt::Display) -> Fault {
        self.is_broken = true;
        Fault {
            tenant: chain_name(tenant).to_owned(),
            seq,
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::UnixMillis;
    use holdfast_model::audit::AuditEvent;

    fn chain(count: u64) -> Vec<AuditEntry> {
        let mut head = AuditHead::start("acme");
        let follow = |id| {
            let event = AuditEvent {
                id: u128::from(id),
                at: UnixMillis::new(id),
                action: "createKey".into(),
                outcome: "allow".into(),
                actor: "key:a".into(),
                resource: "account:acme/web".into(),
                body: b"{}".to_vec(),
            };
            let entry = AuditEntry::follow(&head, event).unwrap();
            head = entry.head();
            entry
        };
        (1..=count).map(follow).collect()
    }

    fn verified(entries: Vec<AuditEntry>, is_part: bool) -> Report {
        let mut verifier = Verifier::new(Vec::new(), is_part);
        entries
            .into_iter()
            .for_each(|entry| verifier.entry("acme", entry));
        verifier.finish()
    }

    fn fault(entries: Vec<AuditEntry>) -> (u64, String) {
        let report = verified(entries, false);
        assert!(!report.ok);
        let fault = report.faults.first().unwrap();
        assert_eq!(fault.tenant, "acme");
        (fault.seq, fault.why.clone())
    }

    #[test]
    fn what_was_done_to_a_chain_is_told_with_its_place() {
        let whole = chain(2_500);
        let good = verified(whole.clone(), false);
        assert!(good.ok, "{good:?}");
        assert_eq!((good.chains[0].entries, good.chains[0].seq), (2_500, 2_500));
        let mut edited = whole.clone();
        edited[1_700].outcome = "deny".into();
        assert_eq!(fault(edited).0, 1_701);
        let mut gap = whole.clone();
        gap.remove(1_200);
        let (seq, why) = fault(gap);
        assert!(seq == 1_201 && why.contains("missing"), "{seq} {why}");
        let mut moved = whole.clone();
        moved.swap(1_500, 1_600);
        let (seq, why) = fault(moved);
        assert!(seq == 1_501 && why.contains("out of order"), "{seq} {why}");
        let behind = whole[100..].to_vec();
        assert_eq!(fault(behind.clone()).0, 1);
        let part = verified(behind, true);
        assert!(part.ok && part.chains[0].first == 101, "{part:?}");
    }
}
