//! Whatever is done to a chain, the verifier finds it and says where.

use holdfast_model::UnixMillis;
use holdfast_model::audit::{AuditEntry, AuditEvent, AuditFault, AuditHead, verify};
use proptest::prelude::*;

/// Entries of a chain.
const ENTRIES_MAX: usize = 24;

fn start() -> AuditHead {
    AuditHead::start("acme")
}

fn event() -> impl Strategy<Value = AuditEvent> {
    let name = || "[a-z:/é]{0,6}";
    let fixed = (any::<u128>(), 0..9_000_000_000_000_u64);
    let names = (name(), name(), name(), name());
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    (fixed, names, body).prop_map(|((id, at), names, body)| AuditEvent {
        id,
        at: UnixMillis::new(at),
        action: names.0,
        outcome: names.1,
        actor: names.2,
        resource: names.3,
        body,
    })
}

fn chain_of(events: Vec<AuditEvent>, start: AuditHead) -> Vec<AuditEntry> {
    let mut head = start;
    let follow = |event| {
        let entry = AuditEntry::follow(&head, event).unwrap();
        head = entry.head();
        entry
    };
    events.into_iter().map(follow).collect()
}

fn chain() -> impl Strategy<Value = Vec<AuditEntry>> {
    proptest::collection::vec(event(), 2..ENTRIES_MAX).prop_map(|events| chain_of(events, start()))
}

fn event_of(entry: &AuditEntry) -> AuditEvent {
    AuditEvent {
        id: entry.id,
        at: entry.at,
        action: entry.action.clone(),
        outcome: entry.outcome.clone(),
        actor: entry.actor.clone(),
        resource: entry.resource.clone(),
        body: entry.body.clone(),
    }
}

/// Changes one bit, or the border between two fields.
fn edit(entry: &mut AuditEntry, field: usize, bit: u32) {
    let flip = |text: &mut String| match text.pop() {
        Some(last) => text.push(if last == 'q' { 'r' } else { 'q' }),
        None => text.push('q'),
    };
    match field {
        0 => entry.id ^= 1 << bit,
        1 => entry.at = UnixMillis::new(entry.at.as_millis() ^ (1 << (bit % 40))),
        2 => flip(&mut entry.action),
        3 => flip(&mut entry.outcome),
        4 => flip(&mut entry.actor),
        5 => flip(&mut entry.resource),
        6 => match entry.body.last_mut() {
            Some(last) => *last ^= 1 << (bit % 8),
            None => entry.body.push(0),
        },
        7 => entry.hash[bit as usize % 32] ^= 1 << (bit % 8),
        // Bytes pass from one field to the next: together they are the same.
        _ => match entry.action.pop() {
            Some(last) => entry.outcome.insert(0, last),
            None => flip(&mut entry.action),
        },
    }
}

/// Follows it all, against the head that was signed.
fn fault(entries: &[AuditEntry], signed: AuditHead) -> Option<AuditFault> {
    let end = verify(&start(), entries, &[signed]);
    end.and_then(|end| end.must_reach(&[signed])).err()
}

/// The same, run by run.
fn fault_in_runs(entries: &[AuditEntry], signed: AuditHead, run: usize) -> Option<AuditFault> {
    let mut head = start();
    for entries in entries.chunks(run) {
        match verify(&head, entries, &[signed]) {
            Ok(end) => head = end,
            Err(fault) => return Some(fault),
        }
    }
    head.must_reach(&[signed]).err()
}

