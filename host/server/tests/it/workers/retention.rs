//! The change feed's trimming, without a worker.

use super::placing::{cid, put};
use super::until;
use holdfast::workers::metrics::WorkMetrics;
use holdfast::workers::retention::{self, Kept};
use holdfast_model::Cursor;
use holdfast_store::{Retention, Store, StoreError};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// The follower that placement is.
const PLACEMENT: &str = "placement";

pub(super) const fn steps(steps: u64) -> Retention {
    Retention {
        age: Duration::MAX,
        steps,
    }
}

/// Trims a store until it is dropped.
pub(super) fn trimming(store: &Store, kept: &Kept) -> AbortOnDropHandle<()> {
    let metrics = WorkMetrics::new().unwrap();
    let run = retention::run(store.clone(), kept.clone(), metrics);
    AbortOnDropHandle::new(tokio::spawn(run))
}

/// A store with ten changes, which are its first ten steps.
async fn changed() -> Store {
    let store = Store::memory();
    for n in 0..10 {
        put(&store, cid(n), -1).await;
    }
    assert_eq!(*store.head().borrow(), Cursor(10));
    store
}

/// Where the feed begins.
async fn floor(store: &Store) -> Cursor {
    match store.changes(Cursor::START, 1).await {
        Err(StoreError::CursorTooOld { oldest }) => oldest,
        entries => entries.map(|_| Cursor::START).unwrap(),
    }
}

async fn until_trimmed(store: &Store, before: Cursor) -> Cursor {
    until("the feed is trimmed", async || floor(store).await > before).await;
    floor(store).await
}

#[tokio::test]
async fn a_worker_that_never_was_is_not_waited_for() {
    let store = changed().await;
    let _trimming = trimming(&store, &Kept::new(steps(2)));
    assert_eq!(until_trimmed(&store, Cursor::START).await, Cursor(8));
}

#[tokio::test]
async fn what_a_worker_has_still_to_read_is_kept() {
    let store = changed().await;
    store.save_follower(PLACEMENT, Cursor(3)).await.unwrap();
    let kept = Kept::new(steps(4));
    let _trimming = trimming(&store, &kept);
    assert_eq!(until_trimmed(&store, Cursor::START).await, Cursor(3));
    // It is also trimmed as soon as less is to be kept, here by two who do it at once.
    store.save_follower(PLACEMENT, Cursor(10)).await.unwrap();
    let _other = trimming(&store, &kept);
    kept.send_replace(steps(1));
    until("both have trimmed", async || {
        floor(&store).await == Cursor(9)
    })
    .await;
    assert_eq!(store.changes(Cursor(9), 10).await.unwrap().len(), 1);
}

/// Nobody can know that the last worker of a store has gone for good, but that it has read nothing
/// for twice as long as is kept.
#[tokio::test]
async fn a_worker_that_is_gone_for_good_holds_nothing_up() {
    let store = changed().await;
    store.save_follower(PLACEMENT, Cursor(3)).await.unwrap();
    let _trimming = trimming(&store, &Kept::new(steps(2)));
    assert_eq!(until_trimmed(&store, Cursor::START).await, Cursor(6));
    // What comes after it pushes out what came before.
    put(&store, cid(20), -1).await;
    let _other = trimming(&store, &Kept::new(steps(2)));
    assert_eq!(until_trimmed(&store, Cursor(6)).await, Cursor(7));
}
