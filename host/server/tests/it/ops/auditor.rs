//! The auditor carries every line into its chain, once, whatever ends it on the way.

use super::audit::{event, lines, settings};
use holdfast::clock::Clock;
use holdfast::ops::audit::{
    Audit, AuditError, AuditSettings, Auditor, AuditorSettings, Event, Kind, Notary, Note, Outcome,
    chain_name,
};
use holdfast_model::audit::{AuditEntry, AuditHead, verify};
use holdfast_runtime::SigningKey;
use holdfast_store::Store;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(audit: &Audit, store: &Store) -> Auditor {
    start_with(audit, store, AuditorSettings::default())
}

fn start_with(audit: &Audit, store: &Store, settings: AuditorSettings) -> Auditor {
    Auditor::start(audit, store.clone(), Clock::System, settings).unwrap()
}

/// Records so many events of a tenant's and as many of nobody's, and has them carried.
async fn record(audit: &Audit, numbers: std::ops::Range<u128>) {
    for number in numbers {
        audit.record(event(number)).await.unwrap();
        let nobody = Event {
            principal: None,
            resource: None,
            action: None,
            status: 401,
            ..event(number)
        };
        audit.record(nobody).await.unwrap();
    }
}

async fn end(audit: Audit, auditor: Auditor) {
    audit.close().await.unwrap();
    assert!(auditor.end(PATIENCE).await, "the auditor did not end");
}

/// A chain, which must be whole, with every event in it once.
async fn chain(store: &Store, tenant: &str) -> Vec<AuditEntry> {
    let entries = store.audit_entries(tenant, 1, 1_000).await.unwrap();
    let head = verify(&AuditHead::start(tenant), &entries, &[]).unwrap();
    assert_eq!(head, store.audit_head(tenant).await.unwrap());
    let ids: BTreeSet<u128> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(
        ids.len(),
        entries.len(),
        "{} is entered twice",
        chain_name(tenant)
    );
    entries
}

async fn counts(store: &Store) -> (usize, usize) {
    (
        chain(store, "acme").await.len(),
        chain(store, "").await.len(),
    )
}

#[tokio::test]
async fn lines_go_into_their_chains_byte_for_byte() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    record(&audit, 0..3).await;
    audit.settle().await.unwrap();
    let written = std::fs::read_to_string(dir.path().join("audit.jsonl")).unwrap();
    let of_acme: Vec<_> = written
        .lines()
        .filter(|line| line.contains("\"tenant\":\"acme\",\"time\""))
        .collect();
    let acme = chain(&store, "acme").await;
    let bodies: Vec<_> = acme
        .iter()
        .map(|entry| std::str::from_utf8(&entry.body).unwrap())
        .collect();
    assert_eq!(bodies, of_acme);
    assert_eq!(acme[0].action, "readRequest");
    assert_eq!(acme[0].actor, "key:abcd");
    assert!(
        acme[0].resource.starts_with("request:acme/web/0000"),
        "{}",
        acme[0].resource
    );
    assert_eq!(chain(&store, "").await[2].action, "authenticate");
    end(audit, auditor).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    for life in 0..3 {
        let audit = Audit::open(settings(dir.path())).unwrap();
        let auditor = start(&audit, &store);
        record(&audit, life * 5..(life + 1) * 5).await;
        end(audit, auditor).await;
    }
    assert_eq!(counts(&store).await, (15, 15));
}

/// What is left by a crash: the cursor of a time when less had been carried, or none at all.
#[tokio::test]
async fn lines_that_were_carried_before_a_crash_are_not_entered_again() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let cursor = dir.path().join("audit.jsonl.cursor");
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    record(&audit, 0..5).await;
    audit.settle().await.unwrap();
    end(audit, auditor).await;
    let text = std::fs::read_to_string(&cursor).unwrap();
    let mut before: serde_json::Value = serde_json::from_str(&text).unwrap();
    before["offset"] = 0.into();
    before["heads"] = serde_json::json!({"": 0, "acme": 0});
    for cursor_is in [Some(before.to_string()), None, Some("{".to_owned())] {
        match cursor_is {
            Some(text) => std::fs::write(&cursor, text).unwrap(),
            None => std::fs::remove_file(&cursor).unwrap(),
        }
        let (acme, nobody) = counts(&store).await;
        let audit = Audit::open(settings(dir.path())).unwrap();
        let auditor = start(&audit, &store);
        record(&audit, 100..101).await;
        audit.settle().await.unwrap();
        end(audit, auditor).await;
        assert_eq!(counts(&store).await, (acme + 1, nobody + 1));
    }
}

/// Two processes enter into the same chains at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_their_chains() {
    let store = Store::memory();
    let mut lives = Vec::new();
    for _ in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(settings(dir.path())).unwrap();
        let auditor = start(&audit, &store);
        lives.push((dir, audit, auditor));
    }
    for round in 0..20 {
        for (_, audit, _) in &lives {
            record(audit, round..round + 1).await;
            audit.flush().await.unwrap();
        }
    }
    for (_dir, audit, auditor) in lives {
        end(audit, auditor).await;
    }
    assert_eq!(counts(&store).await, (40, 40));
}