proptest! {
    #[test]
    fn what_was_written_is_whole(chain in chain(), run in 1..30_usize) {
        let signed = chain.last().unwrap().head();
        prop_assert_eq!(fault(&chain, signed), None);
        prop_assert_eq!(fault_in_runs(&chain, signed, run), None);
        // From any of its entries on as well.
        let (before, after) = chain.split_at(run.min(chain.len()));
        let head = before.last().unwrap().head();
        prop_assert_eq!(verify(&head, after, &[signed]), Ok(signed));
        // As another tenant's it is nothing.
        let other = verify(&AuditHead::start("acme2"), &chain, &[]);
        prop_assert_eq!(other, Err(AuditFault::Edited { seq: 1 }));
    }

    #[test]
    fn an_edit_is_found(chain in chain(), at in any::<prop::sample::Index>(), field in 0..9_usize,
        bit in 0..128_u32, run in 1..30_usize)
    {
        let signed = chain.last().unwrap().head();
        let mut edited = chain;
        let entry = at.get_mut(&mut edited);
        let seq = entry.seq;
        edit(entry, field, bit);
        prop_assert_eq!(fault(&edited, signed), Some(AuditFault::Edited { seq }));
        prop_assert_eq!(fault_in_runs(&edited, signed, run), Some(AuditFault::Edited { seq }));
    }

    /// Who makes the hash anew is found at the next entry; who makes all of them anew, by what was
    /// signed.
    #[test]
    fn hashes_made_anew_are_found(chain in chain(), at in any::<prop::sample::Index>()) {
        let signed = chain.last().unwrap().head();
        let at = at.index(chain.len());
        let mut forged = chain.clone();
        forged[at].outcome = "forged".to_owned();
        let before = at.checked_sub(1).map_or(start(), |before| chain[before].head());
        forged[at] = AuditEntry::follow(&before, event_of(&forged[at])).unwrap();
        let last = signed.seq;
        let found = match at + 1 == chain.len() {
            true => AuditFault::Replaced { seq: last },
            false => AuditFault::Edited { seq: at as u64 + 2 },
        };
        prop_assert_eq!(fault(&forged, signed), Some(found));
        let events: Vec<_> = forged.iter().map(event_of).collect();
        let forged = chain_of(events, start());
        prop_assert_eq!(verify(&start(), &forged, &[]).map(|head| head.seq), Ok(last));
        prop_assert_eq!(fault(&forged, signed), Some(AuditFault::Replaced { seq: last }));
    }

    #[test]
    fn a_gap_is_found(chain in chain(), at in any::<prop::sample::Index>(), run in 1..30_usize) {
        let signed = chain.last().unwrap().head();
        let mut gapped = chain;
        let seq = gapped.remove(at.index(gapped.len())).seq;
        let found = match seq == signed.seq {
            true => AuditFault::Truncated { seq, known: seq },
            false => AuditFault::Missing { seq, found: seq + 1 },
        };
        prop_assert_eq!(fault(&gapped, signed), Some(found.clone()));
        prop_assert_eq!(fault_in_runs(&gapped, signed, run), Some(found));
    }

    #[test]
    fn another_order_is_found(chain in chain(), one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>())
    {
        let signed = chain.last().unwrap().head();
        let (one, other) = (one.index(chain.len()), other.index(chain.len()));
        prop_assume!(one != other);
        let (first, second) = (one.min(other), one.max(other));
        let mut swapped = chain.clone();
        swapped.swap(first, second);
        let (seq, found) = (chain[first].seq, chain[second].seq);
        prop_assert_eq!(fault(&swapped, signed), Some(AuditFault::OutOfOrder { seq, found }));
        // With their numbers exchanged too, both are where numbers say, and neither follows.
        swapped[first].seq = seq;
        swapped[second].seq = found;
        prop_assert_eq!(fault(&swapped, signed), Some(AuditFault::Edited { seq }));
        // One that stands there twice.
        let mut doubled = chain.clone();
        doubled.insert(second, chain[first].clone());
        let (seq, found) = (chain[second].seq, chain[first].seq);
        prop_assert_eq!(fault(&doubled, signed), Some(AuditFault::OutOfOrder { seq, found }));
    }

    #[test]
    fn a_truncation_is_found(chain in chain(), left in any::<prop::sample::Index>()) {
        let signed = chain.last().unwrap().head();
        let left = left.index(chain.len());
        let (seq, known) = (left as u64 + 1, signed.seq);
        let truncated = Some(AuditFault::Truncated { seq, known });
        prop_assert_eq!(fault(&chain[..left], signed), truncated);
        // Without anybody who knows of more, there is nothing to find.
        let end = verify(&start(), &chain[..left], &[]);
        prop_assert_eq!(end.map(|head| head.seq), Ok(left as u64));
    }
}
