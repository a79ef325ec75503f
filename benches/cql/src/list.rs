//! The newest page of an account: its head, then the page. Both sides answer requests.

use crate::Plan;
use crate::bare::Bare;
use crate::pace::deed;
use crate::pins;
use crate::server::Bench;
use crate::table::Row;
use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use holdfast_model::{AccountId, NewRequest, PinRequest, RequestFilter, RequestId, UnixMillis};
use holdfast_store::{RequestDraft, Store, cql_outside};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The account whose page is listed, how many requests it has, and how many rows a page has.
const ACCOUNT: &str = "bench/list";
const REQUESTS: u64 = 1_000;
const PAGE: u32 = 10;

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let bench = Bench::start()?;
    let account = Arc::new(AccountId::parse(ACCOUNT)?);
    bench.runtime.block_on(make(&bench.store, &account))?;
    let (store, own) = (bench.store.clone(), Arc::clone(&account));
    let ours = deed(move |_| {
        let (store, account) = (store.clone(), Arc::clone(&own));
        async move {
            let filter = RequestFilter::default();
            let page = store.requests(&account, &filter, PAGE).await?;
            ensure!(page.len() == PAGE as usize, "the page is short");
            Ok(())
        }
    });
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |_| {
        let (bare, account) = (Arc::clone(&bare), Arc::clone(&account));
        async move {
            let page = list(&bare, &account).await?;
            ensure!(page.len() == PAGE as usize, "the page is short");
            Ok(())
        }
    });
    bench.compare("cql_list", plan, (&ours, &theirs))
}

/// The head: its version, the last change of it, the counts by status, when the newest request was
/// made and how many ever were, and the usage mark.
type Head = (i64, Uuid, i64, i64, i64, i64, i64, i64, i64, Vec<u8>);

async fn list(bare: &Bare, account: &AccountId) -> Result<Vec<PinRequest>> {
    let head = bare.send("head_read", (account.as_str(),)).await?;
    let (_, _, _, queued, pinning, pinned, failed, ..) = head.single_row::<Head>()?;
    if queued + pinning + pinned + failed == 0 {
        return Ok(Vec::new());
    }
    let limit = PAGE.cast_signed();
    let values = (account.as_str(), 0_i32, i64::MAX, i64::MIN, limit);
    let page = bare.send("listing_page", values).await?;
    let rows = page.rows::<(i64, Uuid, i8, Vec<u8>)>()?;
    rows.map(|row| {
        let (_, id, _, body) = row?;
        Ok(cql_outside::request(RequestId(id), &body)?)
    })
    .collect()
}

async fn make(store: &Store, account: &AccountId) -> Result<()> {
    let numbers: Vec<u64> = (0..REQUESTS).collect();
    for numbers in numbers.chunks(pins::SET_UP_AT_ONCE) {
        let some = numbers.iter().map(async |n| {
            let asked = NewRequest {
                cid: pins::cid(*n)?,
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
            let made = store.create_request(draft, UnixMillis::new(1_700_000_000_000));
            made.await?;
            anyhow::Ok(())
        });
        try_join_all(some).await?;
    }
    Ok(())
}
