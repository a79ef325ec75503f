//! A disk that takes no more: errors, and neither loss nor a crash; then it takes writes again.

use super::child;
use holdfast_model::{ErrorKind, RequestFilter};
use holdfast_store::contract::refusal;
use holdfast_store::contract::sample::{account, at, full_draft, request_id};
use holdfast_store::{Store, StoreError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};

/// Requests that are made before the disk fills, while it is full, and after.
const EACH: u64 = 40;

/// Bytes of a file while the disk is "full": less than the journal has by then.
const FULL: u64 = 4_096;

/// How long writing may take to work again once there is room.
const MENDED_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_full_disk_refuses_writes_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child::start("disk::fills_and_is_emptied", dir.path());
    let said: Vec<_> = child::heard(&mut child).collect();
    assert!(
        child.wait().unwrap().success(),
        "the child failed after {said:?}"
    );
    assert_eq!(said, ["filled", "refused", "mended", "reopened"]);
}

#[ignore = "limits its own process; another test starts it in one"]
#[tokio::test(flavor = "multi_thread")]
async fn fills_and_is_emptied() {
    let store = Store::embedded(&child::dir()).await.unwrap();
    create(&store, 0).await;
    let head = *store.head().borrow();

    let limits = getrlimit(Resource::Fsize);
    let full = Rlimit {
        current: Some(FULL),
        ..limits
    };
    setrlimit(Resource::Fsize, full).unwrap();
    child::say("filled");

    // Alone first: so small a group fails only when the journal's buffer is flushed, and is
    // complete in that buffer; whoever opens the journal again later must not find it there.
    let small = store
        .create_request(full_draft(EACH, EACH).unwrap(), at(EACH))
        .await;
    assert_eq!(refusal(small), Some(ErrorKind::Unavailable));

    let refused: Vec<_> = (EACH..2 * EACH)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move {
                let answer = store
                    .create_request(full_draft(id, id).unwrap(), at(id))
                    .await;
                let Err(StoreError::Unavailable { doing, source }) = answer else {
                    panic!("{answer:?}");
                };
                assert!(
                    doing.contains(child::dir().to_str().unwrap()),
                    "{doing} names no path"
                );
                assert!(!source.to_string().is_empty());
            })
        })
        .collect();
    for task in refused {
        task.await.unwrap();
    }
    assert_eq!(refusal(store.ping().await), Some(ErrorKind::Unavailable));
    only_the_first(&store).await;
    assert_eq!(*store.head().borrow(), head, "nothing was announced");
    child::say("refused");

    setrlimit(Resource::Fsize, limits).unwrap();
    let deadline = Instant::now() + MENDED_WITHIN;
    while let Err(error) = store.ping().await {
        assert!(Instant::now() < deadline, "still {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    only_the_first(&store).await;
    create(&store, 2 * EACH).await;
    child::say("mended");

    store.close().await.unwrap();
    let store = Store::embedded(&child::dir()).await.unwrap();
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    let all = store
        .count_requests(&account().unwrap(), &RequestFilter::default())
        .await;
    assert_eq!(all.unwrap(), 2 * EACH);
    child::say("reopened");
}

async fn create(store: &Store, from: u64) {
    for id in from..from + EACH {
        store
            .create_request(full_draft(id, id).unwrap(), at(id))
            .await
            .unwrap();
    }
}

/// What was acknowledged can be read, what was refused has left nothing behind.
async fn only_the_first(store: &Store) {
    for id in 0..2 * EACH {
        let there = store.request(request_id(id)).await.unwrap().is_some();
        assert_eq!(there, id < EACH, "request {id}");
    }
    let counted = store.holdings(&account().unwrap()).await.unwrap().counts;
    assert_eq!(counted.total(), EACH);
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}
