//! What requests say of a pin that several peers hold.

use super::placing::{cid, fleet, peers, permit, put};
use super::*;
use holdfast::pins::place::{Occasion, place};
use holdfast::pins::report;
use holdfast_model::UnixMillis;

const NOW: UnixMillis = UnixMillis::new(1_000);

/// A store with one request for a pin that is placed on `count` peers and insists on `copies`.
async fn on_peers(count: u8, copies: i32) -> (Scene, RequestId) {
    let scene = Scene::new("http://127.0.0.1:1", brisk());
    put(&scene.store, cid(1), copies).await;
    let id = scene.ask("acme/web", &cid(1)).await;
    let fleet = fleet(count);
    place(
        &scene.store,
        &permit(),
        &cid(1),
        &fleet,
        Occasion::Change,
        NOW,
    )
    .await
    .unwrap();
    (scene, id)
}

async fn row(scene: &Scene, n: usize) -> Placement {
    let peer = peers(9)[n];
    scene
        .store
        .placement(&cid(1), &peer)
        .await
        .unwrap()
        .unwrap()
}

/// Has peer `n` pin it, or give up.
async fn end(scene: &Scene, n: usize, dag_size: Option<u64>) {
    let (store, permit) = (&scene.store, permit());
    let claimed = report::claim(store, &permit, &row(scene, n).await, 1_000, NOW).await;
    let claimed = claimed.unwrap().unwrap();
    let ended = match dag_size {
        Some(size) => report::fetched(store, &permit, &claimed, size, NOW).await,
        None => report::failed(store, &permit, &claimed, "no luck", None, NOW).await,
    };
    assert!(ended.unwrap().is_some());
}

async fn status(scene: &Scene, id: RequestId) -> RequestStatus {
    report::settle(&scene.store, &permit(), &cid(1), None, NOW)
        .await
        .unwrap();
    scene.request(id).await.status
}

#[tokio::test]
async fn one_copy_is_enough_unless_the_pin_insists_on_more() {
    for (copies, enough) in [(-1, 1), (1, 1), (2, 2), (3, 3)] {
        let (scene, id) = on_peers(3, copies).await;
        assert_eq!(status(&scene, id).await, RequestStatus::Queued);
        let placed = scene.store.placements_of_pin(&cid(1)).await.unwrap();
        for (n, placement) in placed.iter().enumerate() {
            let nth = peers(9)
                .iter()
                .position(|peer| *peer == placement.peer)
                .unwrap();
            end(&scene, nth, Some(5)).await;
            let pinned = status(&scene, id).await == RequestStatus::Pinned;
            assert_eq!(pinned, n + 1 >= enough, "{copies} copies, {} there", n + 1);
        }
    }
}

#[tokio::test]
async fn only_when_all_peers_have_given_up_has_the_request_failed() {
    let (scene, id) = on_peers(2, -1).await;
    end(&scene, 0, None).await;
    assert_eq!(status(&scene, id).await, RequestStatus::Pinning);
    end(&scene, 1, None).await;
    assert_eq!(status(&scene, id).await, RequestStatus::Failed);
}

#[tokio::test]
async fn a_worker_that_was_overtaken_changes_nothing() {
    let (scene, _) = on_peers(1, -1).await;
    let seen = row(&scene, 0).await;
    let (store, permit) = (&scene.store, permit());
    assert!(
        report::claim(store, &permit, &seen, 1_000, NOW)
            .await
            .unwrap()
            .is_some()
    );
    let current = row(&scene, 0).await;
    assert_eq!(
        report::claim(store, &permit, &seen, 1_000, NOW)
            .await
            .unwrap(),
        None
    );
    let failed = report::failed(store, &permit, &seen, "late", None, NOW)
        .await
        .unwrap();
    assert_eq!(failed, None);
    report::removed(store, &permit, &seen).await.unwrap();
    assert_eq!(row(&scene, 0).await, current);
}

#[tokio::test]
async fn what_was_let_go_is_not_pinned_by_a_late_report() {
    let (scene, id) = on_peers(1, -1).await;
    let (store, permit) = (&scene.store, permit());
    let claimed = report::claim(store, &permit, &row(&scene, 0).await, 1_000, NOW).await;
    let claimed = claimed.unwrap().unwrap();
    scene.give_up("acme/web", id).await;
    store
        .delete_pin(&cid(1), holdfast_store::Expect::Any)
        .await
        .unwrap();
    place(store, &permit, &cid(1), &fleet(1), Occasion::Change, NOW)
        .await
        .unwrap();
    assert_eq!(
        report::fetched(store, &permit, &claimed, 5, NOW)
            .await
            .unwrap(),
        None
    );
    assert_eq!(row(&scene, 0).await.state, PlacementState::UnpinQueued);
    // Let go and wanted again while it was fetched: the report holds.
    put(store, cid(1), -1).await;
    place(store, &permit, &cid(1), &fleet(1), Occasion::Change, NOW)
        .await
        .unwrap();
    assert!(
        report::fetched(store, &permit, &claimed, 5, NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(row(&scene, 0).await.state, PlacementState::Pinned);
}
