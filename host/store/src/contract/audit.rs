//! Audit chains: growth, rivals, repeats, segments, checkpoints, pages, and what goes.

use super::sample::at;
use super::{Backend, Outcome, refusal};
use crate::{AUDIT_APPEND_BYTES_MAX, AUDIT_APPEND_ENTRIES_MAX, Expect, Kept, Result, Store};
use futures_util::future::join_all;
use holdfast_model::audit::{
    AUDIT_BODY_BYTES_MAX, AUDIT_SEGMENT_ENTRIES, AuditTree, last_seq_of, verify,
};
use holdfast_model::{AuditCheckpoint, AuditEntry, AuditEvent, AuditHead, ErrorKind, Invalid};

/// The last of the first segment.
const SEALED: u64 = AUDIT_SEGMENT_ENTRIES;

/// An event with its number in every field.
#[must_use]
pub fn event(n: u64) -> AuditEvent {
    AuditEvent {
        id: u128::from(n) << 64 | 7,
        at: at(1_000 + n),
        action: format!("pin.create.{n}"),
        outcome: "allow".to_owned(),
        actor: format!("key:é\u{1f980}{n}"),
        resource: String::new(),
        body: [&[0, 0xff], n.to_be_bytes().as_slice()].concat(),
    }
}

/// Entries of events from `first` on, behind a head.
///
/// # Errors
/// Never for events as they are made here.
pub fn run(
    after: AuditHead,
    first: u64,
    count: u64,
) -> std::result::Result<Vec<AuditEntry>, Invalid> {
    let mut head = after;
    let entries = (first..first.saturating_add(count)).map(|n| {
        let entry = AuditEntry::follow(&head, event(n))?;
        head = entry.head();
        Ok(entry)
    });
    entries.collect()
}

/// Appends events, numbered as their entries are, until a chain has come to `seq`.
///
/// # Errors
/// As the store's.
pub async fn grow(store: &Store, tenant: &str, seq: u64) -> Result<AuditHead> {
    let mut head = store.audit_head(tenant).await?;
    while head.seq < seq {
        let of_segment = AUDIT_SEGMENT_ENTRIES - head.seq % AUDIT_SEGMENT_ENTRIES;
        let count = (seq - head.seq).min(1_000).min(of_segment);
        let entries = run(head, head.seq + 1, count)?;
        head = store.append_audit(tenant, head, &entries).await?;
    }
    Ok(head)
}

/// What could be signed of a segment up to an entry.
fn checkpoint(segment: u64, last: &AuditEntry) -> AuditCheckpoint {
    AuditCheckpoint {
        segment,
        first_at: at(1_000),
        last_at: last.at,
        last_seq: last.seq,
        last_hash: last.hash,
        root: AuditTree::default().root(),
        signature: b"holdfast\n1\n\n\xe2\x80\x94 key sig\n".to_vec(),
        anchor: None,
    }
}

