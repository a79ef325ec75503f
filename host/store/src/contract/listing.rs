//! Lists and counts of requests.

use super::sample::{account, at, cid, draft, pairs, request_id};
use super::{Backend, Outcome};
use crate::{Outcome as Settled, Result, Store};
use holdfast_model::request::NameMatch;
use holdfast_model::{AccountId, PinRequest, RequestFilter, RequestStatus};

/// Ten requests: made at 10, 20, … 100; CIDs 0 to 2 in turn; every second one called `Site <id>`,
/// every third one with a pair; the first four settled into one status each.
async fn ten(store: &Store) -> Outcome {
    for id in 1..=10 {
        let mut draft = draft(id, id % 3)?;
        draft.asked.name = (id % 2 == 0).then(|| format!("Site {id}"));
        if id % 3 == 0 {
            draft.asked.meta = pairs(&[("app", "site"), ("id", &id.to_string())]);
        }
        store.create_request(draft, at(id * 10)).await?;
    }
    for (id, status) in (1..).zip(RequestStatus::ALL) {
        let outcome = Settled {
            status,
            dag_size: Some(id),
            details: None,
        };
        store
            .settle_request(request_id(id), 1, outcome, at(200))
            .await?;
    }
    Ok(())
}

async fn ids(store: &Store, filter: &RequestFilter, limit: u32) -> Result<Vec<u128>> {
    let page = store.requests(&account()?, filter, limit).await?;
    Ok(page.iter().map(|r| r.id.0.as_u128()).collect())
}

/// A page is the newest requests, and no longer than asked for.
pub async fn a_page_is_newest_first(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    let all = RequestFilter::default();
    assert_eq!(
        ids(store, &all, 100).await?,
        [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    );
    assert_eq!(ids(store, &all, 3).await?, [10, 9, 8]);
    assert_eq!(ids(store, &all, 0).await?, []);
    let one = store.requests(&account()?, &all, 1).await?;
    assert_eq!(one.first().cloned(), store.request(request_id(10)).await?);
    Ok(())
}

/// `before` and `after` leave their own instant out.
pub async fn before_and_after_are_strict(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    for (after, before, expected) in [
        (None, Some(30), vec![2, 1]),
        (Some(80), None, vec![10, 9]),
        (Some(20), Some(50), vec![4, 3]),
        (Some(20), Some(21), vec![]),
        (Some(50), Some(20), vec![]),
        (Some(0), Some(u64::MAX), vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ] {
        let filter = RequestFilter {
            before: before.map(at),
            after: after.map(at),
            ..Default::default()
        };
        assert_eq!(
            ids(store, &filter, 100).await?,
            expected,
            "{after:?} to {before:?}"
        );
        let count = store.count_requests(&account()?, &filter).await?;
        assert_eq!(count, expected.len() as u64, "{after:?} to {before:?}");
    }
    Ok(())
}

/// Setting `before` to the last row's `created` gives the next page.
pub async fn paging_by_created_meets_each_request_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    for size in [1, 3, 10] {
        let mut filter = RequestFilter::default();
        let mut seen = Vec::new();
        loop {
            let page = store.requests(&account()?, &filter, size).await?;
            let Some(last) = page.last() else {
                break;
            };
            filter.before = Some(last.created);
            seen.extend(page.iter().map(|r| r.id.0.as_u128()));
        }
        assert_eq!(seen, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], "pages of {size}");
    }
    Ok(())
}

/// Only the wanted statuses; none named means any.
pub async fn filters_by_status(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    for (statuses, expected) in [
        (vec![RequestStatus::Pinned], vec![3]),
        (
            vec![RequestStatus::Failed, RequestStatus::Pinning],
            vec![4, 2],
        ),
        (vec![RequestStatus::Queued], vec![10, 9, 8, 7, 6, 5, 1]),
    ] {
        let filter = RequestFilter {
            statuses,
            ..Default::default()
        };
        assert_eq!(ids(store, &filter, 100).await?, expected, "{filter:?}");
    }
    Ok(())
}

/// Any of the named CIDs, together with all else that is asked for.
pub async fn filters_by_cid(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    let mut other = draft(11, 0)?;
    other.account = AccountId::parse("acme/other")?;
    store.create_request(other, at(5)).await?;
    let of = |cids: Vec<_>| RequestFilter {
        cids,
        ..Default::default()
    };
    assert_eq!(ids(store, &of(vec![cid(0)?]), 100).await?, [9, 6, 3]);
    assert_eq!(ids(store, &of(vec![cid(7)?]), 100).await?, []);
    let two = of(vec![cid(2)?, cid(0)?, cid(2)?]);
    assert_eq!(ids(store, &two, 100).await?, [9, 8, 6, 5, 3, 2]);
    assert_eq!(ids(store, &two, 2).await?, [9, 8]);
    let some = RequestFilter {
        before: Some(at(90)),
        after: Some(at(20)),
        statuses: vec![RequestStatus::Pinned],
        ..two
    };
    assert_eq!(ids(store, &some, 100).await?, [3]);
    assert_eq!(store.count_requests(&account()?, &some).await?, 1);
    Ok(())
}

