//! Whatever happens in whatever order: in the end the node holds what is wanted and nothing else.

use super::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

const PINS: usize = 24;
const STEPS: usize = 120;
const ACCOUNTS: [&str; 3] = ["acme/web", "acme/app", "kelp/forest"];

/// Requests that are alive, by id, with their owner and content.
type Alive = BTreeMap<RequestId, (&'static str, Cid)>;

#[tokio::test]
async fn in_the_end_the_node_holds_just_what_is_wanted() {
    for (seed, on_disk) in [(1, false), (2, true)] {
        let mut node = KuboNode::start().await;
        let contents: Vec<Vec<u8>> = (0..PINS).map(|n| vec![n as u8; 100 + n]).collect();
        let cids: Vec<Cid> = contents.iter().map(|content| node.add(content)).collect();
        let mut scene = Scene::new(&node.api(), brisk());
        if on_disk {
            scene.keep_on_disk().await;
        }
        // What finds the node dead at a bad moment may count as failed; none may be given up.
        scene.tuning.retry.attempts_max = 1_000;
        scene.begin_with_node().await;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut alive = Alive::new();
        for _ in 0..STEPS {
            step(&mut scene, &mut node, &cids, &mut alive, &mut random).await;
        }
        node.resume_if_down().await;
        if scene.workers.is_none() {
            scene.begin();
        }
        settled(&scene, &node, &cids, &alive, seed).await;
    }
}

async fn step(
    scene: &mut Scene,
    node: &mut KuboNode,
    cids: &[Cid],
    alive: &mut Alive,
    random: &mut SmallRng,
) {
    match random.random_range(0..100) {
        0..50 => {
            let account = ACCOUNTS[random.random_range(0..ACCOUNTS.len())];
            let cid = cids[random.random_range(0..cids.len())];
            alive.insert(scene.ask(account, &cid).await, (account, cid));
        }
        50..85 if !alive.is_empty() => {
            let nth = random.random_range(0..alive.len());
            let (id, (account, _)) = alive.iter().nth(nth).map(|(k, v)| (*k, *v)).unwrap();
            alive.remove(&id);
            scene.give_up(account, id).await;
        }
        85..88 => node.kill(),
        88..92 => node.resume_if_down().await,
        // A crash of the host, and its restart.
        92..94 => scene.crash().await,
        94..97 if scene.workers.is_none() => scene.begin(),
        97..99 if scene.workers.is_some() => {
            scene
                .workers
                .take()
                .unwrap()
                .stop(Duration::from_secs(10))
                .await;
        }
        _ => tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await,
    }
}

async fn settled(scene: &Scene, node: &KuboNode, cids: &[Cid], alive: &Alive, seed: u64) {
    for id in alive.keys() {
        scene.until_status(*id, RequestStatus::Pinned).await;
    }
    for cid in cids {
        if alive.values().any(|(_, wanted)| wanted == cid) {
            scene.until_state(cid, PlacementState::Pinned).await;
            assert!(node.has(cid, "recursive"), "seed {seed}: {cid} is missing");
        } else {
            scene.until_gone(cid).await;
            assert!(!node.has(cid, "recursive"), "seed {seed}: {cid} was left");
        }
    }
    for account in ACCOUNTS {
        let of_account = alive.values().filter(|(owner, _)| *owner == account);
        let bytes: u128 = of_account.map(|(_, cid)| u128::from(node.size(cid))).sum();
        let used = scene
            .store
            .holdings(&account_id(account))
            .await
            .unwrap()
            .pinned_bytes;
        assert_eq!(used, bytes, "seed {seed}: {account}");
    }
}