/// All of a chain in its order.
async fn all(store: &Store, tenant: &str) -> Result<Vec<AuditEntry>> {
    let mut found: Vec<AuditEntry> = Vec::new();
    loop {
        let from = found.last().map_or(1, |last| last.seq + 1);
        let page = store.audit_entries(tenant, from, 1_000).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

/// What was entered comes back byte for byte, and the head is the last of it.
pub async fn a_chain_begins_and_grows(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let start = AuditHead::start("acme");
    assert_eq!(store.audit_head("acme").await?, start);
    assert_eq!(store.audit_entries("acme", 1, 10).await?, []);
    assert_eq!(store.audit_entries_before("acme", u64::MAX, 10).await?, []);
    let first = run(start, 1, 3)?;
    let head = store.append_audit("acme", start, &first).await?;
    assert_eq!(Some(head), first.last().map(AuditEntry::head));
    assert_eq!(store.audit_head("acme").await?, head);
    let more = run(head, 4, 2)?;
    let end = store.append_audit("acme", head, &more).await?;
    assert_eq!(end.seq, 5);
    let found = all(store, "acme").await?;
    assert_eq!(found, [first, more].concat());
    assert_eq!(verify(&start, &found, &[end])?, end);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// Names that are alike, and the host's own, which has none.
pub async fn chains_keep_apart(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let names = ["", "a", "a-b", "a.b_c", "ab", "0"];
    for (name, seq) in names.iter().zip(1..) {
        grow(store, name, seq).await?;
    }
    for (name, seq) in names.iter().zip(1..) {
        let found = all(store, name).await?;
        assert_eq!(found.len() as u64, seq, "{name:?}");
        let end = verify(&AuditHead::start(name), &found, &[])?;
        assert_eq!(store.audit_head(name).await?, end);
    }
    for name in ["A", "a b", "a/b", "-a", "\0", "é", &"a".repeat(65)] {
        let answer = store.audit_head(name).await;
        assert_eq!(refusal(answer), Some(ErrorKind::Invalid), "{name:?}");
    }
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// From one head, exactly one of two goes on.
pub async fn one_of_two_appenders_wins(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut head = AuditHead::start("acme");
    for round in 0..8_u64 {
        let rivals = [run(head, round * 100, 2)?, run(head, round * 100 + 50, 3)?];
        let appends = rivals
            .iter()
            .map(|run| store.append_audit("acme", head, run));
        let answers = join_all(appends).await;
        let won: Vec<_> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().ok())
            .collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        for answer in &answers {
            let kind = answer.as_ref().err().map(crate::StoreError::kind);
            assert!(
                matches!(kind, None | Some(ErrorKind::Conflict)),
                "{answer:?}"
            );
        }
        head = store.audit_head("acme").await?;
        assert_eq!(won, [&head]);
    }
    let found = all(store, "acme").await?;
    assert_eq!(verify(&AuditHead::start("acme"), &found, &[head])?, head);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// As often as it takes somebody to hear the answer, and after others have gone on.
pub async fn an_append_that_happened_may_be_repeated(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let start = AuditHead::start("acme");
    let first = run(start, 1, 3)?;
    for _ in 0..2 {
        let head = store.append_audit("acme", start, &first).await?;
        assert_eq!(head.seq, 3);
    }
    let end = grow(store, "acme", 7).await?;
    let head = store.append_audit("acme", start, &first).await?;
    assert_eq!(head.seq, 3);
    assert_eq!(store.audit_head("acme").await?, end);
    assert_eq!(all(store, "acme").await?.len(), 7);
    Ok(())
}

/// What begins as what is there, or ends as far, is not yet the same.
pub async fn a_repeat_is_told_from_another_append(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let start = AuditHead::start("acme");
    let head = grow(store, "acme", 4).await?;
    let conflict = Some(ErrorKind::Conflict);
    let other = run(start, 50, 4)?;
    let longer = run(start, 1, 5)?;
    let there = run(start, 1, 3)?;
    let forked = [
        there.clone(),
        run(there.last().ok_or("none")?.head(), 9, 1)?,
    ]
    .concat();
    for entries in [other, longer, forked] {
        let answer = store.append_audit("acme", start, &entries).await;
        assert_eq!(refusal(answer), conflict);
    }
    // A head that there was never, however far it claims to be.
    let ahead = AuditHead { seq: 9, ..head };
    let answer = store.append_audit("acme", ahead, &run(ahead, 1, 1)?).await;
    assert_eq!(refusal(answer), conflict);
    let same_place = AuditHead {
        hash: [7; 32],
        ..head
    };
    let entries = run(same_place, 1, 1)?;
    let answer = store.append_audit("acme", same_place, &entries).await;
    assert_eq!(refusal(answer), conflict);
    assert_eq!(all(store, "acme").await?.len(), 4);
    assert_eq!(store.audit_head("acme").await?, head);
    Ok(())
}

/// Many who enter at once, each as one should: look, follow, append, and again if others were
/// faster.
pub async fn a_crowd_enters_everything_once(backend: impl Backend) -> Outcome {
    const CROWD: u64 = 4;
    const EACH: u64 = 5;
    let store = backend.store();
    let enter = async |n: u64| -> Outcome {
        loop {
            let head = store.audit_head("acme").await?;
            let entries = run(head, n, 1)?;
            let answer = store.append_audit("acme", head, &entries).await;
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
    };
    let member = async |of: u64| -> Outcome {
        for n in 0..EACH {
            enter(of * EACH + n).await?;
        }
        Ok(())
    };
    for outcome in join_all((0..CROWD).map(member)).await {
        outcome?;
    }
    let found = all(store, "acme").await?;
    verify(&AuditHead::start("acme"), &found, &[])?;
    let mut ids: Vec<_> = found.iter().map(|entry| (entry.id >> 64) as u64).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..CROWD * EACH).collect::<Vec<_>>());
    Ok(())
}

/// Forwards from any number, backwards from any, and beyond both ends.
pub async fn pages_go_both_ways(backend: impl Backend) -> Outcome {
    let store = backend.store();
    grow(store, "acme", 25).await?;
    let seqs = |page: Vec<AuditEntry>| page.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    let from = async |from, limit| store.audit_entries("acme", from, limit).await.map(seqs);
    let before = async |before, limit| {
        let page = store.audit_entries_before("acme", before, limit).await;
        page.map(seqs)
    };
    assert_eq!(from(0, 3).await?, [1, 2, 3]);
    assert_eq!(from(24, 3).await?, [24, 25]);
    assert_eq!(from(26, 3).await?, [0; 0]);
    assert_eq!(from(u64::MAX, 3).await?, [0; 0]);
    assert_eq!(from(7, 0).await?, [0; 0]);
    assert_eq!(before(u64::MAX, 3).await?, [25, 24, 23]);
    assert_eq!(before(23, 2).await?, [22, 21]);
    assert_eq!(before(3, 9).await?, [2, 1]);
    assert_eq!(before(1, 9).await?, [0; 0]);
    assert_eq!(before(0, 9).await?, [0; 0]);
    Ok(())
}

/// The most that one append takes, in entries and in bytes.
pub async fn a_thousand_in_one_append(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let many = AUDIT_APPEND_ENTRIES_MAX as u64;
    let head = store.audit_head("many").await?;
    let entries = run(head, 1, many)?;
    let head = store.append_audit("many", head, &entries).await?;
    assert_eq!(head.seq, many);
    assert_eq!(all(store, "many").await?, entries);
    let mut head = AuditHead::start("large");
    let mut large = Vec::new();
    let mut bytes = 0;
    for n in 0.. {
        let mut event = event(n);
        event.body = vec![0xa5; AUDIT_BODY_BYTES_MAX];
        let entry = AuditEntry::follow(&head, event)?;
        bytes += entry.bytes();
        if bytes > AUDIT_APPEND_BYTES_MAX {
            break;
        }
        head = entry.head();
        large.push(entry);
    }
    let start = AuditHead::start("large");
    assert_eq!(store.append_audit("large", start, &large).await?, head);
    assert_eq!(all(store, "large").await?, large);
    Ok(())
}

/// What no chain could take is refused, and nothing of it is there.
pub async fn appends_have_bounds(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let start = AuditHead::start("acme");
    let whole = run(start, 1, AUDIT_APPEND_ENTRIES_MAX as u64 + 1)?;
    let mut gapped = whole.get(..5).unwrap_or_default().to_vec();
    gapped.remove(2);
    let mut edited = whole.get(..5).unwrap_or_default().to_vec();
    if let Some(entry) = edited.get_mut(3) {
        entry.outcome = "deny".to_owned();
    }
    let mut large = event(1);
    large.body = vec![0; AUDIT_BODY_BYTES_MAX + 1];
    assert!(AuditEntry::follow(&start, large).is_err());
    let full = AuditEvent {
        body: vec![0; AUDIT_BODY_BYTES_MAX],
        ..event(1)
    };
    let mut head = start;
    let mut heavy = Vec::new();
    while heavy.len() <= AUDIT_APPEND_BYTES_MAX / AUDIT_BODY_BYTES_MAX {
        heavy.push(AuditEntry::follow(&head, full.clone())?);
        head = heavy.last().map_or(head, AuditEntry::head);
    }
    let of_another = run(AuditHead::start("acme2"), 1, 2)?;
    for entries in [whole, gapped, edited, heavy, of_another, Vec::new()] {
        let answer = store.append_audit("acme", start, &entries).await;
        assert_eq!(
            refusal(answer),
            Some(ErrorKind::Invalid),
            "{}",
            entries.len()
        );
    }
    let late = AuditHead {
        seq: SEALED - 1,
        hash: [1; 32],
    };
    let across = run(late, 1, 2)?;
    let answer = store.append_audit("acme", late, &across).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Invalid));
    let outside = AuditCheckpoint {
        segment: 1,
        ..checkpoint(0, run(start, 1, 1)?.first().ok_or("none")?)
    };
    let answer = store.put_audit_checkpoint("acme", &outside, Expect::Any);
    assert_eq!(refusal(answer.await), Some(ErrorKind::Invalid));
    assert_eq!(store.audit_head("acme").await?, start);
    assert_eq!(all(store, "acme").await?, []);
    Ok(())
}

/// Over the border between two: the head goes on, rivals are refused, pages go through.
pub async fn segments_follow_one_another(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let head = grow(store, "acme", SEALED).await?;
    assert_eq!(store.audit_head("acme").await?, head);
    let rivals = [run(head, SEALED + 1, 1)?, run(head, SEALED + 50, 2)?];
    let appends = rivals
        .iter()
        .map(|run| store.append_audit("acme", head, run));
    let answers = join_all(appends).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(won, 1, "{answers:?}");
    let end = grow(store, "acme", SEALED + 20).await?;
    // A repeat of what won, and a rival that comes late.
    let again = answers
        .iter()
        .zip(&rivals)
        .find(|(answer, _)| answer.is_ok());
    let (_, again) = again.ok_or("nobody won")?;
    store.append_audit("acme", head, again).await?;
    let late = store.append_audit("acme", head, &run(head, 99, 1)?).await;
    assert_eq!(refusal(late), Some(ErrorKind::Conflict));
    let page = store.audit_entries("acme", SEALED - 5, 10).await?;
    let seqs: Vec<_> = page.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (SEALED - 5..SEALED + 5).collect::<Vec<_>>());
    let page = store.audit_entries_before("acme", SEALED + 3, 6).await?;
    let seqs: Vec<_> = page.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (SEALED - 3..SEALED + 3).rev().collect::<Vec<_>>());
    let found = all(store, "acme").await?;
    assert_eq!(
        verify(&AuditHead::start("acme"), &found, &[head, end])?,
        end
    );
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// Each comes back whole, and a page goes on where the last ended.
pub async fn checkpoints_come_newest_first(backend: impl Backend) -> Outcome {
    let store = backend.store();
    assert_eq!(store.audit_checkpoints("acme", None, 9).await?, []);
    let mut kept = Vec::new();
    for segment in [2, 0, 1] {
        let last = AuditHead {
            seq: last_seq_of(segment) - 1,
            hash: [3; 32],
        };
        let last = run(last, segment, 1)?.remove(0);
        let mut value = checkpoint(segment, &last);
        value.anchor = (segment == 1).then(|| super::sample::cid(7)).transpose()?;
        for tenant in ["acme", ""] {
            let version = store.put_audit_checkpoint(tenant, &value, Expect::Absent);
            let version = version.await?;
            if tenant == "acme" {
                let value = value.clone();
                kept.push(Kept { value, version });
            }
        }
    }
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.value.segment));
    assert_eq!(store.audit_checkpoints("acme", None, 9).await?, kept);
    let pages = [
        store.audit_checkpoints("acme", None, 2).await?,
        store.audit_checkpoints("acme", Some(1), 2).await?,
    ];
    assert_eq!(pages.concat(), kept);
    assert_eq!(store.audit_checkpoints("acme", Some(0), 2).await?, []);
    assert_eq!(store.audit_checkpoints("", None, 9).await?.len(), 3);
    Ok(())
}

