//! Records: versions, expiry, kinds and owners.

use super::sample::at;
use super::{Backend, Outcome, refusal};
use crate::record::{RECORD_BYTES_MAX, RECORD_NAME_BYTES_MAX, Record};
use crate::{Expect, Kept};
use holdfast_model::{ErrorKind, UnixMillis};
use serde::{Deserialize, Serialize};

/// A record of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub id: String,
    /// What it says.
    pub text: String,
    /// Until when it is there.
    pub until: Option<u64>,
}

impl Note {
    /// A note that stays.
    #[must_use]
    pub fn new(owner: &str, id: &str, text: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            id: id.to_owned(),
            text: text.to_owned(),
            until: None,
        }
    }

    /// The same until an instant.
    #[must_use]
    pub fn until(mut self, millis: u64) -> Self {
        self.until = Some(millis);
        self
    }
}

impl Record for Note {
    const KIND: &'static str = "note";

    fn owner(&self) -> &str {
        &self.owner
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn expires(&self) -> Option<UnixMillis> {
        self.until.map(UnixMillis::new)
    }
}

/// A record of another kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memo(Note);

impl Record for Memo {
    const KIND: &'static str = "memo";

    fn owner(&self) -> &str {
        &self.0.owner
    }

    fn id(&self) -> &str {
        &self.0.id
    }
}

const NOW: UnixMillis = at(10);

/// All of it, with the version that the write answered.
pub async fn a_record_comes_back_as_it_was(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let note = Note::new("acme", "did:key:z6Mk/№1", "\"quoted\" and \u{1f980}");
    let version = store.put_record(&note, Expect::Absent, NOW).await?;
    let kept = Kept {
        value: note.clone(),
        version,
    };
    assert_eq!(store.record("acme", &note.id, NOW).await?, Some(kept));
    assert_eq!(store.record::<Note>("acme", "other", NOW).await?, None);
    Ok(())
}

/// The same id of another kind or owner is another record.
pub async fn kinds_and_owners_keep_apart(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for owner in ["", "a", "ab"] {
        let note = Note::new(owner, "b", owner);
        store.put_record(&note, Expect::Absent, NOW).await?;
    }
    let memo = Memo(Note::new("a", "b", "memo"));
    store.put_record(&memo, Expect::Absent, NOW).await?;
    store
        .delete_record::<Note>("ab", "b", Expect::Any, NOW)
        .await?;
    for (owner, text) in [("", Some("")), ("a", Some("a")), ("ab", None)] {
        let found = store.record::<Note>(owner, "b", NOW).await?;
        assert_eq!(found.map(|kept| kept.value.text).as_deref(), text);
        let listed = store.records::<Note>(owner, None, 10, NOW).await?;
        assert_eq!(listed.len(), usize::from(text.is_some()));
    }
    let found = store.record::<Memo>("a", "b", NOW).await?;
    assert_eq!(found.map(|kept| kept.value), Some(memo));
    Ok(())
}

/// Compare and set, create once, delete what was seen.
pub async fn expectations_guard_records(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let (one, two) = (Note::new("a", "x", "1"), Note::new("a", "x", "2"));
    let conflict = Some(ErrorKind::Conflict);
    let put = async |note, expect| store.put_record(note, expect, NOW).await;
    let delete = async |expect| store.delete_record::<Note>("a", "x", expect, NOW).await;
    assert_eq!(refusal(put(&one, Expect::Version(1)).await), conflict);
    assert_eq!(refusal(delete(Expect::Version(1)).await), conflict);
    delete(Expect::Any).await?;
    delete(Expect::Absent).await?;
    let first = put(&one, Expect::Absent).await?;
    assert_eq!(refusal(put(&two, Expect::Absent).await), conflict);
    assert_eq!(refusal(delete(Expect::Absent).await), conflict);
    let second = put(&two, Expect::Version(first)).await?;
    assert_ne!(first, second);
    assert_eq!(refusal(put(&one, Expect::Version(first)).await), conflict);
    assert_eq!(refusal(delete(Expect::Version(first)).await), conflict);
    delete(Expect::Version(second)).await?;
    assert_eq!(store.record::<Note>("a", "x", NOW).await?, None);
    let third = put(&one, Expect::Absent).await?;
    assert!(![first, second].contains(&third), "a version came again");
    assert_ne!(put(&two, Expect::Any).await?, third);
    Ok(())
}

/// What makes a nonce good for one use.
pub async fn only_one_of_many_puts_a_record_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let nonce = Note::new("n", "n", "used").until(100_000);
    let puts = (0..8).map(|_| store.put_record(&nonce, Expect::Absent, NOW));
    let answers = futures_util::future::join_all(puts).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(won, 1, "{answers:?}");
    Ok(())
}

