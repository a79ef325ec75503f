//! The change feed and its followers.

use super::sample::{account, at, cid, draft, peer, placement, request_id};
use super::{Backend, Outcome, refusal};
use crate::{Expect, Outcome as Settled, Result, Store, StoreError};
use holdfast_model::{Change, Cid, Cursor, ErrorKind, Pin, RequestStatus};

async fn cids_after(store: &Store, after: Cursor) -> Result<Vec<Cid>> {
    let changes = store.changes(after, 1_000).await?;
    assert!(changes.is_sorted_by_key(|c| c.cursor), "oldest first");
    Ok(changes.iter().map(|c| c.cid).collect())
}

/// Creating, replacing, deleting; putting and deleting by the cluster; removals included.
pub async fn every_change_of_a_pin_is_announced(backend: impl Backend) -> Outcome {
    let store = backend.store();
    assert_eq!(cids_after(store, Cursor::START).await?, []);
    store.create_request(draft(1, 1)?, at(10)).await?;
    store
        .replace_request(request_id(1), draft(2, 2)?, at(20))
        .await?;
    store
        .replace_request(request_id(2), draft(3, 2)?, at(30))
        .await?;
    store
        .delete_request(&account()?, request_id(3), at(40))
        .await?;
    store
        .put_pin(Pin::recursive(cid(3)?, at(1_000)), Expect::Any)
        .await?;
    store.delete_pin(&cid(3)?, Expect::Any).await?;
    let seen = cids_after(store, Cursor::START).await?;
    let of = |n: u64| {
        seen.iter()
            .filter(|c| cid(n).is_ok_and(|n| n == **c))
            .count()
    };
    assert_eq!((of(1), of(2), of(3)), (2, 3, 2), "{seen:?}");
    assert_eq!(seen.first(), Some(&cid(1)?));
    assert_eq!(seen.last(), Some(&cid(3)?));

    // A refused write announces nothing.
    let head = *store.head().borrow();
    let answer = store
        .put_pin(Pin::recursive(cid(4)?, at(1_000)), Expect::Version(1))
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    assert_eq!(cids_after(store, head).await?, []);
    Ok(())
}

/// Work follows the feed; if its own writes were announced, it would wake itself for ever.
pub async fn settling_and_placing_are_not_announced(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let head = *store.head().borrow();
    let outcome = Settled {
        status: RequestStatus::Pinned,
        dag_size: Some(1),
        details: None,
    };
    store
        .settle_request(request_id(1), 1, outcome, at(20))
        .await?;
    let pin = store.pin(&cid(1)?).await?.ok_or("the pin is missing")?;
    store
        .allocate_pin(&cid(1)?, pin.version, vec![peer(1)?])
        .await?;
    store.put_placement(placement(1, 1)?, Expect::Any).await?;
    store
        .delete_placement(&cid(1)?, &peer(1)?, Expect::Any)
        .await?;
    assert_eq!(*store.head().borrow(), head);
    assert_eq!(cids_after(store, head).await?, []);

    // The next one has a place of its own after them.
    store.create_request(draft(2, 2)?, at(30)).await?;
    assert_eq!(cids_after(store, head).await?, [cid(2)?]);
    Ok(())
}

/// Page by page, and from a cursor kept over a restart, every entry once and in order.
pub async fn the_feed_resumes_after_a_cursor(backend: impl Backend) -> Outcome {
    for n in 1..=7 {
        backend.store().create_request(draft(n, n)?, at(n)).await?;
    }
    let mut cursor = Cursor::START;
    let mut seen: Vec<Change> = Vec::new();
    let page = backend.store().changes(cursor, 3).await?;
    assert_eq!(page.len(), 3);
    cursor = page.last().map_or(cursor, |c| c.cursor);
    seen.extend(page);
    let backend = backend.reopen().await;
    seen.extend(backend.store().changes(cursor, 100).await?);
    let expected: std::result::Result<Vec<_>, _> = (1..=7).map(cid).collect();
    assert_eq!(seen.iter().map(|c| c.cid).collect::<Vec<_>>(), expected?);
    Ok(())
}

/// `head` is the newest entry, also for who looks first after a restart.
pub async fn the_head_moves_with_the_feed(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut head = store.head();
    assert_eq!(*head.borrow_and_update(), Cursor::START);
    store.create_request(draft(1, 1)?, at(10)).await?;
    head.changed().await?;
    let seen = *head.borrow_and_update();
    let newest = store.changes(Cursor::START, 10).await?;
    assert_eq!(newest.last().map(|c| c.cursor), Some(seen));
    assert!(!head.has_changed()?);
    let backend = backend.reopen().await;
    assert_eq!(*backend.store().head().borrow(), seen);
    Ok(())
}

/// What was forgotten cannot be resumed from; the error names where to begin.
pub async fn a_trimmed_cursor_is_too_old(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for n in 1..=5 {
        store.create_request(draft(n, n)?, at(n)).await?;
    }
    let all = store.changes(Cursor::START, 10).await?;
    let place = |n: usize| all.get(n).map_or(Cursor::START, |c| c.cursor);
    store.trim_changes(place(2)).await?;
    let backend = backend.reopen().await;
    let store = backend.store();
    for cursor in [Cursor::START, place(0), place(1)] {
        let Err(StoreError::CursorTooOld { oldest }) = store.changes(cursor, 10).await else {
            return Err(format!("{cursor:?} was not too old").into());
        };
        assert_eq!(oldest, place(2));
    }
    assert_eq!(cids_after(store, place(2)).await?, [cid(4)?, cid(5)?]);
    store.trim_changes(place(0)).await?;
    assert_eq!(
        cids_after(store, place(3)).await?,
        [cid(5)?],
        "trimming again is fine"
    );
    store.trim_changes(place(4)).await?;
    assert_eq!(cids_after(store, place(4)).await?, []);
    store.create_request(draft(6, 6)?, at(6)).await?;
    assert_eq!(cids_after(store, place(4)).await?, [cid(6)?]);
    Ok(())
}

/// A cursor that this store never gave.
pub async fn a_future_cursor_is_refused(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let beyond = Cursor(store.head().borrow().0 + 1);
    let answer = store.changes(beyond, 10).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Invalid));
    let answer = store.trim_changes(Cursor(u64::MAX)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Invalid));
    Ok(())
}

/// Each by its name, over restarts.
pub async fn followers_keep_their_place(backend: impl Backend) -> Outcome {
    let store = backend.store();
    assert_eq!(store.follower("kubo").await?, Cursor::START);
    store.save_follower("kubo", Cursor(7)).await?;
    store.save_follower("", Cursor(8)).await?;
    store.save_follower("kubo", Cursor(5)).await?;
    let backend = backend.reopen().await;
    let store = backend.store();
    assert_eq!(store.follower("kubo").await?, Cursor(5));
    assert_eq!(store.follower("").await?, Cursor(8));
    assert_eq!(store.follower("kub").await?, Cursor::START);
    let answer = store.save_follower(&"x".repeat(100_000), Cursor(1)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Invalid));
    Ok(())
}
