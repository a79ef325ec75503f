//! A worker that finds the feed trimmed before it has read it.

use super::placing::{cid, put};
use super::*;
use crate::support::process::repository;
use holdfast_model::Cursor;
use std::path::Path;

/// Who may not drive work while this stands there.
const NO_ROUNDS: &str = r#"
@id("no-rounds")
forbid (principal == User::"system:reconcile", action == Action::"driveWork", resource);
"#;

fn copy_policies(to: &Path) {
    for file in std::fs::read_dir(repository().join("policies")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// All pins are to be read once then. As long as that fails, placement does not say that it has.
#[tokio::test]
async fn what_was_trimmed_counts_as_read_after_a_round_that_read_it() {
    let policies = tempfile::tempdir().unwrap();
    copy_policies(policies.path());
    let forbids = policies.path().join("no-rounds.cedar");
    std::fs::write(&forbids, NO_ROUNDS).unwrap();
    let node = KuboNode::start().await;
    let mut scene = Scene::new(&node.api(), brisk());
    scene.gate = Arc::new(Gate::open(Some(policies.path())).unwrap());
    for n in 0..3 {
        put(&scene.store, cid(n), -1).await;
    }
    scene
        .store
        .save_follower("placement", Cursor(1))
        .await
        .unwrap();
    scene.store.trim_changes(Cursor(3)).await.unwrap();
    scene.begin();
    let cursor = async || scene.store.follower("placement").await.unwrap();
    let failures = &scene.metrics.failures;
    let failed = || failures.with_label_values(&["reconcile"]).get();
    until("two rounds have failed", async || failed() >= 2).await;
    assert_eq!(cursor().await, Cursor(1));
    assert!(scene.placement(&cid(0)).await.is_none());

    std::fs::remove_file(&forbids).unwrap();
    scene.gate.reload().unwrap();
    until("all pins are read", async || cursor().await == Cursor(3)).await;
    for n in 0..3 {
        assert!(scene.placement(&cid(n)).await.is_some());
    }
}
