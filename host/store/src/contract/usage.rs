//! Usage.

use super::sample::{account, at, draft, request_id};
use super::{Backend, Outcome};
use crate::{Outcome as Settled, Result, Store};
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Period, RequestStatus, Usage};

async fn used(store: &Store, start: u64, end: u64) -> Result<Usage> {
    let period = Period {
        start: at(start),
        end: at(end),
    };
    store.usage(&account()?, period).await
}

async fn settle(store: &Store, id: u64, version: u64, size: Option<u64>, now: u64) -> Outcome {
    let outcome = Settled {
        status: match size {
            Some(_) => RequestStatus::Pinned,
            None => RequestStatus::Failed,
        },
        dag_size: size,
        details: None,
    };
    store
        .settle_request(request_id(id), version, outcome, at(now))
        .await?;
    Ok(())
}

/// Request 1: 10 bytes over [200, 500), 30 over [500, 900). Request 2: 5 bytes over [300, 700),
/// when it is replaced. Together at 900 nothing is left.
async fn a_life(store: &Store) -> Outcome {
    store.create_request(draft(1, 1)?, at(100)).await?;
    store.create_request(draft(2, 2)?, at(150)).await?;
    settle(store, 1, 1, Some(10), 200).await?;
    settle(store, 2, 1, Some(5), 300).await?;
    settle(store, 1, 2, Some(30), 500).await?;
    store
        .replace_request(request_id(2), draft(3, 2)?, at(700))
        .await?;
    settle(store, 1, 3, None, 900).await?;
    store
        .delete_request(&account()?, request_id(1), at(950))
        .await?;
    Ok(())
}

/// Every stretch has exactly its bytes times its milliseconds, whatever lies in it.
pub async fn usage_is_exact_over_a_pins_life(backend: impl Backend) -> Outcome {
    let store = backend.store();
    a_life(store).await?;
    for (start, end, expected) in [
        (0, 200, 0),
        (200, 300, 10 * 100),
        (0, 1_000, 10 * 300 + 30 * 400 + 5 * 400),
        (400, 600, 10 * 100 + 30 * 100 + 5 * 200),
        (650, 650, 0),
        (699, 701, 35 + 30),
        (900, 5_000, 0),
    ] {
        let used = used(store, start, end).await?;
        assert_eq!(used.byte_millis, expected, "{start} to {end}");
    }
    for (end, level) in [
        (200, 0),
        (201, 10),
        (301, 15),
        (501, 35),
        (701, 30),
        (901, 0),
    ] {
        assert_eq!(used(store, 0, end).await?.level_bytes, level, "at {end}");
    }
    assert_eq!(store.holdings(&account()?).await?.pinned_bytes, 0);
    Ok(())
}

/// The same, with restarts between the marks.
pub async fn usage_survives_reopening(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(100)).await?;
    settle(store, 1, 1, Some(1 << 40), 200).await?;
    let backend = backend.reopen().await;
    assert_eq!(
        backend.store().holdings(&account()?).await?.pinned_bytes,
        1 << 40
    );
    settle(backend.store(), 1, 2, None, 1_200).await?;
    let backend = backend.reopen().await;
    let used = used(backend.store(), 0, 9_999).await?;
    assert_eq!(used.byte_millis, (1 << 40) * 1_000);
    assert_eq!(used.level_bytes, 0);
    Ok(())
}

/// Each in the period that it happened in; a replacement is one, not three.
pub async fn operations_are_counted(backend: impl Backend) -> Outcome {
    let store = backend.store();
    a_life(store).await?;
    for (start, end, (pin, replace, unpin)) in [
        (0, 1_000, (2, 1, 1)),
        (100, 150, (1, 0, 0)),
        (151, 950, (0, 1, 0)),
        (950, 951, (0, 0, 1)),
    ] {
        let expected = Operations {
            pin,
            replace,
            unpin,
        };
        let used = used(store, start, end).await?;
        assert_eq!(used.operations, expected, "{start} to {end}");
    }
    Ok(())
}

/// Nothing is billed twice, nothing is lost from then on.
pub async fn a_clock_that_goes_back_is_taken_to_stand_still(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(1_000)).await?;
    settle(store, 1, 1, Some(10), 2_000).await?;
    settle(store, 1, 2, Some(20), 1_500).await?;
    assert_eq!(used(store, 0, 2_000).await?.byte_millis, 0);
    assert_eq!(used(store, 0, 3_000).await?.byte_millis, 20 * 1_000);
    Ok(())
}

/// Each once, page by page, those without a request left included.
pub async fn accounts_that_ever_made_a_request(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut expected = Vec::new();
    for (n, name) in (1..).zip(["b/x", "a/y", "a-b/z", "a/x"]) {
        let mut draft = draft(n, n)?;
        draft.account = AccountId::parse(name)?;
        expected.push(draft.account.clone());
        store.create_request(draft, at(n)).await?;
    }
    store
        .delete_request(&AccountId::parse("a/y")?, request_id(2), at(9))
        .await?;
    expected.sort();
    for size in [1, 3, 10] {
        let mut seen: Vec<AccountId> = Vec::new();
        loop {
            let page = store.accounts(seen.last(), size).await?;
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        seen.sort();
        assert_eq!(seen, expected, "pages of {size}");
    }
    Ok(())
}
