//! What a node that is well does.

use super::retention::{steps, trimming};
use super::*;
use holdfast::workers::retention::Kept;
use holdfast_model::Cursor;
use holdfast_model::pin::{MaxDepth, Pin};
use holdfast_store::Expect;

#[tokio::test]
async fn a_request_ends_pinned_with_the_size_of_its_dag() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let cid = node.add(&vec![7; 3_000_000]);
    let id = scene.ask("acme/web", &cid).await;
    let pinned = scene.until_status(id, RequestStatus::Pinned).await;
    // All chunks but the last are alike, and a block that occurs twice is held once.
    let distinct = pinned.dag_size.unwrap();
    assert!(
        distinct > 262_144 && distinct < node.size(&cid),
        "{distinct}"
    );
    assert_eq!(pinned.details, None);
    assert!(node.has(&cid, "recursive"));
    until("nothing is due", async || {
        scene.placement(&cid).await.unwrap().due.is_none()
    })
    .await;

    let random: Vec<u8> = (0..3_000_000_u64)
        .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    let cid = node.add(&random);
    let id = scene.ask("acme/web", &cid).await;
    let pinned = scene.until_status(id, RequestStatus::Pinned).await;
    assert_eq!(pinned.dag_size, Some(node.size(&cid)));
    let used = scene
        .store
        .holdings(&account_id("acme/web"))
        .await
        .unwrap()
        .pinned_bytes;
    assert_eq!(used, u128::from(distinct + node.size(&cid)));
}

#[tokio::test]
async fn content_is_fetched_from_where_it_is_said_to_be() {
    let (node, other) = (KuboNode::start().await, KuboNode::start().await);
    let scene = Scene::on(&node).await;
    let cid = other.add(b"on another node");
    let dead = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";
    let origins = [dead, other.address().trim()].map(|text| text.parse().unwrap());
    let asked = NewRequest {
        origins: origins.into(),
        ..wish(&cid)
    };
    let id = scene.ask_for("acme/web", asked).await;
    scene.until_status(id, RequestStatus::Pinned).await;
    assert!(node.has(&cid, "recursive"));
}

#[tokio::test]
async fn a_later_request_may_know_where_the_content_is() {
    let (node, other) = (KuboNode::start().await, KuboNode::start().await);
    let mut scene = Scene::new(&node.api(), brisk());
    scene.tuning.patience.stall = Duration::from_secs(2);
    scene.begin_with_node().await;
    let cid = other.add(b"known to the second only");
    let first = scene.ask("acme/web", &cid).await;
    scene.until_status(first, RequestStatus::Pinning).await;
    let asked = NewRequest {
        origins: vec![other.address().trim().parse().unwrap()],
        ..wish(&cid)
    };
    let second = scene.ask_for("kelp/forest", asked).await;
    scene.until_status(first, RequestStatus::Pinned).await;
    scene.until_status(second, RequestStatus::Pinned).await;
}

#[tokio::test]
async fn progress_is_shown_while_blocks_come() {
    let slow = crate::support::kubo_stand_in::SlowNode::start().await;
    let mut scene = Scene::new(&slow.node.api, brisk());
    scene.begin_with_node().await;
    let id = scene.ask("acme/web", &nowhere()).await;
    until("a block is shown", async || {
        scene.request(id).await.details.as_deref() == Some("3 blocks are here")
    })
    .await;
    assert_eq!(scene.request(id).await.status, RequestStatus::Pinning);
    slow.allow(1);
    let pinned = scene.until_status(id, RequestStatus::Pinned).await;
    assert_eq!(pinned.details, None);
}

#[tokio::test]
async fn a_dag_of_no_bytes_is_pinned_too() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let id = scene
        .ask("acme/web", &Cid::parse("bafkqaaa").unwrap())
        .await;
    let pinned = scene.until_status(id, RequestStatus::Pinned).await;
    assert_eq!(pinned.dag_size, Some(0));
}

#[tokio::test]
async fn what_nobody_has_waits_and_giving_it_up_ends_the_search() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let id = scene.ask("acme/web", &nowhere()).await;
    scene.until_status(id, RequestStatus::Pinning).await;
    until("the node searches", async || node.busy_with("pin/add") == 1).await;
    scene.give_up("acme/web", id).await;
    scene.until_gone(&nowhere()).await;
    until("the node searches no more", async || {
        node.busy_with("pin/add") == 0
    })
    .await;
}

#[tokio::test]
async fn a_pin_goes_when_the_last_who_wanted_it_gives_it_up() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let cid = node.add(b"wanted by two");
    let first = scene.ask("acme/web", &cid).await;
    let second = scene.ask("kelp/forest", &cid).await;
    scene.until_status(first, RequestStatus::Pinned).await;
    scene.until_status(second, RequestStatus::Pinned).await;

    scene.give_up("acme/web", first).await;
    // The full round reads the same rows as the feed does, so after it the change has been seen.
    scene.reconcile().await;
    assert!(node.has(&cid, "recursive"));
    assert_eq!(scene.request(second).await.status, RequestStatus::Pinned);

    scene.give_up("kelp/forest", second).await;
    scene.until_gone(&cid).await;
    assert!(!node.has(&cid, "recursive"));
}

