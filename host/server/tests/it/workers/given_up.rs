//! Failures that are repeated, and given up.

use super::*;

fn hasty(api: &str) -> Scene {
    let mut scene = Scene::new(api, brisk());
    scene.tuning.patience.stall = Duration::from_millis(200);
    scene
}

#[tokio::test]
async fn what_nobody_has_is_given_up_in_the_end_and_may_be_asked_for_again() {
    let node = KuboNode::start().await;
    let other = KuboNode::start().await;
    let cid = other.add(b"late to come");
    let mut scene = hasty(&node.api());
    scene.begin_with_node().await;
    let first = scene.ask("acme/web", &cid).await;
    let failed = scene.until_status(first, RequestStatus::Failed).await;
    assert!(
        failed
            .details
            .unwrap()
            .starts_with("given up after 3 attempts; the last one: no block came")
    );
    let placement = scene.until_state(&cid, PlacementState::PinError).await;
    assert_eq!(placement.attempts, 3);
    until("nothing is due", async || {
        scene.placement(&cid).await.unwrap().due.is_none()
    })
    .await;
    scene.reconcile().await;
    assert_eq!(
        scene.placement(&cid).await.unwrap().state,
        PlacementState::PinError
    );

    node.add(b"late to come");
    let second = scene.ask("acme/web", &cid).await;
    scene.until_status(second, RequestStatus::Pinned).await;
    // The content is there, so the first request has what it wanted, and is charged for it.
    scene.until_status(first, RequestStatus::Pinned).await;
}

#[tokio::test]
async fn giving_up_on_a_failed_request_leaves_nothing_behind() {
    let node = KuboNode::start().await;
    let mut scene = hasty(&node.api());
    scene.begin_with_node().await;
    let id = scene.ask("acme/web", &nowhere()).await;
    scene.until_status(id, RequestStatus::Failed).await;
    scene.give_up("acme/web", id).await;
    scene.until_gone(&nowhere()).await;
}
