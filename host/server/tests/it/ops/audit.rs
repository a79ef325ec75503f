//! The audit log keeps every event, in order, in whole lines.

use crate::support::host::full_disk;
use holdfast::ops::audit::{Audit, AuditSettings, Event, Kind, Outcome};
use holdfast_model::action::{RequestRef, Resource};
use holdfast_model::principal::Proof;
use holdfast_model::{
    AccountId, Action, KeyId, Principal, PrincipalId, RequestId, Role, Roles, UnixMillis,
};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

pub(super) fn settings(dir: &Path) -> AuditSettings {
    AuditSettings {
        path: dir.join("audit.jsonl"),
        rotate_bytes: 1 << 20,
        backlog_bytes: 1 << 30,
    }
}

pub(super) fn event(number: u128) -> Event {
    let key = KeyId::parse("abcd").unwrap();
    Event {
        kind: Kind::Call,
        route: Some(("GET", "/psa/pins/{requestid}")),
        tenant: None,
        cid: None,
        is_allowed: false,
        components: Arc::default(),
        at: UnixMillis::new(1_700_000_000_007),
        request_id: number,
        principal: Some(Arc::new(Principal {
            id: PrincipalId::of_key(&key),
            account: AccountId::parse("acme/web").unwrap(),
            roles: Roles::NONE.with(Role::TenantUser),
            proof: Proof::Key(key),
        })),
        action: Some(Action::ReadRequest),
        resource: Some(Resource::Request(RequestRef {
            account: AccountId::parse("acme/web").unwrap(),
            id: RequestId(uuid::Uuid::nil()),
        })),
        outcome: Outcome::Deny,
        decision: None,
        plugin: Some(Box::new(("quota".to_owned(), "too much\n".to_owned()))),
        note: None,
        status: 403,
        remote: None,
    }
}

pub(super) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_flushed_is_in_the_file_with_all_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(settings(dir.path())).unwrap();
    audit.record_durably(event(0x2a)).await.unwrap();
    let lines = lines(&dir.path().join("audit.jsonl"));
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(line["time"], "2023-11-14T22:13:20.007Z");
    assert_eq!(line["request_id"], "0000000000000000000000000000002a");
    assert_eq!(line["actor"]["id"], "key:abcd");
    assert_eq!(line["actor"]["roles"][0], "tenant-user");
    assert_eq!(line["action"], "readRequest");
    assert_eq!(line["resource"]["account"], "acme/web");
    assert_eq!(line["outcome"], "deny");
    assert_eq!(line["status"], 403);
    assert_eq!(line["plugin"]["said"], "too much\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_lose_nothing_when_the_queue_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(AuditSettings {
        rotate_bytes: u64::MAX,
        ..settings(dir.path())
    })
    .unwrap();
    let writers: Vec<_> = (0..4_u128)
        .map(|writer| {
            let audit = audit.clone();
            tokio::spawn(async move {
                for number in 0..5_000 {
                    audit.record(event(writer << 64 | number)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    audit.close().await.unwrap();
    let lines = lines(&dir.path().join("audit.jsonl"));
    assert_eq!(lines.len(), 20_000);
    for writer in 0..4_u128 {
        let prefix = format!("{writer:016x}");
        let of_writer = lines
            .iter()
            .filter_map(|line| line["request_id"].as_str()?.strip_prefix(&prefix));
        assert!(of_writer.is_sorted(), "writer {writer} is out of order");
    }
}

#[tokio::test]
async fn a_full_file_is_put_aside_and_nothing_of_it_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(AuditSettings {
        rotate_bytes: 4_096,
        ..settings(dir.path())
    })
    .unwrap();
    for number in 0..64 {
        audit.record_durably(event(number)).await.unwrap();
    }
    let mut files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|path| path.extension().is_none_or(|end| end != "lock"))
        .collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    assert!(
        files
            .iter()
            .all(|file| std::fs::metadata(file).unwrap().len() <= 4_096)
    );
    assert_eq!(
        files.iter().map(|file| lines(file).len()).sum::<usize>(),
        64
    );
}

#[tokio::test]
async fn a_line_that_a_crash_cut_off_does_not_spoil_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    std::fs::write(&path, "{\"time\":\"20").unwrap();
    let audit = Audit::open(settings(dir.path())).unwrap();
    audit.record_durably(event(1)).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap()["status"], 403);
}

#[tokio::test]
async fn a_full_disk_is_reported_and_a_place_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(AuditSettings {
        path: full_disk(dir.path()),
        rotate_bytes: u64::MAX,
        backlog_bytes: u64::MAX,
    })
    .unwrap();
    let refused = audit.record_durably(event(1)).await.unwrap_err();
    assert!(refused.to_string().contains("free space"), "{refused}");
    assert!(audit.check().is_err());
    let nowhere = Audit::open(AuditSettings {
        path: "/proc/none/audit.jsonl".into(),
        rotate_bytes: 1,
        backlog_bytes: 1,
    });
    assert!(
        nowhere
            .unwrap_err()
            .to_string()
            .contains("/proc/none/audit.jsonl")
    );
}

#[tokio::test]
async fn a_closed_log_refuses_and_one_that_is_off_takes_all() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(settings(dir.path())).unwrap();
    audit.close().await.unwrap();
    assert!(
        audit.record(event(1)).await.is_err(),
        "a closed log must not take what it cannot write"
    );
    assert!(Audit::off().record(event(1)).await.is_ok());
}
