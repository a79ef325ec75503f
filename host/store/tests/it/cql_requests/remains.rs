//! What is left when everything has been deleted.

use super::{Process, must_be_clean, until};
use holdfast_model::{Pin, RequestFilter};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::records::Note;
use holdfast_store::contract::sample::{account, at, cid, draft, full_draft, request_id};
use holdfast_store::{Expect, Store};

/// Tables that keep rows, and why.
const KEPT: [&str; 11] = [
    // One row an account, for ever: `created` must grow past requests that are gone.
    "accounts",
    // What bills are made of; they go when billing says so.
    "usage_marks",
    "usage_slots",
    // One row an account: where its newest bucket begins. Older ones go when they are found empty.
    "request_buckets",
    // A removed pin's row goes by itself after ten minutes; that no other is left, the check says.
    "pins",
    // Likewise a deleted record's.
    "records",
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
    come_and_go_beside_requests(store).await;
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

/// What cluster nodes and the host itself put and delete: pins with an end, one of which ends and
/// one of which is given up before, and records.
async fn come_and_go_beside_requests(store: &Store) {
    for n in [50, 51] {
        let mut pin = Pin::recursive(cid(n).unwrap(), at(1_000));
        pin.options.expire_at = Some(at(4_000 + n));
        store.put_pin(pin, Expect::Absent).await.unwrap();
    }
    let given_up = cid(51).unwrap();
    store.delete_pin(&given_up, Expect::Any).await.unwrap();
    let ended = store.expired_pins(at(9_000_000), 10).await.unwrap();
    assert_eq!(ended.len(), 1, "what was given up has no end");
    for pin in ended {
        let delete = store.delete_pin(&pin.pin.cid, Expect::Version(pin.version));
        delete.await.unwrap();
    }
    assert_eq!(store.expired_pins(at(9_000_000), 10).await.unwrap(), []);

    for id in ["one", "two"] {
        let note = Note::new("acme", id, "text").until(9_000_000);
        store
            .put_record(&note, Expect::Absent, at(1))
            .await
            .unwrap();
        let deleted = store.delete_record::<Note>("acme", id, Expect::Any, at(2));
        deleted.await.unwrap();
    }
    let left = store
        .records::<Note>("acme", None, 10, at(3))
        .await
        .unwrap();
    assert!(left.is_empty(), "{} records", left.len());
}
