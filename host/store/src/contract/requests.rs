//! Requests: their life, and the pins that hang on them.

use super::sample::{account, at, cid, draft, full_draft, request_id};
use super::{Backend, Outcome, refusal};
use crate::{Expect, Outcome as Settled};
use holdfast_model::{AccountId, ErrorKind, Pin, PinType, RequestStatus};

/// A new request is queued, has version 1 and all that was asked for, and makes its pin.
pub async fn a_request_begins_queued(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let draft = full_draft(1, 1)?;
    let made = store.create_request(draft.clone(), at(1_234)).await?;
    assert_eq!((made.id, &made.account), (draft.id, &draft.account));
    assert_eq!(made.asked, draft.asked);
    assert_eq!((made.status, made.version), (RequestStatus::Queued, 1));
    assert_eq!((made.created, made.updated), (at(1_234), at(1_234)));
    assert_eq!((made.dag_size, made.details.clone()), (None, None));
    assert_eq!(store.request(made.id).await?, Some(made));
    assert_eq!(store.request(request_id(2)).await?, None);

    let stored = store.pin(&cid(1)?).await?.ok_or("the pin is missing")?;
    assert_eq!((stored.requests, stored.by_cluster), (1, false));
    let pin = stored.pin;
    assert_eq!(pin.pin_type, PinType::Data);
    assert!(!pin.max_depth.is_direct());
    assert_eq!(pin.timestamp, Some(at(1_000)), "in whole seconds");
    assert_eq!(Some(pin.options.name), draft.asked.name);
    assert_eq!(pin.options.origins, draft.asked.origins);
    assert_eq!(pin.options.metadata, draft.asked.meta);
    Ok(())
}

/// A second request with the same id is refused, whoever makes it, and changes nothing.
pub async fn an_id_is_used_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let mut other = draft(1, 2)?;
    other.account = AccountId::parse("other/web")?;
    let answer = store.create_request(other.clone(), at(11)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    assert_eq!(store.pin(&cid(2)?).await?, None);
    assert_eq!(store.holdings(&other.account).await?.counts.total(), 0);
    assert_eq!(store.accounts(None, 10).await?, [account()?]);
    Ok(())
}

/// `created` is `now`, or one millisecond after the account's newest request.
pub async fn created_is_unique_and_grows(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut created = Vec::new();
    for (id, now) in [(1, 100), (2, 100), (3, 100), (4, 50), (5, 200)] {
        let made = store.create_request(draft(id, id)?, at(now)).await?;
        created.push(made.created.as_millis());
    }
    assert_eq!(created, [100, 101, 102, 103, 200]);
    let mut other = draft(6, 6)?;
    other.account = AccountId::parse("acme/other")?;
    let made = store.create_request(other, at(100)).await?;
    assert_eq!(made.created, at(100), "another account has its own clock");
    Ok(())
}

/// A request that was deleted still counts: a client may page by its instant.
pub async fn created_grows_past_deleted_requests(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(100)).await?;
    store
        .delete_request(&account()?, request_id(1), at(100))
        .await?;
    let backend = backend.reopen().await;
    let made = backend
        .store()
        .create_request(draft(2, 1)?, at(100))
        .await?;
    assert_eq!(made.created, at(101));
    Ok(())
}

/// Two requests of one CID share one pin, which counts both.
pub async fn the_same_cid_twice_is_two_requests_and_one_pin(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let first = store.create_request(draft(1, 1)?, at(10)).await?;
    let second = store.create_request(draft(2, 1)?, at(10)).await?;
    assert_ne!(first.created, second.created);
    let pins = store.pins(None, 10).await?;
    assert_eq!(pins.iter().map(|p| p.requests).collect::<Vec<_>>(), [2]);
    assert_eq!(store.holdings(&account()?).await?.counts.queued, 2);
    Ok(())
}