#[tokio::test]
async fn what_waits_for_the_store_is_bounded_and_none_of_it_is_lost() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let small = AuditSettings {
        rotate_bytes: 2_048,
        backlog_bytes: 8_192,
        ..settings(dir.path())
    };
    let audit = Audit::open(small).unwrap();
    let mut recorded = 0;
    let refused = loop {
        recorded += 1;
        assert!(recorded < 100, "nothing bounds what waits for the store");
        if let Err(refused) = audit.record_durably(event(recorded)).await {
            break refused;
        }
    };
    assert!(matches!(refused, AuditError::Behind), "{refused}");
    assert!(
        audit
            .check()
            .unwrap_err()
            .to_string()
            .contains("backlog_bytes")
    );
    let auditor = start(&audit, &store);
    let carried = async {
        while audit.settle().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, carried).await.unwrap();
    assert_eq!(audit.check().map_err(|e| e.to_string()), Ok(()));
    assert_eq!(chain(&store, "acme").await.len() as u128, recorded);
    audit.record_durably(event(7_000)).await.unwrap();
    end(audit, auditor).await;
    let names = std::fs::read_dir(dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    // The log itself, how far it is carried, its lock, and one that was put aside at most.
    assert!(
        names.len() <= 4,
        "files stay that are in the store: {names:?}"
    );
}

fn intent(name: u128) -> Event {
    Event {
        kind: Kind::Intent(name),
        outcome: Outcome::Begun,
        ..event(name)
    }
}

fn done(name: u128) -> Event {
    Event {
        kind: Kind::Outcome(name),
        outcome: Outcome::Allow,
        ..event(name)
    }
}

#[tokio::test]
async fn an_intent_that_nobody_ended_is_told_of_once() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    for name in [7, 8] {
        audit.record_durably(intent(name)).await.unwrap();
    }
    audit.record_durably(done(7)).await.unwrap();
    audit.settle().await.unwrap();
    // A process ends here, having carried the intents. The next one writes down another.
    end(audit, auditor).await;
    let audit = Audit::open(settings(dir.path())).unwrap();
    audit.record_durably(intent(9)).await.unwrap();
    audit.close().await.unwrap();
    for _ in 0..2 {
        let audit = Audit::open(settings(dir.path())).unwrap();
        let auditor = start(&audit, &store);
        end(audit, auditor).await;
    }
    let unknown = |entry: &&AuditEntry| entry.outcome == "unknown";
    let acme = chain(&store, "acme").await;
    let told: Vec<_> = acme.iter().filter(unknown).map(body).collect();
    let names: Vec<_> = told
        .iter()
        .map(|line| line["intent"].as_str().unwrap())
        .collect();
    assert_eq!(names, [format!("{:032x}", 8), format!("{:032x}", 9)]);
    assert!(
        told[0]["note"].as_str().unwrap().contains("the host died"),
        "{}",
        told[0]
    );
    let written = lines(&dir.path().join("audit.jsonl"));
    assert_eq!(
        written
            .iter()
            .filter(|line| line["outcome"] == "unknown")
            .count(),
        2
    );
}

