//! What is left when everything has been deleted.

use super::{Process, must_be_clean, until};
use holdfast_model::RequestFilter;
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{account, at, draft, full_draft, request_id};

/// Tables that keep rows, and why.
const KEPT: [&str; 10] = [
    // One row an account, for ever: `created` must grow past requests that are gone.
    "accounts",
    // What bills are made of; they go when billing says so.
    "usage_marks",
    "usage_slots",
    // One row an account: where its newest bucket begins. Older ones go when they are found empty.
    "request_buckets",
    // A removed pin's row goes by itself after ten minutes; that no other is left, the check says.
    "pins",
    // A slot goes from its index when it is past and has been found empty: ten minutes after the
    // slot for intents, an hour for expiry.
    "intent_slots",
    "expiry_slots",
    // The feed forgets by age.
    "change_feed",
    "feed_slots",
    // One row for each process that lives.
    "writers",
];

#[tokio::test]
async fn deletes_leave_nothing_behind() {
    let keyspace = Keyspace::empty().await.unwrap();
    let process = Process::on(&keyspace).await;
    let store = &process.store;
    let before = keyspace.rows().await.unwrap();
    for id in 1..=12 {
        let draft = if id % 2 == 0 {
            full_draft(id, id % 5).unwrap()
        } else {
            draft(id, id % 5).unwrap()
        };
        store.create_request(draft, at(100)).await.unwrap();
        process.settle(id, 1, id, 200).await;
    }
    for id in 1..=4 {
        let new = full_draft(100 + id, 7).unwrap();
        let replaced = store.replace_request(request_id(id), new, at(300));
        replaced.await.unwrap();
    }
    let account = account().unwrap();
    // As the expiry worker does it, and then as a client does.
    for expired in store.expired_requests(at(9_000_000), 100).await.unwrap() {
        store
            .delete_request(&expired.account, expired.id, at(9_000_000))
            .await
            .unwrap();
    }
    let all = RequestFilter::default();
    for left in store.requests(&account, &all, 100).await.unwrap() {
        store
            .delete_request(&account, left.id, at(9_000_001))
            .await
            .unwrap();
    }
    must_be_clean(&process, &keyspace).await;
    assert_eq!(store.holdings(&account).await.unwrap().counts.total(), 0);
    until("only what is kept is left", async || {
        let rows = keyspace.rows().await.unwrap();
        let left: Vec<_> = rows
            .keys()
            .filter(|table| !KEPT.contains(&table.as_str()) && !before.contains_key(*table))
            .collect();
        if !left.is_empty() {
            eprintln!("left in {left:?}");
        }
        left.is_empty()
    })
    .await;
    let rows = keyspace.rows().await.unwrap();
    assert_eq!((rows["accounts"], rows["request_buckets"]), (1, 1));
    process.store.close().await.unwrap();
}