/// Names in four ways of matching, pairs that must all be there.
pub async fn filters_by_name_and_meta(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    for (name, how, expected) in [
        ("Site 2", NameMatch::Exact, vec![2]),
        ("site 2", NameMatch::Exact, vec![]),
        ("site 2", NameMatch::IgnoreCase, vec![2]),
        ("ite", NameMatch::Partial, vec![10, 8, 6, 4, 2]),
        ("SITE", NameMatch::PartialIgnoreCase, vec![10, 8, 6, 4, 2]),
    ] {
        let filter = RequestFilter {
            name: Some((name.into(), how)),
            ..Default::default()
        };
        assert_eq!(ids(store, &filter, 100).await?, expected, "{name} {how:?}");
    }
    for (meta, expected) in [
        (pairs(&[("app", "site")]), vec![9, 6, 3]),
        (pairs(&[("app", "site"), ("id", "6")]), vec![6]),
        (pairs(&[("app", "other")]), vec![]),
    ] {
        let filter = RequestFilter {
            meta,
            ..Default::default()
        };
        assert_eq!(ids(store, &filter, 100).await?, expected, "{filter:?}");
    }
    Ok(())
}

/// A count is the length of the list without a limit, whatever the filter.
pub async fn counts_follow_every_filter(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    let statuses = [
        vec![],
        vec![RequestStatus::Queued],
        RequestStatus::ALL.to_vec(),
    ];
    let names = [None, Some(("Site".to_owned(), NameMatch::Partial))];
    for statuses in &statuses {
        for name in &names {
            for cids in [vec![], vec![cid(1)?], vec![cid(1)?, cid(2)?]] {
                for before in [None, Some(at(70))] {
                    let filter = RequestFilter {
                        cids: cids.clone(),
                        name: name.clone(),
                        statuses: statuses.clone(),
                        before,
                        ..Default::default()
                    };
                    let listed = ids(store, &filter, 100).await?.len() as u64;
                    let counted = store.count_requests(&account()?, &filter).await?;
                    assert_eq!(counted, listed, "{filter:?}");
                }
            }
        }
    }
    Ok(())
}

/// Counts by status follow creation, settling, replacing and deleting.
pub async fn counts_by_status_follow_every_change(backend: impl Backend) -> Outcome {
    let store = backend.store();
    ten(store).await?;
    let counts = store.holdings(&account()?).await?.counts;
    let told = |c: holdfast_model::StatusCounts| (c.queued, c.pinning, c.pinned, c.failed);
    assert_eq!(told(counts), (7, 1, 1, 1));
    store
        .replace_request(request_id(2), draft(11, 1)?, at(300))
        .await?;
    store
        .delete_request(&account()?, request_id(3), at(300))
        .await?;
    let again = Settled {
        status: RequestStatus::Queued,
        dag_size: None,
        details: None,
    };
    store
        .settle_request(request_id(4), 2, again, at(300))
        .await?;
    let backend = backend.reopen().await;
    let counts = backend.store().holdings(&account()?).await?.counts;
    assert_eq!(told(counts), (9, 0, 0, 0));
    let nobody = AccountId::parse("acme/nobody")?;
    assert_eq!(backend.store().holdings(&nobody).await?.counts.total(), 0);
    Ok(())
}

/// An account whose name begins like another's sees its own requests only.
pub async fn accounts_see_their_own(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let names = ["acme/web", "acme/web-1", "acme/we", "acme-1/web", "ac/me"];
    for (n, name) in (1..).zip(names) {
        let mut draft = draft(n, n)?;
        draft.account = AccountId::parse(name)?;
        store.create_request(draft, at(n)).await?;
    }
    for (n, name) in (1..).zip(names) {
        let own = store
            .requests(&AccountId::parse(name)?, &RequestFilter::default(), 10)
            .await?;
        assert_eq!(
            own.iter().map(|r| r.id).collect::<Vec<_>>(),
            [request_id(n)],
            "{name}"
        );
    }
    Ok(())
}

/// Everybody's requests of one CID, each once, page by page, in the same order every time; a
/// cursor outlives its request.
pub async fn requests_of_a_pin_are_each_met_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for (id, name) in [
        (5, "acme/web"),
        (3, "other/web"),
        (8, "acme/web"),
        (1, "zoo/web"),
    ] {
        let mut draft = draft(id, 1)?;
        draft.account = AccountId::parse(name)?;
        store.create_request(draft, at(10)).await?;
    }
    store.create_request(draft(2, 2)?, at(10)).await?;
    let whole = store.requests_of_pin(&cid(1)?, None, 10).await?;
    let mut ids: Vec<_> = whole.iter().map(|r| r.id.0.as_u128()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 3, 5, 8]);
    for size in [1, 2, 3, 10] {
        let mut seen: Vec<PinRequest> = Vec::new();
        loop {
            let page = store.requests_of_pin(&cid(1)?, seen.last(), size).await?;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size as usize);
            seen.extend(page);
        }
        assert_eq!(seen, whole, "pages of {size}");
    }
    let (gone, left) = whole.split_first().ok_or("there are no requests")?;
    store.delete_request(&gone.account, gone.id, at(20)).await?;
    assert_eq!(store.requests_of_pin(&cid(1)?, Some(gone), 10).await?, left);
    Ok(())
}
