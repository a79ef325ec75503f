//! The rules on a store in memory.

use super::*;
use holdfast_model::PlacementState;
use holdfast_model::action::{Host, WritePins};
use holdfast_model::{Placement, Role};
use holdfast_policy::{Context, Gate};

const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);
const EVERYWHERE: Defaults = Defaults {
    replication_min: -1,
    replication_max: -1,
};

fn peer(n: u8) -> PeerId {
    // An identity multihash of any bytes that look like a public key.
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([n; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

fn cid(n: u8) -> Cid {
    Cid::from_bytes(&[1, 0x55, 0, 1, n]).unwrap()
}

fn permit() -> Permit<WritePins> {
    let principal = holdfast_model::Principal {
        id: holdfast_model::PrincipalId::of_worker("test"),
        account: holdfast_model::AccountId::parse("default/admin").unwrap(),
        roles: [Role::ClusterNode].into_iter().collect(),
        proof: holdfast_model::principal::Proof::Internal,
    };
    let gate = Gate::open(None).unwrap();
    gate.permit::<WritePins>(&std::sync::Arc::new(principal), Host, &Context::default())
        .unwrap()
}

fn candidates(known: &[u8], healthy: &[u8]) -> Candidates {
    let peers = |all: &[u8]| all.iter().copied().map(peer).collect();
    Candidates {
        known: peers(known),
        healthy: peers(healthy),
    }
}

fn wish(n: u8, options: PinOptions) -> Wish {
    Wish {
        cid: cid(n),
        max_depth: MaxDepth::RECURSIVE,
        options,
    }
}

fn copies(min: i32, max: i32) -> PinOptions {
    PinOptions {
        replication_factor_min: min,
        replication_factor_max: max,
        ..PinOptions::default()
    }
}

async fn put(store: &Store, wish: &Wish, candidates: &Candidates) -> Result<Pin, ClusterError> {
    pin(store, &permit(), wish, EVERYWHERE, candidates, NOW).await
}

#[tokio::test]
async fn a_pin_is_everywhere_unless_it_says_otherwise() {
    let store = Store::memory();
    let made = put(&store, &wish(1, copies(0, 0)), &candidates(&[], &[]))
        .await
        .unwrap();
    assert_eq!(made.options.replication_factor_min, -1);
    assert_eq!(made.allocations, []);
    let stored = store.pin(&cid(1)).await.unwrap().unwrap();
    assert!(stored.by_cluster);
    assert_eq!(stored.pin, made.into_stored());
}

#[tokio::test]
async fn who_is_named_and_answers_holds_it() {
    let store = Store::memory();
    let all = candidates(&[1, 2, 3, 4], &[1, 2, 4]);
    let named = PinOptions {
        user_allocations: vec![peer(4), peer(3), peer(9)],
        ..copies(1, 2)
    };
    let made = put(&store, &wish(1, named), &all).await.unwrap();
    assert_eq!(made.allocations.len(), 2);
    assert!(made.allocations.contains(&peer(4)) && !made.allocations.contains(&peer(3)));
    let few = put(&store, &wish(2, copies(4, 4)), &all).await.unwrap_err();
    assert!(
        few.to_string()
            .contains("Needed at least: 4. Wanted at most: 4. Valid candidates: 3")
    );
    assert_eq!(
        store.pin(&cid(2)).await.unwrap(),
        None,
        "what is refused changes nothing"
    );
}

#[tokio::test]
async fn factors_that_cannot_be_are_refused() {
    let store = Store::memory();
    for (min, max) in [(2, 1), (-1, 2), (2, -1), (-2, -2), (1, -2)] {
        let refused = put(&store, &wish(1, copies(min, max)), &candidates(&[1], &[1])).await;
        assert!(
            matches!(refused, Err(ClusterError::Invalid(_))),
            "{min} {max}"
        );
    }
    assert_eq!(store.pin(&cid(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_recursive_pin_does_not_become_direct_but_a_direct_one_recursive() {
    let store = Store::memory();
    let all = candidates(&[1], &[1]);
    let direct = |n| Wish {
        max_depth: MaxDepth::DIRECT,
        ..wish(n, PinOptions::default())
    };
    put(&store, &wish(1, PinOptions::default()), &all)
        .await
        .unwrap();
    let refused = put(&store, &direct(1), &all).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Deeper));

    put(&store, &direct(2), &all).await.unwrap();
    let held = Placement {
        cid: cid(2),
        peer: peer(1),
        state: PlacementState::Pinned,
        due: None,
        attempts: 3,
        error: None,
        dag_size: Some(1),
        updated: NOW,
        version: 0,
    };
    store.put_placement(held, Expect::Absent).await.unwrap();
    put(&store, &wish(2, PinOptions::default()), &all)
        .await
        .unwrap();
    let again = store.placement(&cid(2), &peer(1)).await.unwrap().unwrap();
    assert_eq!(
        (again.state, again.attempts),
        (PlacementState::PinQueued, 0)
    );
}

#[tokio::test]
async fn an_update_is_what_the_old_pin_was_under_another_cid() {
    let store = Store::memory();
    let all = candidates(&[1, 2], &[1, 2]);
    let old = PinOptions {
        name: "old".into(),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        ..copies(1, 1)
    };
    let from = put(&store, &wish(1, old), &all).await.unwrap();
    let update = |name: &str, from| PinOptions {
        name: name.into(),
        pin_update: Some(cid(from)),
        ..copies(7, 7)
    };
    let to = put(&store, &wish(2, update("", 1)), &all).await.unwrap();
    assert_eq!(
        (&*to.options.name, &to.allocations),
        ("old", &from.allocations)
    );
    assert_eq!(
        (to.options.replication_factor_min, to.options.pin_update),
        (1, Some(cid(1)))
    );
    assert_eq!(to.options.metadata, from.options.metadata);
    let named = put(&store, &wish(3, update("new", 1)), &all).await.unwrap();
    assert_eq!(named.options.name, "new");
    assert!(
        store.pin(&cid(1)).await.unwrap().is_some(),
        "the old one stays"
    );
    let gone = put(&store, &wish(4, update("", 9)), &all)
        .await
        .unwrap_err();
    assert!(matches!(gone, ClusterError::NotPinned));
}

#[tokio::test]
async fn a_day_that_has_passed_is_refused() {
    let store = Store::memory();
    let past = PinOptions {
        expire_at: Some(NOW),
        ..PinOptions::default()
    };
    assert!(
        put(&store, &wish(1, past), &candidates(&[1], &[1]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn removing_answers_what_was_there_and_parts_do_not_go_alone() {
    let store = Store::memory();
    let made = put(
        &store,
        &wish(1, PinOptions::default()),
        &candidates(&[1], &[1]),
    )
    .await
    .unwrap();
    assert_eq!(
        unpin(&store, &permit(), &cid(1)).await.unwrap(),
        made.into_stored()
    );
    let gone = unpin(&store, &permit(), &cid(1)).await.unwrap_err();
    assert_eq!(gone.to_string(), "pin is not part of the pinset");
    let shard = Pin {
        pin_type: PinType::Shard,
        ..Pin::recursive(cid(2), NOW)
    };
    store.put_pin(shard, Expect::Any).await.unwrap();
    assert!(matches!(
        unpin(&store, &permit(), &cid(2)).await,
        Err(ClusterError::Part("shard"))
    ));
    removed_with(&store, &permit(), &[cid(2), cid(3)])
        .await
        .unwrap();
    assert_eq!(store.pin(&cid(2)).await.unwrap(), None);
}

#[tokio::test]
async fn only_what_has_failed_or_was_lost_begins_again() {
    let store = Store::memory();
    let states = [
        (1, PlacementState::PinError, 12),
        (2, PlacementState::Pinned, 0),
        (3, PlacementState::PinQueued, 0),
        (4, PlacementState::PinQueued, 2),
        (5, PlacementState::UnpinQueued, 1),
        (6, PlacementState::Pinning, 3),
        (7, PlacementState::Pinned, 0),
    ];
    for (n, state, attempts) in states {
        let placement = Placement {
            cid: cid(1),
            peer: peer(n),
            state,
            due: Some(UnixMillis::MAX),
            attempts,
            error: Some("no luck".into()),
            dag_size: None,
            updated: NOW,
            version: 0,
        };
        store
            .put_placement(placement, Expect::Absent)
            .await
            .unwrap();
    }
    let lost = [peer(7), peer(3)];
    let mut again = recover(&store, &permit(), &cid(1), &lost, NOW)
        .await
        .unwrap()
        .peers;
    again.sort_unstable();
    let mut expected = [1, 4, 5, 7].map(peer);
    expected.sort_unstable();
    assert_eq!(again, expected);
    let unpin = store.placement(&cid(1), &peer(5)).await.unwrap().unwrap();
    assert_eq!(
        (unpin.state, unpin.due),
        (PlacementState::UnpinQueued, Some(NOW))
    );
    assert_eq!(
        recover(&store, &permit(), &cid(1), &[], NOW)
            .await
            .unwrap()
            .peers,
        []
    );
}