/// A pin goes when the last request that wants it is deleted, and not before.
pub async fn a_pin_goes_with_its_last_wish(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    store.create_request(draft(2, 1)?, at(10)).await?;
    store
        .delete_request(&account()?, request_id(1), at(20))
        .await?;
    let left = store.pin(&cid(1)?).await?;
    assert_eq!(left.map(|p| p.requests), Some(1));
    store
        .delete_request(&account()?, request_id(2), at(20))
        .await?;
    assert_eq!(store.pin(&cid(1)?).await?, None);
    assert_eq!(store.request(request_id(2)).await?, None);
    Ok(())
}

/// A pin that a cluster node put stays when no request wants it, and goes when nobody does.
pub async fn a_cluster_wish_keeps_a_pin(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let pin = Pin::recursive(cid(1)?, at(1_000));
    store.put_pin(pin.clone(), Expect::Absent).await?;
    store.create_request(draft(1, 1)?, at(10)).await?;
    store
        .delete_request(&account()?, request_id(1), at(20))
        .await?;
    let left = store.pin(&cid(1)?).await?.ok_or("the pin is gone")?;
    assert_eq!((left.requests, left.by_cluster), (0, true));

    store.create_request(draft(2, 1)?, at(30)).await?;
    store.delete_pin(&cid(1)?, Expect::Any).await?;
    let left = store.pin(&cid(1)?).await?.ok_or("the pin is gone")?;
    assert_eq!((left.requests, left.by_cluster), (1, false));
    store
        .delete_request(&account()?, request_id(2), at(40))
        .await?;
    assert_eq!(store.pin(&cid(1)?).await?, None);
    Ok(())
}

/// A request of a pin that is there changes its count and its version only.
pub async fn an_existing_pin_keeps_what_it_has(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut pin = Pin::recursive(cid(1)?, at(1_000));
    pin.options.name = "as the cluster calls it".into();
    let put = store.put_pin(pin, Expect::Any).await?;
    store.create_request(full_draft(1, 1)?, at(5_000)).await?;
    let stored = store.pin(&cid(1)?).await?.ok_or("the pin is gone")?;
    assert_eq!(stored.pin, put.pin);
    assert_eq!((stored.requests, stored.by_cluster), (1, true));
    assert!(stored.version > put.version);
    Ok(())
}

