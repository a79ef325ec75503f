//! The walk over a store tells each thing that is amiss.

use crate::contract::audit::grow;
use crate::contract::keyspace::Keyspace;
use crate::contract::sample::{account, at, cid, full_draft, key, placement, request_id};
use crate::{Expect, Outcome, Store};
use holdfast_model::{Pin, RequestStatus};

/// Each table, in an order in which every loss still shows, and what is said of it.
const LOSSES: [(&str, &str); 17] = [
    ("audit_tenants", "audit_tenants lacks"),
    ("audit_segments", "audit_segments lacks segment 0"),
    ("request_buckets", "bucket that nobody looks into"),
    ("feed_slots", "slot that nobody looks into"),
    ("usage_slots", "is not in its index"),
    ("usage_marks", "the last usage mark"),
    ("expiry_slots", "expiry lacks request"),
    ("expiry", "expiry lacks pin"),
    ("due_slots", "the queue of"),
    ("placements_by_peer", "shows the placement"),
    ("keys_by_tenant", "the list of its tenant lacks"),
    ("tenants", "tenant acme of key"),
    ("key_hashes", "key_hashes lacks"),
    ("accounts", "acme/web has requests and no row"),
    ("pins", "is wanted and not there"),
    ("pin_requests", "pin_requests lacks request"),
    ("requests", "which is not there"),
];

async fn fill(store: &Store) {
    for n in 1..=3 {
        let draft = full_draft(n, n).unwrap();
        store.create_request(draft, at(n)).await.unwrap();
    }
    let outcome = Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(10),
        details: None,
    };
    let id = request_id(1);
    store.settle_request(id, 1, outcome, at(20)).await.unwrap();
    let account = account().unwrap();
    store
        .delete_request(&account, request_id(3), at(30))
        .await
        .unwrap();
    let mut pin = Pin::recursive(cid(4).unwrap(), at(1_000));
    pin.options.expire_at = Some(at(9_000_000));
    store.put_pin(pin, Expect::Any).await.unwrap();
    let mut due = placement(4, 1).unwrap();
    due.due = Some(at(50));
    store.put_placement(due, Expect::Any).await.unwrap();
    store.add_key(key(1).unwrap()).await.unwrap();
    grow(store, "acme", 2).await.unwrap();
}

async fn is_told(keyspace: &Keyspace, store: &Store, table: &str, expected: &str) {
    keyspace.lose(table).await.unwrap();
    let faults = store.check().await.unwrap();
    let is_told = faults.iter().any(|fault| fault.contains(expected));
    assert!(is_told, "without {table}: {faults:#?}");
}

/// A walk that finds nothing wrong proves nothing unless it would have.
#[tokio::test]
async fn the_loss_of_any_table_is_told() {
    let keyspace = Keyspace::fresh().unwrap();
    let store = Store::cql(keyspace.settings()).await.unwrap();
    fill(&store).await;
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    for (table, expected) in LOSSES {
        is_told(&keyspace, &store, table, expected).await;
    }
    // Nothing is left that this could be compared with.
    let draft = full_draft(9, 9).unwrap();
    store.create_request(draft, at(90)).await.unwrap();
    let expected = "the list of acme/web lacks request";
    is_told(&keyspace, &store, "requests_by_account", expected).await;
    store.close().await.unwrap();
}
