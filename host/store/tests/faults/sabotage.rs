//! The harness must be able to fail: writes are undone behind its back, and it must say which.

use crate::feed::Follower;
use crate::ledger::Ledger;
use crate::lists;
use crate::load::{Load, World, named, now};
use crate::verify;
use holdfast_model::{Cid, PinRequest, RequestId, RequestStatus};
use holdfast_store::{Expect, Outcome, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Requests that the load must have made before it is tampered with.
const ENOUGH: usize = 200;

/// Loses, changes and brings back what a store in memory has acknowledged.
///
/// # Panics
/// If any of it passes unnoticed, or if anything is noticed before.
pub(crate) async fn must_be_noticed(seed: u64) {
    let store = Store::memory();
    let stores = [store.clone(), store.clone()];
    let world = Arc::new(World::new(stores, "sabotage", 0, seed));
    let follower = Follower::start(&world);
    let load = Load::start(&world);
    while world.ledger.requests().len() < ENOUGH {
        sleep(Duration::from_millis(10)).await;
    }
    load.finish().await;
    verify::all(&world, &store).await;
    follower.finish().await;
    assert_eq!(world.ledger.complaints(), (0, Vec::new()));

    let mut tampered = vec![
        lose_what_is_listed(&world, &store).await,
        lose_a_request(&world.ledger, &store).await,
        settle_a_request(&world.ledger, &store).await,
    ];
    tampered.extend(change_pins(&world.ledger, &store).await);
    verify::all(&world, &store).await;
    let (_, complaints) = world.ledger.complaints();
    for what in tampered {
        let is_told = complaints.iter().any(|told| told.contains(&what));
        assert!(
            is_told,
            "{what} was tampered with unnoticed: {complaints:#?}"
        );
    }
}

/// Loses what is on the first page of an account: its readers must say so. Not the newest, which is
/// the next one's to settle.
async fn lose_what_is_listed(world: &World, store: &Store) -> String {
    let account = world.account(0);
    let sure = world.ledger.sure_of(&account);
    let mut newest: Vec<_> = sure.there.values().collect();
    newest.sort_by_key(|request| std::cmp::Reverse(request.created));
    let PinRequest { id, status, .. } = newest[1];
    store.delete_request(&account, *id, now()).await.unwrap();
    lists::list(world, store, &account).await;
    lists::list_and_count(world, store, &account).await;
    lists::count(world, store, &account).await;
    let (_, complaints) = world.ledger.complaints();
    let told = |what: &str| complaints.iter().filter(|told| told.contains(what)).count();
    let lost = format!("request {id} is not listed");
    assert_eq!(told(&lost), 2, "{complaints:#?}");
    let counted = format!("are counted as {status} of");
    assert_eq!(told(&counted), 1, "{complaints:#?}");
    lost
}

async fn lose_a_request(ledger: &Ledger, store: &Store) -> String {
    let requests = ledger.requests();
    let lost = requests.iter().find(|known| !known.is_gone).unwrap();
    let (id, account) = (lost.draft.id, &lost.draft.account);
    store.delete_request(account, id, now()).await.unwrap();
    format!("request {id} is not there")
}

async fn settle_a_request(ledger: &Ledger, store: &Store) -> String {
    let requests = ledger.requests();
    let settled = requests.iter().rev().find(|known| !known.is_gone).unwrap();
    let id: RequestId = settled.draft.id;
    let version = settled.acknowledged.as_ref().unwrap().version;
    let outcome = Outcome {
        status: RequestStatus::Failed,
        dag_size: None,
        details: None,
    };
    store
        .settle_request(id, version, outcome, now())
        .await
        .unwrap();
    format!("request {id} is failed")
}

/// One is changed, one brought back, one that was contended for is lost.
async fn change_pins(ledger: &Ledger, store: &Store) -> [String; 3] {
    let pins = ledger.pins();
    let kept = pins.iter().find(|known| known.acknowledged.is_some());
    let gone = pins.iter().find(|known| known.acknowledged.is_none());
    let put = |cid: Cid| store.put_pin(named(cid, "not by its owner"), Expect::Any);
    let (kept, gone) = (kept.unwrap().cid, gone.unwrap().cid);
    put(kept).await.unwrap();
    put(gone).await.unwrap();
    let (contended, _) = ledger.contended().swap_remove(0);
    store.delete_pin(&contended, Expect::Any).await.unwrap();
    [kept, gone, contended].map(|cid| format!("pin {cid}"))
}