/// Another account's request cannot be deleted, nor one that is gone.
pub async fn deleting_needs_the_owner(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let stranger = AccountId::parse("acme/other")?;
    let answer = store.delete_request(&stranger, request_id(1), at(20)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    assert!(store.request(request_id(1)).await?.is_some());
    assert_eq!(store.accounts(None, 10).await?, [account()?]);
    store
        .delete_request(&account()?, request_id(1), at(20))
        .await?;
    let answer = store
        .delete_request(&account()?, request_id(1), at(30))
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    Ok(())
}

/// Replacing makes the new and deletes the old, counted as one operation.
pub async fn replacing_is_one_step(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let made = store
        .replace_request(request_id(1), draft(2, 2)?, at(10))
        .await?;
    assert_eq!(made.created, at(11), "the old one still counts");
    assert_eq!(store.request(request_id(1)).await?, None);
    assert_eq!(store.request(request_id(2)).await?, Some(made));
    assert_eq!(store.pin(&cid(1)?).await?, None);
    assert_eq!(store.pin(&cid(2)?).await?.map(|p| p.requests), Some(1));
    assert_eq!(store.holdings(&account()?).await?.counts.total(), 1);
    let left: Vec<_> = store.requests_of_pin(&cid(1)?, None, 10).await?;
    assert_eq!(left, []);
    Ok(())
}

/// A pin whose only request is replaced by another of the same CID never goes.
pub async fn replacing_with_the_same_cid_keeps_the_pin(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(full_draft(1, 1)?, at(10)).await?;
    let before = store.pin(&cid(1)?).await?.ok_or("the pin is missing")?;
    store
        .replace_request(request_id(1), draft(2, 1)?, at(20))
        .await?;
    let after = store.pin(&cid(1)?).await?.ok_or("the pin is gone")?;
    assert_eq!((after.pin, after.requests), (before.pin, 1));
    assert!(after.version > before.version);
    Ok(())
}

/// Without the old request, with another's, or with an id that is taken, nothing happens.
pub async fn replacing_what_is_not_there_changes_nothing(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let answer = store
        .replace_request(request_id(1), draft(2, 2)?, at(10))
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    store.create_request(draft(1, 1)?, at(10)).await?;
    let mut stranger = draft(2, 2)?;
    stranger.account = AccountId::parse("other/web")?;
    let answer = store.replace_request(request_id(1), stranger, at(10)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    let answer = store
        .replace_request(request_id(1), draft(1, 2)?, at(10))
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    assert_eq!(store.request(request_id(2)).await?, None);
    assert_eq!(store.pin(&cid(2)?).await?, None);
    assert_eq!(store.holdings(&account()?).await?.counts.total(), 1);
    assert_eq!(store.accounts(None, 10).await?, [account()?]);
    Ok(())
}

/// A request moves on only from the version that was seen.
pub async fn settling_needs_the_version(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let pinning = settled(RequestStatus::Pinning, None, None);
    let moved = store
        .settle_request(request_id(1), 1, pinning.clone(), at(20))
        .await?;
    assert_eq!((moved.status, moved.version), (RequestStatus::Pinning, 2));
    assert_eq!((moved.created, moved.updated), (at(10), at(20)));
    assert_eq!(store.request(request_id(1)).await?, Some(moved));
    for version in [0, 1, 3] {
        let answer = store
            .settle_request(request_id(1), version, pinning.clone(), at(30))
            .await;
        assert_eq!(refusal(answer), Some(ErrorKind::Conflict), "{version}");
    }
    let answer = store
        .settle_request(request_id(9), 1, pinning, at(30))
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    Ok(())
}

/// `None` keeps the size that is known and clears what was said.
pub async fn settling_keeps_the_size_and_clears_details(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let pinned = settled(RequestStatus::Pinned, Some(42), Some("all of it"));
    let moved = store
        .settle_request(request_id(1), 1, pinned, at(20))
        .await?;
    assert_eq!(
        (moved.dag_size, moved.details.as_deref()),
        (Some(42), Some("all of it"))
    );
    let failed = settled(RequestStatus::Failed, None, None);
    let moved = store
        .settle_request(request_id(1), 2, failed, at(30))
        .await?;
    assert_eq!((moved.dag_size, moved.details.clone()), (Some(42), None));
    assert_eq!(store.request(request_id(1)).await?, Some(moved));
    Ok(())
}

/// What has expired comes soonest first, its own instant included.
pub async fn expired_requests_come_soonest_first(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for (id, expires) in [
        (1, Some(300)),
        (2, Some(100)),
        (3, None),
        (4, Some(200)),
        (5, Some(100)),
    ] {
        let mut draft = draft(id, id)?;
        draft.asked.expires = expires.map(at);
        store.create_request(draft, at(10)).await?;
    }
    for (now, limit, expected) in [
        (99, 10, vec![]),
        (100, 10, vec![2, 5]),
        (299, 10, vec![2, 5, 4]),
        (300, 10, vec![2, 5, 4, 1]),
        (300, 3, vec![2, 5, 4]),
    ] {
        let expired = store.expired_requests(at(now), limit).await?;
        let ids: Vec<_> = expired.iter().map(|r| r.id).collect();
        let expected: Vec<_> = expected.into_iter().map(request_id).collect();
        assert_eq!(ids, expected, "at {now}");
    }
    store
        .delete_request(&account()?, request_id(2), at(400))
        .await?;
    let expired = store.expired_requests(at(100), 10).await?;
    assert_eq!(
        expired.iter().map(|r| r.id).collect::<Vec<_>>(),
        [request_id(5)]
    );
    Ok(())
}

fn settled(status: RequestStatus, dag_size: Option<u64>, details: Option<&str>) -> Settled {
    Settled {
        status,
        dag_size,
        details: details.map(Into::into),
    }
}
