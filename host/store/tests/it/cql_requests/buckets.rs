//! Accounts so large that their list lies in many partitions.

use super::{Process, must_be_clean};
use holdfast_model::{RequestFilter, RequestStatus};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{account, at, draft, pairs, request_id};
use holdfast_store::{Outcome, Store};

const REQUESTS: u64 = 23;
const BUCKET: u64 = 4;

/// Requests made at 10, 20, …; every third with a pair, every fifth pinned, some deleted: two
/// whole buckets and a few more.
async fn fill(store: &Store) {
    for id in 1..=REQUESTS {
        let mut draft = draft(id, id).unwrap();
        if id % 3 == 0 {
            draft.asked.meta = pairs(&[("app", "site")]);
        }
        store.create_request(draft, at(id * 10)).await.unwrap();
    }
    for id in (5..=REQUESTS).step_by(5) {
        let outcome = Outcome {
            status: RequestStatus::Pinned,
            dag_size: Some(id),
            details: None,
        };
        let settled = store.settle_request(request_id(id), 1, outcome, at(500));
        settled.await.unwrap();
    }
    for id in [2, 5, 6, 7, 8, 13, 14, 15, 16, 23] {
        let account = account().unwrap();
        let deleted = store.delete_request(&account, request_id(id), at(600));
        deleted.await.unwrap();
    }
}

fn filters() -> Vec<RequestFilter> {
    let mut filters = vec![RequestFilter::default()];
    for (before, after) in [
        (Some(90), None),
        (Some(81), None),
        (None, Some(100)),
        (Some(200), Some(30)),
        (Some(160), Some(120)),
        (Some(10), None),
        (None, Some(230)),
    ] {
        filters.push(RequestFilter {
            before: before.map(at),
            after: after.map(at),
            ..Default::default()
        });
    }
    let mut more = Vec::new();
    for filter in &filters {
        more.push(RequestFilter {
            statuses: vec![RequestStatus::Pinned],
            ..filter.clone()
        });
        more.push(RequestFilter {
            meta: pairs(&[("app", "site")]),
            ..filter.clone()
        });
    }
    filters.extend(more);
    filters
}

#[tokio::test]
async fn pages_and_counts_cross_buckets() {
    let keyspace = Keyspace::empty().await.unwrap();
    let process = Process::on(&keyspace).await;
    process.cql.make_buckets_of(BUCKET);
    let memory = Store::memory();
    fill(&memory).await;
    fill(&process.store).await;
    let account = account().unwrap();
    for filter in filters() {
        for limit in [1, 3, 4, 100] {
            let expected = memory.page_of_requests(&account, &filter, limit).await;
            let found = process
                .store
                .page_of_requests(&account, &filter, limit)
                .await;
            assert_eq!(found.unwrap(), expected.unwrap(), "{filter:?} {limit}");
        }
        let expected = memory.count_requests(&account, &filter).await.unwrap();
        let found = process
            .store
            .count_requests(&account, &filter)
            .await
            .unwrap();
        assert_eq!(found, expected, "{filter:?}");
    }
    must_be_clean(&process, &keyspace).await;
    process.store.close().await.unwrap();
}

/// A walk over the whole list drops the buckets that it finds empty from the index.
#[tokio::test]
async fn empty_buckets_are_forgotten() {
    let keyspace = Keyspace::empty().await.unwrap();
    let process = Process::on(&keyspace).await;
    process.cql.make_buckets_of(BUCKET);
    fill(&process.store).await;
    let buckets = async || {
        keyspace
            .rows()
            .await
            .unwrap()
            .get("request_buckets")
            .copied()
    };
    assert_eq!(buckets().await, Some(6));
    let all = RequestFilter::default();
    super::until("two buckets are forgotten", async || {
        let account = account().unwrap();
        let listed = process.store.requests(&account, &all, 100).await;
        assert_eq!(listed.unwrap().len(), 13);
        buckets().await == Some(4)
    })
    .await;
    process.store.close().await.unwrap();
}
