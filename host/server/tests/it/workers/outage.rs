//! What happens when a node or the host goes down, at the worst moment.

use super::*;

#[tokio::test]
async fn a_node_that_is_down_delays_and_loses_nothing() {
    let mut node = KuboNode::start().await;
    let cid = node.add(b"asked for while the node was down");
    let mut scene = Scene::on(&node).await;
    node.kill();
    until("the node is missed", async || {
        !scene.peers.nodes()[0].healthy
    })
    .await;
    let id = scene.ask("acme/web", &cid).await;
    scene.until_state(&cid, PlacementState::PinQueued).await;
    assert!(!scene.peers.delegates().is_empty());
    // The host may restart meanwhile.
    assert!(
        scene
            .workers
            .take()
            .unwrap()
            .stop(Duration::from_secs(10))
            .await
    );
    scene.begin();
    assert_eq!(scene.request(id).await.status, RequestStatus::Queued);
    assert_eq!(scene.placement(&cid).await.unwrap().attempts, 0);
    node.resume().await;
    scene.until_status(id, RequestStatus::Pinned).await;
}

#[tokio::test]
async fn before_the_first_contact_the_feed_waits() {
    let mut node = KuboNode::start().await;
    let cid = node.add(b"asked for before the node was known");
    node.kill();
    let mut scene = Scene::new(&node.api(), brisk());
    scene.begin();
    let id = scene.ask("acme/web", &cid).await;
    assert!(scene.peers.delegates().is_empty());
    scene.reconcile().await;
    assert_eq!(scene.request(id).await.status, RequestStatus::Queued);
    node.resume().await;
    scene.until_status(id, RequestStatus::Pinned).await;
    assert!(
        scene.peers.delegates()[0]
            .to_string()
            .starts_with("/ip4/127.0.0.1/tcp/")
    );
}

#[tokio::test]
async fn a_node_that_dies_while_it_fetches_is_not_held_against_the_pin() {
    let mut node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let content = b"turns up after the node's death".to_vec();
    let other = KuboNode::start().await;
    let cid = other.add(&content);
    let id = scene.ask("acme/web", &cid).await;
    until("the node searches", async || node.busy_with("pin/add") == 1).await;
    node.kill();
    let waiting = scene.until_state(&cid, PlacementState::PinQueued).await;
    assert_eq!(waiting.attempts, 0);
    until("its requests say so", async || {
        let details = scene.request(id).await.details;
        details.is_some_and(|text| text.contains("does not answer"))
    })
    .await;
    node.resume().await;
    assert_eq!(node.add(&content), cid);
    scene.until_status(id, RequestStatus::Pinned).await;
}

#[tokio::test]
async fn what_was_under_way_when_the_host_died_is_taken_up_at_once() {
    let node = KuboNode::start().await;
    let mut scene = Scene::new(&node.api(), brisk());
    scene.keep_on_disk().await;
    scene.begin_with_node().await;
    let other = KuboNode::start().await;
    let content = b"turns up after the host's death".to_vec();
    let cid = other.add(&content);
    let id = scene.ask("acme/web", &cid).await;
    until("the node searches", async || node.busy_with("pin/add") == 1).await;
    // The claim's lease is ten minutes.
    scene.crash().await;
    assert_eq!(
        scene.placement(&cid).await.unwrap().state,
        PlacementState::Pinning
    );
    assert_eq!(node.add(&content), cid);
    scene.begin();
    scene.until_status(id, RequestStatus::Pinned).await;
}

#[tokio::test]
async fn a_stop_puts_back_what_is_under_way() {
    let node = KuboNode::start().await;
    let mut scene = Scene::on(&node).await;
    scene.ask("acme/web", &nowhere()).await;
    until("the node searches", async || node.busy_with("pin/add") == 1).await;
    assert!(
        scene
            .workers
            .take()
            .unwrap()
            .stop(Duration::from_secs(10))
            .await
    );
    let left = scene.placement(&nowhere()).await.unwrap();
    assert_eq!((left.state, left.attempts), (PlacementState::PinQueued, 0));
    assert!(left.due.is_some_and(|due| due <= scene.clock.now()));
    until("the node searches no more", async || {
        node.busy_with("pin/add") == 0
    })
    .await;
}

#[tokio::test]
async fn another_node_at_the_same_address_gets_the_pins() {
    let mut node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let cid = node.add(b"moves house");
    let id = scene.ask("acme/web", &cid).await;
    scene.until_status(id, RequestStatus::Pinned).await;
    let before = scene.peers.ids();
    node.replace().await;
    node.add(b"moves house");
    until("the new node is seen", async || scene.peers.ids() != before).await;
    until("it has the pin", async || {
        let placements = scene.store.placements_of_pin(&cid).await.unwrap();
        placements.len() == 1
            && placements[0].peer != before[0]
            && placements[0].state == PlacementState::Pinned
    })
    .await;
    assert!(node.has(&cid, "recursive"));
}
