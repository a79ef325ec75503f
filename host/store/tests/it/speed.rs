//! How fast the embedded store is: measured on demand, never a verdict.
//!
//! `cargo test --release -p holdfast-store --test it speed -- --ignored --nocapture`

use holdfast_model::audit::verify;
use holdfast_model::{AccountId, AuditEntry, AuditHead, RequestFilter};
use holdfast_store::Store;
use holdfast_store::contract::audit::event;
use holdfast_store::contract::sample::{at, draft, request_id};
use std::time::{Duration, Instant};

/// Tasks that write at the same time, as many as the load harness has connections.
const TASKS: u64 = 64;

/// Requests that each of them makes.
const REQUESTS: u64 = 1_000;

#[ignore = "measures; run it alone on a quiet machine"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creating_listing_and_reading() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let store = Store::embedded(dir.path()).await.unwrap();
    println!("made in {:?}", began.elapsed());

    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..REQUESTS {
                    let id = task * REQUESTS + n;
                    let mut draft = draft(id, id).unwrap();
                    draft.account = AccountId::parse(&format!("acme/{task}")).unwrap();
                    store.create_request(draft, at(id)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let made = TASKS * REQUESTS;
    let took = began.elapsed();
    for family in store.metrics().iter().flat_map(|c| c.collect()) {
        if family.name().ends_with("_commit_seconds") {
            for metric in family.get_metric() {
                let commits = metric.get_histogram();
                let (count, sum) = (commits.get_sample_count(), commits.get_sample_sum());
                println!("{count} commits in {sum} s");
            }
        }
    }
    println!(
        "{} creates/s",
        u128::from(made) * 1_000_000 / took.as_micros()
    );

    let began = Instant::now();
    for id in 0..made {
        assert!(store.request(request_id(id)).await.unwrap().is_some());
    }
    println!(
        "{:?} for a read of one request",
        began.elapsed() / u32::try_from(made).unwrap()
    );

    let account = AccountId::parse("acme/1").unwrap();
    let began = Instant::now();
    for _ in 0..1_000 {
        let page = store
            .requests(&account, &RequestFilter::default(), 10)
            .await;
        assert_eq!(page.unwrap().len(), 10);
    }
    println!("{:?} for a first page of 10", began.elapsed() / 1_000);

    store.close().await.unwrap();
    let began = Instant::now();
    let store = Store::embedded(dir.path()).await.unwrap();
    println!("opened in {:?}", began.elapsed());
    store.close().await.unwrap();
}

/// Events of one append, and appends.
const BATCH: u64 = 500;
const BATCHES: u64 = 200;

/// Bytes of an event's body: a line of the log of a call that was allowed.
const BODY_BYTES: usize = 450;

#[ignore = "measures; run it alone on a quiet machine"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appending_to_an_audit_chain() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path()).await.unwrap();
    let mut head = store.audit_head("acme").await.unwrap();
    let mut chaining = Duration::ZERO;
    let began = Instant::now();
    for batch in 0..BATCHES {
        let began = Instant::now();
        let mut entries = Vec::new();
        let mut last = head;
        for n in 0..BATCH {
            let mut event = event(batch * BATCH + n);
            event.body = vec![b'x'; BODY_BYTES];
            let entry = AuditEntry::follow(&last, event).unwrap();
            last = entry.head();
            entries.push(entry);
        }
        chaining += began.elapsed();
        head = store.append_audit("acme", head, &entries).await.unwrap();
    }
    let took = began.elapsed();
    let entered = u128::from(BATCH * BATCHES);
    println!(
        "{} entries/s in batches of {BATCH}, {:?} each; {:?} of it to make their hashes",
        entered * 1_000_000 / took.as_micros(),
        took / u32::try_from(BATCHES).unwrap(),
        chaining / u32::try_from(BATCHES).unwrap()
    );
    let began = Instant::now();
    let mut start = AuditHead::start("acme");
    while start != head {
        let page = store.audit_entries("acme", start.seq + 1, 1_000).await;
        start = verify(&start, &page.unwrap(), &[]).unwrap();
    }
    println!(
        "{} entries/s read and verified",
        entered * 1_000_000 / began.elapsed().as_micros()
    );
    store.close().await.unwrap();
}