#[tokio::test]
async fn a_request_for_what_is_pinned_needs_no_node() {
    let mut node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let cid = node.add(b"asked for twice");
    let first = scene.ask("acme/web", &cid).await;
    let first = scene.until_status(first, RequestStatus::Pinned).await;
    node.kill();
    let second = scene.ask("kelp/forest", &cid).await;
    let second = scene.until_status(second, RequestStatus::Pinned).await;
    assert_eq!(second.dag_size, first.dag_size);
}

#[tokio::test]
async fn the_two_versions_of_a_cid_are_two_pins() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    node.add(b"unrelated");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"one block, two names").unwrap();
    let path = file.path().to_str().unwrap();
    let old = node.ipfs(&["add", "--quieter", "--pin=false", "--cid-version=0", path]);
    let old = Cid::parse(old.trim()).unwrap();
    let new = node.ipfs(&["cid", "base32", &old.to_string()]);
    let new = Cid::parse(new.trim()).unwrap();
    let id_old = scene.ask("acme/web", &old).await;
    let id_new = scene.ask("acme/web", &new).await;
    scene.until_status(id_old, RequestStatus::Pinned).await;
    scene.until_status(id_new, RequestStatus::Pinned).await;
    scene.give_up("acme/web", id_old).await;
    scene.until_gone(&old).await;
    assert!(!node.has(&old, "recursive") && node.has(&new, "recursive"));
}

#[tokio::test]
async fn a_direct_pin_holds_its_root_only() {
    let node = KuboNode::start().await;
    let scene = Scene::on(&node).await;
    let cid = node.add(&vec![3; 600_000]);
    let pin = Pin {
        max_depth: MaxDepth::DIRECT,
        ..Pin::recursive(cid, scene.clock.now())
    };
    scene.store.put_pin(pin, Expect::Any).await.unwrap();
    let placement = scene.until_state(&cid, PlacementState::Pinned).await;
    assert!(placement.dag_size.unwrap() < 1_000);
    assert!(node.has(&cid, "direct") && !node.has(&cid, "recursive"));
    scene.store.delete_pin(&cid, Expect::Any).await.unwrap();
    scene.until_gone(&cid).await;
    assert!(!node.has(&cid, "direct"));
}

#[tokio::test]
async fn what_has_expired_goes() {
    let node = KuboNode::start().await;
    let mut scene = Scene::new(&node.api(), brisk());
    let start = Clock::System.now();
    scene.clock = Clock::manual(start);
    scene.begin_with_node().await;
    let (short, long) = (node.add(b"for a day"), node.add(b"for good"));
    let end = start.plus_millis(86_400_000);
    let asked = NewRequest {
        expires: Some(end),
        ..wish(&short)
    };
    let short_id = scene.ask_for("acme/web", asked).await;
    let long_id = scene.ask("acme/web", &long).await;
    scene.until_status(short_id, RequestStatus::Pinned).await;
    scene.until_status(long_id, RequestStatus::Pinned).await;

    let Clock::Manual(hand) = &scene.clock else {
        unreachable!()
    };
    hand.store(end.as_millis(), std::sync::atomic::Ordering::SeqCst);
    until("the request is gone", async || {
        scene.store.request(short_id).await.unwrap().is_none()
    })
    .await;
    scene.until_gone(&short).await;
    assert!(!node.has(&short, "recursive") && node.has(&long, "recursive"));
}

#[tokio::test]
async fn the_feed_is_trimmed_behind_those_who_read_it() {
    let node = KuboNode::start().await;
    let mut scene = Scene::new(&node.api(), brisk());
    scene.begin_with_node().await;
    for n in 0..6_u8 {
        let cid = node.add(&[n; 9]);
        let id = scene.ask("acme/web", &cid).await;
        scene.until_status(id, RequestStatus::Pinned).await;
    }
    let head = *scene.store.head().borrow();
    let kept = Cursor(head.0 - 2);
    let _trimming = trimming(&scene.store, &Kept::new(steps(2)));
    until("old entries are gone", async || {
        scene.store.changes(Cursor::START, 10).await.is_err()
    })
    .await;
    let entries = scene.store.changes(kept, 10).await.unwrap();
    assert_eq!(entries.last().unwrap().cursor, head);
}

#[tokio::test]
async fn no_more_is_under_way_than_allowed_and_the_bound_can_be_moved() {
    let slow = crate::support::kubo_stand_in::SlowNode::start().await;
    let mut scene = Scene::new(&slow.node.api, brisk());
    scene.tuning.concurrency = 2;
    scene.begin_with_node().await;
    let mut asked = Vec::new();
    for n in 0..12_u8 {
        let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
        bytes.extend([n; 32]);
        asked.push(
            scene
                .ask("acme/web", &Cid::from_bytes(&bytes).unwrap())
                .await,
        );
    }
    until("two are under way", async || slow.now() == 2).await;
    slow.allow(4);
    until("four are done", async || {
        let counts = scene
            .store
            .holdings(&account_id("acme/web"))
            .await
            .unwrap()
            .counts;
        counts.pinned == 4 && slow.now() == 2
    })
    .await;
    assert_eq!(slow.most(), 2);

    scene.tuning.concurrency = 5;
    scene.workers.as_ref().unwrap().retune(scene.tuning.clone());
    until("five are under way", async || slow.now() == 5).await;
    slow.allow(8);
    for id in asked {
        scene.until_status(id, RequestStatus::Pinned).await;
    }
    assert_eq!(slow.most(), 5);
}
