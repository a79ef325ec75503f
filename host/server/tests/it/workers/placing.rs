//! Which peers are to hold a pin.

use super::*;
use holdfast::pins::nodes::{self, DrivenNode};
use holdfast::pins::place::{Fleet, Occasion, Placed, place};
use holdfast_model::action::{DriveWork, Host};
use holdfast_model::pin::{Pin, PinOptions};
use holdfast_model::{PeerId, UnixMillis};
use holdfast_policy::{Context, Permit, system_principal};
use holdfast_store::Expect;
use std::collections::BTreeMap;

const NOW: UnixMillis = UnixMillis::new(1_000);

pub(super) fn permit() -> Permit<DriveWork> {
    gate()
        .permit(&system_principal("placement"), Host, &Context::default())
        .unwrap()
}

/// Peers with identity multihashes of Ed25519 keys, as libp2p makes them.
pub(super) fn peers(count: u8) -> Vec<PeerId> {
    let peer = |n: u8| {
        let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
        bytes.extend([n; 32]);
        PeerId::from_bytes(&bytes).unwrap()
    };
    (1..=count).map(peer).collect()
}

pub(super) fn fleet(count: u8) -> Fleet {
    Fleet {
        peers: peers(count),
        complete: true,
    }
}

pub(super) fn cid(n: u8) -> Cid {
    let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
    bytes.extend([n; 32]);
    Cid::from_bytes(&bytes).unwrap()
}

pub(super) async fn put(store: &Store, cid: Cid, copies: i32) {
    let mut pin = Pin::recursive(cid, NOW);
    pin.options = PinOptions {
        replication_factor_min: copies,
        replication_factor_max: copies,
        ..PinOptions::default()
    };
    store.put_pin(pin, Expect::Any).await.unwrap();
}

async fn placed(store: &Store, cid: &Cid, fleet: &Fleet) -> Placed {
    place(store, &permit(), cid, fleet, Occasion::Change, NOW)
        .await
        .unwrap()
}

async fn holders(store: &Store, cid: &Cid) -> Vec<PeerId> {
    let mut held: Vec<_> = store.placements_of_pin(cid).await.unwrap();
    held.retain(|p| p.state != PlacementState::UnpinQueued);
    held.iter().map(|p| p.peer).collect()
}

#[tokio::test]
async fn a_pin_goes_to_as_many_peers_as_it_asks_for() {
    let store = Store::memory();
    for (copies, expected) in [(-1, 5), (0, 5), (1, 1), (2, 2), (9, 5)] {
        let cid = cid(u8::try_from(copies + 10).unwrap());
        put(&store, cid, copies).await;
        assert_eq!(
            placed(&store, &cid, &fleet(5)).await.changed.len(),
            expected
        );
        assert_eq!(holders(&store, &cid).await.len(), expected);
        let allocations = store.pin(&cid).await.unwrap().unwrap().pin.allocations;
        let on_all = copies <= 0;
        assert_eq!(allocations.len(), if on_all { 0 } else { expected });
    }
}

#[tokio::test]
async fn placing_twice_changes_nothing() {
    let store = Store::memory();
    put(&store, cid(1), 2).await;
    placed(&store, &cid(1), &fleet(5)).await;
    let (rows, pin) = (
        store.placements_of_pin(&cid(1)).await.unwrap(),
        store.pin(&cid(1)).await.unwrap(),
    );
    assert!(placed(&store, &cid(1), &fleet(5)).await.changed.is_empty());
    assert_eq!(store.placements_of_pin(&cid(1)).await.unwrap(), rows);
    assert_eq!(store.pin(&cid(1)).await.unwrap(), pin);
}

#[tokio::test]
async fn pins_spread_over_the_peers_and_stay_when_peers_join() {
    let store = Store::memory();
    let mut load: BTreeMap<PeerId, usize> = BTreeMap::new();
    for n in 0..100 {
        put(&store, cid(n), 1).await;
        placed(&store, &cid(n), &fleet(4)).await;
        let before = holders(&store, &cid(n)).await;
        *load.entry(before[0]).or_default() += 1;
        assert!(placed(&store, &cid(n), &fleet(5)).await.changed.is_empty());
        assert_eq!(holders(&store, &cid(n)).await, before);
    }
    assert!(
        load.len() == 4 && load.values().all(|pins| (10..45).contains(pins)),
        "{load:?}"
    );
}

#[tokio::test]
async fn a_peer_that_is_surely_gone_is_replaced_and_one_not_seen_yet_is_not() {
    let store = Store::memory();
    put(&store, cid(1), 1).await;
    placed(&store, &cid(1), &fleet(3)).await;
    let before = holders(&store, &cid(1)).await;
    let rest = |complete| Fleet {
        peers: peers(3)
            .into_iter()
            .filter(|peer| *peer != before[0])
            .collect(),
        complete,
    };
    placed(&store, &cid(1), &rest(false)).await;
    assert!(holders(&store, &cid(1)).await.contains(&before[0]));
    placed(&store, &cid(1), &rest(true)).await;
    let after = holders(&store, &cid(1)).await;
    assert!(after.len() == 1 && after != before);
}

#[tokio::test]
async fn letting_go_comes_before_everything_that_is_due() {
    let store = Store::memory();
    put(&store, cid(1), -1).await;
    put(&store, cid(2), -1).await;
    placed(&store, &cid(1), &fleet(1)).await;
    placed(&store, &cid(2), &fleet(1)).await;
    store.delete_pin(&cid(2), Expect::Any).await.unwrap();
    assert!(!placed(&store, &cid(2), &fleet(1)).await.wanted);
    let due = store.due_placements(&peers(1)[0], NOW, 1).await.unwrap();
    assert_eq!(
        (due[0].cid, due[0].state),
        (cid(2), PlacementState::UnpinQueued)
    );
    // Wanted again before anybody let go of it.
    put(&store, cid(2), -1).await;
    placed(&store, &cid(2), &fleet(1)).await;
    assert_eq!(holders(&store, &cid(2)).await.len(), 1);
}

/// Of processes that share a store each drives nodes of its own. What one does not drive is not
/// gone as long as another has told of it within a day.
#[tokio::test]
async fn a_node_that_another_process_drives_is_not_taken_for_gone() {
    const DAY: u64 = 86_400_000;
    let store = Store::memory();
    put(&store, cid(1), -1).await;
    placed(&store, &cid(1), &fleet(2)).await;
    let [own, other] = peers(2).try_into().unwrap();
    let node = DrivenNode::answering("http://other", other, Vec::new(), "kubo".into(), NOW);
    let permit = permit();
    let tell = async || nodes::tell(&store, &permit, node.clone(), NOW).await;
    assert!(tell().await.unwrap());
    assert!(!tell().await.unwrap(), "it is new once");
    let alone = Fleet {
        peers: vec![own],
        complete: true,
    };
    let place_at = async |now| {
        let cid = cid(1);
        let placed = place(&store, &permit, &cid, &alone, Occasion::Round, now);
        placed.await.unwrap();
        holders(&store, &cid).await
    };
    assert_eq!(place_at(NOW.plus_millis(DAY - 1)).await.len(), 2);
    assert_eq!(place_at(NOW.plus_millis(DAY)).await, [own]);
}
