//! The newest page of an account: its head, then the page.

use crate::Plan;
use crate::pace::deed;
use crate::pins;
use crate::server::Bench;
use crate::table::Row;
use futures_util::future::join_all;
use holdfast_model::{AccountId, NewRequest, RequestFilter, RequestId, UnixMillis};
use holdfast_store::{RequestDraft, Store};
use scylla::value::Row as AnyRow;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The account whose page is listed, how many requests it has, and how many rows a page has.
const ACCOUNT: &str = "bench/list";
const REQUESTS: u64 = 1_000;
const PAGE: u32 = 10;

pub(crate) fn rows(plan: &Plan) -> Vec<Row> {
    let bench = Bench::start();
    let account = AccountId::parse(ACCOUNT).unwrap();
    bench.runtime.block_on(make(&bench.store, &account));
    let store = bench.store.clone();
    let ours = deed(move |_| {
        let (store, account) = (store.clone(), account.clone());
        async move {
            let filter = RequestFilter::default();
            let page = store.requests(&account, &filter, PAGE).await.unwrap();
            assert_eq!(page.len(), PAGE as usize);
        }
    });
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |_| {
        let bare = Arc::clone(&bare);
        async move {
            let head = bare.send("head_read", (ACCOUNT,)).await;
            head.single_row::<AnyRow>().unwrap();
            let limit = PAGE.cast_signed();
            let values = (ACCOUNT, 0_i32, i64::MAX, i64::MIN, limit);
            let page = bare.send("listing_page", values).await;
            let rows = page.rows::<(i64, Uuid, i8, Vec<u8>)>().unwrap();
            assert_eq!(rows.map(Result::unwrap).count(), PAGE as usize);
        }
    });
    bench.compare("cql_list", plan, (&ours, &theirs))
}

async fn make(store: &Store, account: &AccountId) {
    for numbers in (0..REQUESTS).collect::<Vec<_>>().chunks(64) {
        let some = numbers.iter().map(|n| {
            let asked = NewRequest {
                cid: pins::cid(*n),
                name: Some(format!("bench-{n}")),
                origins: Vec::new(),
                meta: BTreeMap::new(),
                expires: None,
            };
            let draft = RequestDraft {
                id: RequestId(Uuid::now_v7()),
                account: account.clone(),
                asked,
            };
            store.create_request(draft, UnixMillis::new(1_700_000_000_000))
        });
        for made in join_all(some).await {
            made.unwrap();
        }
    }
}