/// Who comes second would close what the first has under way, and cut what it writes.
#[tokio::test]
async fn a_log_that_is_open_is_nobody_elses() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let path = dir.path().join("audit.jsonl");
    let refused = || {
        let refused = Audit::open(settings(dir.path())).unwrap_err();
        assert!(matches!(refused, AuditError::InUse { .. }), "{refused}");
        refused.to_string()
    };
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    audit.record_durably(intent(7)).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let said = refused();
    let lock = dir.path().join("audit.jsonl.lock").display().to_string();
    assert!(said.contains(&lock) && said.contains("stop that"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    audit.record_durably(done(7)).await.unwrap();
    audit.close().await.unwrap();
    // The auditor reads the files to their end, and writes down how far it came.
    refused();
    assert!(auditor.end(PATIENCE).await, "the auditor did not end");
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    end(audit, auditor).await;
    let acme = chain(&store, "acme").await;
    let outcomes: Vec<_> = acme.iter().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(outcomes, ["begun", "allow"]);
    // One that nobody holds any more is free too, once its thread has seen so.
    drop(Audit::open(settings(dir.path())).unwrap());
    let free = async {
        while Audit::open(settings(dir.path())).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

fn body(entry: &AuditEntry) -> serde_json::Value {
    serde_json::from_slice(&entry.body).unwrap()
}

#[tokio::test]
async fn what_a_crash_cut_off_is_entered_as_unreadable() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    std::fs::write(dir.path().join("audit.jsonl"), "{\"time\":\"20").unwrap();
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    record(&audit, 0..1).await;
    end(audit, auditor).await;
    let host = chain(&store, "").await;
    let actions: Vec<_> = host.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["unreadable", "authenticate"]);
}

#[tokio::test]
async fn chains_are_signed_as_they_grow() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let key = SigningKey::generate().unwrap();
    let public = key.public();
    let auditing = AuditorSettings {
        notary: Some(Arc::new(Notary::new(key))),
        checkpoint_entries: 10,
        checkpoint_every: Duration::from_secs(3_600),
        keep: None,
    };
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start_with(&audit, &store, auditing);
    record(&audit, 0..9).await;
    audit.settle().await.unwrap();
    assert!(
        store
            .audit_checkpoints("acme", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
    record(&audit, 9..14).await;
    audit.settle().await.unwrap();
    let signed = async {
        loop {
            let found = store.audit_checkpoints("acme", None, 1).await.unwrap();
            if let Some(found) = found.into_iter().next() {
                return found.value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let signed = tokio::time::timeout(PATIENCE, signed).await.unwrap();
    let text = String::from_utf8(signed.signature.clone()).unwrap();
    assert!(text.starts_with("holdfast/audit/acme/0\n"), "{text}");
    let note = Note::parse(&text).unwrap();
    assert!(note.is_by(&public), "{text}");
    assert!(!note.is_by(&SigningKey::generate().unwrap().public()));
    assert_eq!((note.head, note.root), (signed.head(), signed.root));
    let forged = text.replace("\nseq ", "\nseq 0");
    assert!(Note::parse(&forged).is_none_or(|note| !note.is_by(&public)));
    end(audit, auditor).await;
    // Who comes after a process that died owing a checkpoint makes it.
    let auditing = AuditorSettings {
        notary: Some(Arc::new(Notary::new(SigningKey::generate().unwrap()))),
        checkpoint_entries: 1,
        checkpoint_every: Duration::ZERO,
        keep: None,
    };
    let again = Audit::open(settings(dir.path())).unwrap();
    let auditor = start_with(&again, &store, auditing);
    let caught_up = async {
        loop {
            let found = store.audit_checkpoints("acme", None, 1).await.unwrap();
            if found
                .first()
                .is_some_and(|found| found.value.last_seq == 14)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, caught_up).await.unwrap();
    end(again, auditor).await;
}

/// A chain that was changed in the store gets no signature.
#[tokio::test]
async fn a_chain_is_signed_while_lines_keep_coming() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let auditing = AuditorSettings {
        notary: Some(Arc::new(Notary::new(SigningKey::generate().unwrap()))),
        checkpoint_entries: 1,
        ..AuditorSettings::default()
    };
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start_with(&audit, &store, auditing);
    // Each look finds lines that have come since the last.
    let chatter = async {
        for number in 0.. {
            audit.record_durably(event(number)).await.unwrap();
        }
    };
    let signed = async {
        while store
            .audit_checkpoints("acme", None, 1)
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let signed = async {
        tokio::select! {
            () = chatter => {}
            () = signed => {}
        }
    };
    tokio::time::timeout(PATIENCE, signed).await.unwrap();
    end(audit, auditor).await;
}

#[tokio::test]
async fn what_is_not_as_it_was_written_is_not_signed() {
    let store = Store::memory();
    let notary = Notary::new(SigningKey::generate().unwrap());
    let (dir, head) = (tempfile::tempdir().unwrap(), AuditHead::start("acme"));
    let audit = Audit::open(settings(dir.path())).unwrap();
    let auditor = start(&audit, &store);
    record(&audit, 0..3).await;
    end(audit, auditor).await;
    let made = holdfast::ops::audit::sign_chain(&store, &notary, "acme")
        .await
        .unwrap();
    assert_eq!(made, 1);
    let again = holdfast::ops::audit::sign_chain(&store, &notary, "acme")
        .await
        .unwrap();
    assert_eq!(again, 0, "nothing has been entered since");
    let kept = store.audit_checkpoints("acme", None, 1).await.unwrap();
    assert_eq!(kept[0].value.last_seq, 3);
    // Somebody's else's checkpoint: of another chain than the one in the store.
    let mut other = kept[0].value.clone();
    (other.last_seq, other.last_hash) = (2, head.hash);
    let expect = holdfast_store::Expect::Any;
    store
        .put_audit_checkpoint("acme", &other, expect)
        .await
        .unwrap();
    let refused = holdfast::ops::audit::sign_chain(&store, &notary, "acme")
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("entry 2 is not the one that was signed"),
        "{refused}"
    );
}

/// The files' place is the operator's, who may take a file away.
#[tokio::test]
async fn a_file_that_is_gone_holds_nothing_up() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::memory());
    let small = |path: &Path| AuditSettings {
        rotate_bytes: 1_024,
        ..settings(path)
    };
    let audit = Audit::open(small(dir.path())).unwrap();
    for number in 0..8 {
        audit.record_durably(event(number)).await.unwrap();
    }
    let aside = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let aside = aside.filter(|path| path.extension().is_some_and(|end| end != "jsonl"));
    std::fs::remove_file(aside.min().unwrap()).unwrap();
    let auditor = start(&audit, &store);
    tokio::time::timeout(PATIENCE, audit.settle())
        .await
        .unwrap()
        .unwrap();
    let left = chain(&store, "acme").await.len();
    assert!((1..8).contains(&left), "{left}");
    end(audit, auditor).await;
}
