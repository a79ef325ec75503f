//! A process dies between any two steps of a change; another finds everything in order.

use super::{Process, must_be_clean, until};
use holdfast_model::{Period, PinRequest, RequestFilter, RequestStatus, StatusCounts};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{account, at, cid, draft, full_draft, request_id};
use holdfast_store::{Outcome, Result, Stop, Store};

const STOPS: [Stop; 4] = [Stop::Intended, Stop::Moved, Stop::Written, Stop::Touched];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Create,
    Replace,
    Delete,
    Settle,
}

const CHANGES: [Change; 4] = [
    Change::Create,
    Change::Replace,
    Change::Delete,
    Change::Settle,
];

impl Change {
    async fn make(self, store: &Store) -> Result<()> {
        match self {
            Self::Create => {
                let new = full_draft(9, 9).unwrap();
                store.create_request(new, at(300)).await.map(drop)
            }
            Self::Replace => {
                let new = full_draft(9, 9).unwrap();
                let old = request_id(1);
                store.replace_request(old, new, at(300)).await.map(drop)
            }
            Self::Delete => {
                let account = account().unwrap();
                store.delete_request(&account, request_id(1), at(300)).await
            }
            Self::Settle => {
                let outcome = Outcome {
                    status: RequestStatus::Failed,
                    dag_size: None,
                    details: Some("gone".into()),
                };
                let settled = store.settle_request(request_id(1), 2, outcome, at(300));
                settled.await.map(drop)
            }
        }
    }
}

/// Everything that can be asked about the account.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    counts: StatusCounts,
    listed: Vec<PinRequest>,
    by_id: Vec<Option<PinRequest>>,
    pins: Vec<Option<u64>>,
    wanting: Vec<usize>,
    expired: usize,
    byte_millis: u128,
    operations: String,
    pinned_bytes: u128,
}

async fn picture(store: &Store) -> Picture {
    let account = account().unwrap();
    let all = RequestFilter::default();
    let period = Period {
        start: at(0),
        end: at(1_000),
    };
    let usage = store.usage(&account, period).await.unwrap();
    let (mut by_id, mut pins, mut wanting) = (Vec::new(), Vec::new(), Vec::new());
    for id in [1, 2, 9] {
        let cid = cid(id).unwrap();
        by_id.push(store.request(request_id(id)).await.unwrap());
        pins.push(store.pin(&cid).await.unwrap().map(|pin| pin.requests));
        wanting.push(store.requests_of_pin(&cid, None, 9).await.unwrap().len());
    }
    let expired = store.expired_requests(at(10_000_000), 10).await.unwrap();
    Picture {
        counts: store.holdings(&account).await.unwrap().counts,
        listed: store.requests(&account, &all, 10).await.unwrap(),
        by_id,
        pins,
        wanting,
        expired: expired.len(),
        byte_millis: usage.byte_millis,
        operations: format!("{:?}", usage.operations),
        pinned_bytes: store.holdings(&account).await.unwrap().pinned_bytes,
    }
}

/// Two requests, the first pinned.
async fn begin(process: &Process) {
    let store = &process.store;
    let first = full_draft(1, 1).unwrap();
    store.create_request(first, at(100)).await.unwrap();
    let second = draft(2, 2).unwrap();
    store.create_request(second, at(100)).await.unwrap();
    process.settle(1, 1, 50, 200).await;
}

/// What the store must look like before and after a change, by a store in memory.
async fn expected(change: Change, happens: bool) -> Picture {
    let store = Store::memory();
    let first = full_draft(1, 1).unwrap();
    store.create_request(first, at(100)).await.unwrap();
    let second = draft(2, 2).unwrap();
    store.create_request(second, at(100)).await.unwrap();
    let outcome = Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(50),
        details: None,
    };
    let settled = store.settle_request(request_id(1), 1, outcome, at(200));
    settled.await.unwrap();
    if happens {
        change.make(&store).await.unwrap();
    }
    picture(&store).await
}

#[tokio::test]
async fn the_sweep_finishes_what_a_crash_left() {
    for change in CHANGES {
        for stop in STOPS {
            let keyspace = Keyspace::empty().await.unwrap();
            let dying = Process::on(&keyspace).await;
            begin(&dying).await;
            dying.cql.die_at(stop);
            change.make(&dying.store).await.unwrap_err();

            let other = Process::on(&keyspace).await;
            other.sweep().await;
            let happened = stop != Stop::Intended;
            let told = format!("{change:?} {stop:?}");
            let found = picture(&other.store).await;
            assert_eq!(found, expected(change, happened).await, "{told}");
            must_be_clean(&other, &keyspace).await;
            dying.store.close().await.unwrap();
            other.store.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_next_writer_finishes_what_a_crash_left() {
    for stop in STOPS {
        let keyspace = Keyspace::empty().await.unwrap();
        let dying = Process::on(&keyspace).await;
        begin(&dying).await;
        dying.cql.die_at(stop);
        Change::Replace.make(&dying.store).await.unwrap_err();

        let other = Process::on(&keyspace).await;
        let next = draft(3, 3).unwrap();
        let made = other.store.create_request(next, at(100)).await.unwrap();
        let listed = other
            .store
            .requests(&account().unwrap(), &RequestFilter::default(), 10)
            .await
            .unwrap();
        let listed: Vec<_> = listed.iter().map(|r| r.id.0.as_u128()).collect();
        if stop == Stop::Intended {
            assert_eq!(listed, [3, 2, 1], "{stop:?}");
            assert_eq!(made.created, at(102));
        } else {
            assert_eq!(listed, [3, 9, 2], "{stop:?}");
            assert_eq!(made.created, at(301));
        }
        other.sweep().await;
        must_be_clean(&other, &keyspace).await;
        dying.store.close().await.unwrap();
        other.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn readers_finish_what_is_older_than_a_second() {
    let keyspace = Keyspace::empty().await.unwrap();
    let dying = Process::on(&keyspace).await;
    begin(&dying).await;
    dying.cql.die_at(Stop::Moved);
    Change::Create.make(&dying.store).await.unwrap_err();
    let other = Process::on(&keyspace).await;
    let counts = other
        .store
        .holdings(&account().unwrap())
        .await
        .unwrap()
        .counts;
    assert_eq!(counts.total(), 3, "it has happened");
    until("counts and lists agree", async || {
        let account = account().unwrap();
        other.store.holdings(&account).await.unwrap();
        other.store.request(request_id(9)).await.unwrap().is_some()
    })
    .await;
    assert_eq!(
        picture(&other.store).await,
        expected(Change::Create, true).await
    );
    must_be_clean(&other, &keyspace).await;
    dying.store.close().await.unwrap();
    other.store.close().await.unwrap();
}

/// The head of an account that never came to be is moved all the same, so that a late condition
/// cannot hold; the account is not shown.
#[tokio::test]
async fn an_account_that_never_came_to_be_is_not_shown() {
    let keyspace = Keyspace::empty().await.unwrap();
    let dying = Process::on(&keyspace).await;
    dying.cql.die_at(Stop::Intended);
    Change::Create.make(&dying.store).await.unwrap_err();
    let other = Process::on(&keyspace).await;
    other.sweep().await;
    assert_eq!(keyspace.rows().await.unwrap().get("accounts"), Some(&1));
    assert_eq!(other.store.accounts(None, 10).await.unwrap(), []);
    Change::Create.make(&other.store).await.unwrap();
    assert_eq!(
        other.store.accounts(None, 10).await.unwrap(),
        [account().unwrap()]
    );
    must_be_clean(&other, &keyspace).await;
    dying.store.close().await.unwrap();
    other.store.close().await.unwrap();
}
