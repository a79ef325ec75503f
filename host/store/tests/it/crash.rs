//! `kill -9` at any moment: every acknowledged write is there afterwards, and everything agrees.

use super::child;
use holdfast_model::{Cursor, RequestFilter, RequestStatus};
use holdfast_store::contract::audit::grow;
use holdfast_store::contract::sample::{account, at, full_draft, request_id};
use holdfast_store::{Outcome, Store};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Times that a writer is killed.
const KILLS: u64 = 10;

/// Writes that are acknowledged before a kill, at most.
const WRITES_MAX: usize = 300;

/// Tasks that write at the same time: a group commit carries several of them.
const TASKS: u64 = 8;

/// Whose chain is written, and what its lines begin with.
const AUDIT: &str = "audit";

/// How far a request had come: each step is one write, and each request takes them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    Created,
    Pinned,
    Deleted,
}

const STAGES: [Stage; 4] = [
    Stage::Nothing,
    Stage::Created,
    Stage::Pinned,
    Stage::Deleted,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut entered = 0;
    for round in 0..KILLS {
        let writes = rand::rng().random_range(1..WRITES_MAX);
        std::fs::write(dir.path().join("round"), round.to_string()).unwrap();
        for said in kill_after(&dir.path().join("store"), dir.path(), writes) {
            let (id, stage) = said.split_once(' ').unwrap();
            if id == AUDIT {
                entered = entered.max(stage.parse().unwrap());
                continue;
            }
            let stage = STAGES[stage.parse::<usize>().unwrap()];
            let known = acknowledged.entry(id.parse::<u64>().unwrap());
            let known = known.or_insert(Stage::Nothing);
            *known = stage.max(*known);
        }
        verify(&dir.path().join("store"), &acknowledged, entered).await;
    }
    assert!(entered > 0);
    assert!(acknowledged.len() as u64 >= KILLS);
}

/// Lets a child write until it has acknowledged so many writes, and kills it.
fn kill_after(store: &Path, dir: &Path, writes: usize) -> Vec<String> {
    let mut child = child::start("crash::writes_until_killed", dir);
    let mut heard = child::heard(&mut child);
    let mut said: Vec<_> = heard.by_ref().take(writes).collect();
    assert_eq!(
        said.len(),
        writes,
        "the child died by itself over {}",
        store.display()
    );
    child.kill().unwrap();
    said.extend(heard);
    child.wait().unwrap();
    said
}

async fn verify(dir: &Path, acknowledged: &BTreeMap<u64, Stage>, entered: u64) {
    let store = Store::embedded(dir).await.unwrap();
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    let head = store.audit_head(AUDIT).await.unwrap();
    assert!(
        head.seq >= entered,
        "entry {entered} was acknowledged, and {} is the last",
        head.seq
    );
    for (id, stage) in acknowledged {
        let request = store.request(request_id(*id)).await.unwrap();
        let found = match request.map(|r| r.status) {
            Some(RequestStatus::Queued) => Stage::Created,
            Some(_) => Stage::Pinned,
            None if *stage >= Stage::Pinned => Stage::Deleted,
            None => Stage::Nothing,
        };
        assert!(
            found >= *stage,
            "request {id}: {stage:?} was acknowledged, {found:?} is there"
        );
    }
    let listed = store
        .requests(&account().unwrap(), &RequestFilter::default(), u32::MAX)
        .await;
    let listed: BTreeSet<_> = listed.unwrap().iter().map(|r| r.id.0.as_u128()).collect();
    let counted = store
        .count_requests(&account().unwrap(), &RequestFilter::default())
        .await;
    assert_eq!(counted.unwrap(), listed.len() as u64);
    let changes = store.changes(Cursor::START, u32::MAX).await.unwrap();
    let announced: BTreeSet<_> = changes.iter().map(|c| c.cid.to_bytes()).collect();
    for pin in store.pins(None, u32::MAX).await.unwrap() {
        assert!(
            announced.contains(&pin.pin.cid.to_bytes()),
            "{} was not announced",
            pin.pin.cid
        );
    }
    store.close().await.unwrap();
}

#[ignore = "the writer that another test kills"]
#[tokio::test(flavor = "multi_thread")]
async fn writes_until_killed() {
    let dir = child::dir();
    let round: u64 = std::fs::read_to_string(dir.join("round"))
        .unwrap()
        .parse()
        .unwrap();
    let store = Store::embedded(&dir.join("store")).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    live(&store, (round * TASKS + task) << 32 | n).await;
                }
            })
        })
        .collect();
    let chain = tokio::spawn(async move { enter(&store).await });
    for task in tasks.into_iter().chain([chain]) {
        task.await.unwrap();
    }
}

/// A chain that grows by a few entries at a time.
async fn enter(store: &Store) {
    for more in (1..5).cycle() {
        let head = store.audit_head(AUDIT).await.unwrap();
        let head = grow(store, AUDIT, head.seq + more).await.unwrap();
        child::say(&format!("{AUDIT} {}", head.seq));
    }
}

/// One request's life, each step told once it has been acknowledged.
async fn live(store: &Store, id: u64) {
    let said = |stage: Stage| child::say(&format!("{id} {}", stage as u8));
    store
        .create_request(full_draft(id, id % 97).unwrap(), at(id))
        .await
        .unwrap();
    said(Stage::Created);
    let outcome = Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(id % 1_000),
        details: None,
    };
    store
        .settle_request(request_id(id), 1, outcome, at(id))
        .await
        .unwrap();
    said(Stage::Pinned);
    if id.is_multiple_of(3) {
        store
            .delete_request(&account().unwrap(), request_id(id), at(id))
            .await
            .unwrap();
        said(Stage::Deleted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_killed_while_it_was_made_can_be_made() {
    for _ in 0..KILLS {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("round"), "0").unwrap();
        let mut child = child::start("crash::writes_until_killed", dir.path());
        // Making a store takes some tens of milliseconds; the moment is to be any of them.
        let moment = rand::rng().random_range(1..250);
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        verify(&dir.path().join("store"), &BTreeMap::new(), 0).await;
    }
}
