//! Records among the steps: notes, each under the name of an account.

use super::{ACCOUNTS, INSTANTS, Lens, Seen, Step, told};
use holdfast_store::Store;
use holdfast_store::contract::records::Note;
use holdfast_store::contract::sample::at;

/// Whose the notes are.
const OWNER: &str = "acme";

/// Takes a step that is about a note.
pub(super) async fn take(store: &Store, step: Step) -> String {
    let seen_at = async |n: usize, seen: Seen, now| {
        let kept = store.record::<Note>(OWNER, ACCOUNTS[n], at(now)).await;
        seen.expect(kept.unwrap().map(|kept| kept.version))
    };
    match step {
        Step::PutNote {
            n,
            seen,
            until,
            now,
        } => {
            let expect = seen_at(n, seen, now).await;
            let mut note = Note::new(OWNER, ACCOUNTS[n], &now.to_string());
            note.until = until;
            let answer = store.put_record(&note, expect, at(now)).await;
            told(answer.map(|version| format!("version: {version}")))
        }
        Step::DeleteNote { n, seen, now } => {
            let expect = seen_at(n, seen, now).await;
            let deleted = store.delete_record::<Note>(OWNER, ACCOUNTS[n], expect, at(now));
            told(deleted.await)
        }
        // In a cluster the servers sweep.
        Step::Sweep { now } => told(store.sweep_records(at(now), 2).await.map(drop)),
        other => unreachable!("{other:?} is no step of a note"),
    }
}

/// When a step about a note is taken.
pub(super) fn instant(step: &Step) -> Option<u64> {
    match step {
        Step::PutNote { now, .. } | Step::DeleteNote { now, .. } | Step::Sweep { now } => {
            Some(*now)
        }
        _ => None,
    }
}

/// The same steps, with time passing from each that is about a note to the next.
///
/// What is over may be gone or not yet, as the backend likes: a sweep or a deletion takes it out of
/// memory, while a cluster's servers forget it later. Only who looked at an instant that has passed
/// could tell.
pub(super) fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    let mut instants: Vec<_> = steps.iter().filter_map(instant).collect();
    instants.sort_unstable();
    let mut instants = instants.into_iter();
    for step in &mut steps {
        if let Step::PutNote { now, .. } | Step::DeleteNote { now, .. } | Step::Sweep { now } = step
        {
            *now = instants.next().unwrap_or(*now);
        }
    }
    steps
}

/// Every note that can be asked for at an instant or later, as text.
pub(super) async fn picture(store: &Store, lens: Lens, from: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for now in [from, INSTANTS] {
        let notes = store.records::<Note>(OWNER, None, 100, at(now)).await;
        lines.push(lens.told(notes));
        let first = store.record::<Note>(OWNER, ACCOUNTS[0], at(now)).await;
        lines.push(lens.told(first));
    }
    lines
}
