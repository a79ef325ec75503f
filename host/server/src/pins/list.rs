//! Listing an account's pin requests: those that the caller may read.

use crate::app::App;
use crate::pins::PinError;
use holdfast_model::action::{ListRequests, ReadRequest, RequestRef};
use holdfast_model::limits::PAGE_ROWS_MAX;
use holdfast_model::{AccountId, PinRequest, Principal, RequestFilter, RequestId};
use holdfast_policy::{Context, Permit};
use uuid::Uuid;

/// A page, and how many there are in all.
#[derive(Debug)]
pub struct Page {
    /// Requests that the filter means, on this page or not; never fewer than the rows, so that a
    /// client that pages until it has all of them comes to an end.
    pub count: u64,
    /// The newest of them, newest first.
    pub rows: Vec<PinRequest>,
}

/// One page of an account's requests that the caller may read, and the exact count of these under
/// the same filter.
///
/// Policies rarely tell requests of one account apart; then there is one answer for all of them,
/// and the store's counters are right. Where they do (by a request's id, by its content), every
/// request that the filter means is asked about, so such a list takes as long as the account is
/// large.
///
/// # Errors
/// The store fails.
pub async fn list(
    app: &App,
    permit: &Permit<ListRequests>,
    filter: &RequestFilter,
    limit: u32,
    context: &Context,
) -> Result<Page, PinError> {
    let caller = permit.principal();
    let any = RequestRef {
        account: permit.on().clone(),
        id: RequestId(Uuid::nil()),
    };
    match app.gate.lets_all::<ReadRequest>(caller, any, context) {
        Some(true) => {
            let page = app.store.page_of_requests(permit.on(), filter, limit);
            let (count, rows) = page.await?;
            Ok(Page { count, rows })
        }
        Some(false) => Ok(Page {
            count: 0,
            rows: Vec::new(),
        }),
        None => each(app, (caller, permit.on()), filter, limit, context).await,
    }
}

/// The same where each request has an answer of its own.
async fn each(
    app: &App,
    (caller, account): (&Principal, &AccountId),
    filter: &RequestFilter,
    limit: u32,
    context: &Context,
) -> Result<Page, PinError> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Page {
        count: 0,
        rows: Vec::new(),
    };
    let mut rest = filter.clone();
    loop {
        let found = app.store.requests(account, &rest, PAGE_ROWS_MAX).await?;
        let Some(last) = found.last().map(|last| last.created) else {
            return Ok(page);
        };
        rest.before = Some(last);
        for request in found {
            let on = RequestRef {
                account: account.clone(),
                id: request.id,
            };
            let context = Context {
                cid: Some(request.asked.cid),
                ..context.clone()
            };
            if app.gate.lets::<ReadRequest>(caller, on, &context) {
                page.count += 1;
                if page.rows.len() < wanted {
                    page.rows.push(request);
                }
            }
        }
    }
}
