//! What a full round finds and mends.

use super::*;
use holdfast_model::UnixMillis;

#[tokio::test]
async fn a_pin_that_somebody_removed_on_the_node_comes_back() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let (cid, other) = (node.add(b"removed by hand"), node.add(b"left alone"));
    let id = scene.ask("acme/web", &cid).await;
    let kept = scene.ask("acme/web", &other).await;
    scene.until_status(id, RequestStatus::Pinned).await;
    scene.until_status(kept, RequestStatus::Pinned).await;
    let version = scene.request(kept).await.version;
    node.ipfs(&["pin", "rm", &cid.to_string()]);
    scene.reconcile().await;
    assert_eq!(scene.mended("lost"), 1);
    until("the node has it again", async || {
        node.has(&cid, "recursive")
    })
    .await;
    scene.until_status(id, RequestStatus::Pinned).await;
    assert_eq!(scene.request(kept).await.version, version);
}

#[tokio::test]
async fn what_is_lost_is_not_charged_until_it_is_back() {
    let node = KuboNode::start().await;
    let mut scene = Scene::on(&node).await;
    let cid = node.add(b"lost with its blocks");
    let id = scene.ask("acme/web", &cid).await;
    scene.until_status(id, RequestStatus::Pinned).await;
    node.ipfs(&["pin", "rm", &cid.to_string()]);
    node.ipfs(&["block", "rm", &cid.to_string()]);
    scene.tuning.patience.stall = Duration::from_secs(600);
    scene.reconcile().await;
    scene.until_status(id, RequestStatus::Pinning).await;
    assert_eq!(
        scene
            .store
            .holdings(&account_id("acme/web"))
            .await
            .unwrap()
            .pinned_bytes,
        0
    );
    node.add(b"lost with its blocks");
    let back = scene.until_status(id, RequestStatus::Pinned).await;
    let bytes = scene
        .store
        .holdings(&account_id("acme/web"))
        .await
        .unwrap()
        .pinned_bytes;
    assert_eq!(bytes, u128::from(back.dag_size.unwrap()));
}

#[tokio::test]
async fn a_wanted_pin_without_a_placement_is_placed_and_an_unwanted_placement_let_go() {
    let node = KuboNode::start().await;
    let mut scene = Scene::on(&node).await;
    let (wanted, unwanted) = (node.add(b"never placed"), node.add(b"never let go"));
    let gone = scene.ask("acme/web", &unwanted).await;
    scene.until_status(gone, RequestStatus::Pinned).await;
    scene
        .workers
        .take()
        .unwrap()
        .stop(Duration::from_secs(10))
        .await;
    let id = scene.ask("acme/web", &wanted).await;
    scene.give_up("acme/web", gone).await;
    // As if the feed's entries had been lost.
    let head = *scene.store.head().borrow();
    scene.store.save_follower("placement", head).await.unwrap();
    scene.begin_with_node().await;
    scene.reconcile().await;
    scene.until_status(id, RequestStatus::Pinned).await;
    scene.until_gone(&unwanted).await;
    assert!(!node.has(&unwanted, "recursive"));
    assert_eq!((scene.mended("unplaced"), scene.mended("unwanted")), (1, 1));
}

#[tokio::test]
async fn a_feed_trimmed_too_early_costs_a_round_and_no_pin() {
    let node = KuboNode::start().await;
    let mut scene = Scene::on(&node).await;
    let cid = node.add(b"its entry was trimmed");
    scene
        .workers
        .take()
        .unwrap()
        .stop(Duration::from_secs(10))
        .await;
    let id = scene.ask("acme/web", &cid).await;
    let head = *scene.store.head().borrow();
    scene.store.trim_changes(head).await.unwrap();
    scene.begin();
    scene.until_status(id, RequestStatus::Pinned).await;
}

#[tokio::test]
async fn what_others_pinned_on_the_node_stays_unless_the_node_is_ours_alone() {
    let node = KuboNode::start().await;
    let mut scene = Scene::on(&node).await;
    let (theirs, ours) = (node.add(b"pinned by hand"), node.add(b"pinned by us"));
    node.ipfs(&["pin", "add", &theirs.to_string()]);
    let id = scene.ask("acme/web", &ours).await;
    scene.until_status(id, RequestStatus::Pinned).await;
    scene.reconcile().await;
    assert!(node.has(&theirs, "recursive"));
    assert_eq!(scene.placement(&theirs).await, None);

    scene.tuning.exclusive = true;
    scene.workers.as_ref().unwrap().retune(scene.tuning.clone());
    scene.reconcile().await;
    until("it is gone", async || !node.has(&theirs, "recursive")).await;
    scene.until_gone(&theirs).await;
    assert!(node.has(&ours, "recursive"));
}

#[tokio::test]
async fn what_turned_up_on_the_node_needs_no_further_wait() {
    let node = KuboNode::start().await;
    let other = KuboNode::start().await;
    let mut scene = Scene::new(&node.api(), brisk());
    scene.tuning.patience.stall = Duration::from_millis(200);
    scene.tuning.retry.first = Duration::from_secs(3_600);
    scene.tuning.retry.longest = Duration::from_secs(3_600);
    scene.begin_with_node().await;
    let cid = other.add(b"found by hand");
    let id = scene.ask("acme/web", &cid).await;
    until("an attempt failed", async || {
        scene.placement(&cid).await.is_some_and(|p| p.attempts == 1)
    })
    .await;
    let details = scene.until_status(id, RequestStatus::Pinning).await.details;
    assert!(
        details
            .unwrap()
            .starts_with("attempt 1 failed: no block came")
    );
    node.add(b"found by hand");
    node.ipfs(&["pin", "add", &cid.to_string()]);
    scene.reconcile().await;
    scene.until_status(id, RequestStatus::Pinned).await;
    assert_eq!(scene.mended("found"), 1);
    assert!(scene.clock.now() > UnixMillis::EPOCH);
}