/// Page by page, in the order of their bytes.
pub async fn records_of_an_owner_by_id(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for id in ["c", "a", "é", "b.2", "b", "Z"] {
        let note = Note::new("acme", id, "");
        store.put_record(&note, Expect::Any, NOW).await?;
    }
    store
        .put_record(&Note::new("acme2", "b", ""), Expect::Any, NOW)
        .await?;
    store
        .delete_record::<Note>("acme", "b.2", Expect::Any, NOW)
        .await?;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().map(String::as_str);
        let page = store.records::<Note>("acme", after, 2, NOW).await?;
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|kept| kept.value.id));
    }
    assert_eq!(seen, ["Z", "a", "b", "c", "é"]);
    Ok(())
}

/// From its time on a record is not there, and another may take its place.
pub async fn what_is_over_is_not_there(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let note = Note::new("a", "x", "1").until(5_000);
    let version = store.put_record(&note, Expect::Absent, NOW).await?;
    assert!(store.record::<Note>("a", "x", at(4_999)).await?.is_some());
    assert_eq!(store.record::<Note>("a", "x", at(5_000)).await?, None);
    assert_eq!(store.records::<Note>("a", None, 9, at(5_000)).await?, []);
    let late = store
        .put_record(&note, Expect::Version(version), at(5_000))
        .await;
    assert_eq!(refusal(late), Some(ErrorKind::Conflict));
    let again = Note::new("a", "x", "2");
    store.put_record(&again, Expect::Absent, at(5_000)).await?;
    let found = store.record::<Note>("a", "x", at(9_000_000)).await?;
    assert_eq!(found.map(|kept| kept.value), Some(again));
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// However often, and nothing else goes.
pub async fn sweeping_removes_what_is_over_alone(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for (id, until) in [
        ("a", Some(20)),
        ("b", None),
        ("c", Some(40)),
        ("d", Some(30)),
    ] {
        let mut note = Note::new("o", id, "");
        note.until = until;
        store.put_record(&note, Expect::Absent, NOW).await?;
    }
    // Written again, it stays for longer.
    let longer = Note::new("o", "d", "").until(50);
    store.put_record(&longer, Expect::Any, NOW).await?;
    while store.sweep_records(at(40), 1).await? > 0 {}
    let left = store.records::<Note>("o", None, 9, NOW).await?;
    let left: Vec<_> = left.iter().map(|kept| kept.value.id.as_str()).collect();
    // Where servers sweep by themselves, they take their time.
    let kept = left.iter().filter(|id| !["a", "c"].contains(id));
    assert_eq!(kept.collect::<Vec<_>>(), [&"b", &"d"]);
    let shown = store.records::<Note>("o", None, 9, at(40)).await?;
    assert_eq!(shown.len(), 2);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// The largest there may be is kept; what is larger, and names that cannot stand in keys, are not.
pub async fn records_have_bounds(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let name = "n".repeat(RECORD_NAME_BYTES_MAX);
    let empty = serde_json::to_vec(&Note::new(&name, &name, ""))?.len();
    let full = Note::new(&name, &name, &"x".repeat(RECORD_BYTES_MAX - empty));
    store.put_record(&full, Expect::Absent, NOW).await?;
    let found = store.record::<Note>(&name, &name, NOW).await?;
    assert_eq!(found.map(|kept| kept.value), Some(full.clone()));
    let more = Note::new("o", "i", &"x".repeat(RECORD_BYTES_MAX));
    let longer = "n".repeat(RECORD_NAME_BYTES_MAX + 1);
    let refused = [
        more,
        Note::new("o", "", ""),
        Note::new("o", &longer, ""),
        Note::new(&longer, "i", ""),
        Note::new("o", "a\0b", ""),
        Note::new("o\0", "a", ""),
    ];
    for note in refused {
        let answer = store.put_record(&note, Expect::Any, NOW).await;
        assert_eq!(refusal(answer), Some(ErrorKind::Invalid), "{:.40}", note.id);
    }
    Ok(())
}

/// Records, versions and ends.
pub async fn records_survive_reopening(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let note = Note::new("a", "x", "1").until(9_000);
    let version = store.put_record(&note, Expect::Absent, NOW).await?;
    let backend = backend.reopen().await;
    let store = backend.store();
    let kept = store.record::<Note>("a", "x", NOW).await?;
    assert_eq!(kept.map(|kept| kept.version), Some(version));
    assert_eq!(store.record::<Note>("a", "x", at(9_000)).await?, None);
    let next = store
        .put_record(&note, Expect::Version(version), NOW)
        .await?;
    assert_ne!(next, version);
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}