/// Compare and set, put once.
pub async fn expectations_guard_checkpoints(backend: impl Backend) -> Outcome {
    let store = backend.store();
    grow(store, "acme", 3).await?;
    let entries = all(store, "acme").await?;
    let signed: Vec<_> = entries.iter().map(|entry| checkpoint(0, entry)).collect();
    let [one, two, three] = signed.as_slice() else {
        return Err("not three".into());
    };
    let conflict = Some(ErrorKind::Conflict);
    let put = async |value, expect| store.put_audit_checkpoint("acme", value, expect).await;
    assert_eq!(refusal(put(one, Expect::Version(1)).await), conflict);
    let first = put(one, Expect::Absent).await?;
    assert_eq!(refusal(put(two, Expect::Absent).await), conflict);
    let second = put(two, Expect::Version(first)).await?;
    assert_ne!(first, second);
    assert_eq!(refusal(put(three, Expect::Version(first)).await), conflict);
    let version = put(three, Expect::Any).await?;
    assert!(![first, second].contains(&version), "a version came again");
    let value = three.clone();
    let found = store.audit_checkpoints("acme", None, 9).await?;
    assert_eq!(found, [Kept { value, version }]);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// In the order of their bytes, each once, page by page.
pub async fn tenants_with_a_chain_by_name(backend: impl Backend) -> Outcome {
    let store = backend.store();
    assert_eq!(store.audit_tenants(None, 9).await?, [""; 0]);
    for name in ["b", "a.c", "", "a", "a-b", "0"] {
        grow(store, name, 1).await?;
        grow(store, name, 2).await?;
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().map(String::as_str);
        let page = store.audit_tenants(after, 2).await?;
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, ["", "0", "a", "a-b", "a.c", "b"]);
    Ok(())
}

/// Not what is young, not what grows, not what nobody signed; and the rest of the chain holds.
pub async fn sweeping_takes_whole_old_segments(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let sealed = grow(store, "acme", SEALED).await?;
    let end = grow(store, "acme", SEALED + 3).await?;
    grow(store, "zoo", 3).await?;
    let far = at(9_000_000);
    assert_eq!(store.sweep_audit(far, 9).await?, 0, "nothing was signed");
    for tenant in ["acme", "zoo"] {
        let last = match tenant {
            "acme" => store.audit_entries(tenant, SEALED, 1).await?.remove(0),
            _ => store.audit_entries(tenant, 3, 1).await?.remove(0),
        };
        let value = checkpoint(0, &last);
        store
            .put_audit_checkpoint(tenant, &value, Expect::Absent)
            .await?;
    }
    assert_eq!(
        store.sweep_audit(at(1_000 + SEALED), 9).await?,
        0,
        "too young"
    );
    assert_eq!(store.sweep_audit(far, 0).await?, 0);
    assert_eq!(all(store, "acme").await?.len() as u64, end.seq);
    let swept = store.sweep_audit(far, 9).await?;
    assert_eq!(store.sweep_audit(far, 9).await?, 0);
    let left = all(store, "acme").await?;
    // Where servers sweep by themselves, they take their time.
    if swept > 0 {
        assert_eq!((swept, left.len()), (1, 3));
        assert_eq!(verify(&sealed, &left, &[end])?, end);
        assert_eq!(store.audit_entries("acme", 1, 9).await?, left);
    }
    assert_eq!(
        store.audit_entries_before("acme", u64::MAX, 3).await?.len(),
        3
    );
    assert_eq!(store.audit_checkpoints("acme", None, 9).await?.len(), 1);
    assert_eq!(all(store, "zoo").await?.len(), 3);
    let end = grow(store, "acme", SEALED + 4).await?;
    assert_eq!(store.audit_head("acme").await?, end);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// Heads, entries, checkpoints, names.
pub async fn chains_survive_reopening(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let head = grow(store, "", 3).await?;
    let entries = all(store, "").await?;
    let signed = checkpoint(0, entries.last().ok_or("none")?);
    let version = store.put_audit_checkpoint("", &signed, Expect::Any).await?;
    let backend = backend.reopen().await;
    let store = backend.store();
    assert_eq!(store.audit_head("").await?, head);
    assert_eq!(all(store, "").await?, entries);
    let value = signed.clone();
    let found = store.audit_checkpoints("", None, 9).await?;
    assert_eq!(found, [Kept { value, version }]);
    assert_eq!(store.audit_tenants(None, 9).await?, [""]);
    let again = store
        .append_audit("", AuditHead::start(""), &entries)
        .await?;
    assert_eq!(again, head);
    assert_eq!(grow(store, "", 4).await?.seq, 4);
    let next = store.put_audit_checkpoint("", &signed, Expect::Version(version));
    assert_ne!(next.await?, version);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}
