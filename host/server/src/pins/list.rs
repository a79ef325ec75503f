//! Listing an account's pin requests.

use crate::app::App;
use crate::pins::PinError;
use holdfast_model::action::ListRequests;
use holdfast_model::{PinRequest, RequestFilter};
use holdfast_policy::Permit;

/// A page, and how many there are in all.
#[derive(Debug)]
pub struct Page {
    /// Requests that the filter means, on this page or not; never fewer than the rows, so that a
    /// client that pages until it has all of them comes to an end.
    pub count: u64,
    /// The newest of them, newest first.
    pub rows: Vec<PinRequest>,
}

/// One page of an account's requests, and the exact count under the same filter.
///
/// # Errors
/// The store fails.
pub async fn list(
    app: &App,
    permit: &Permit<ListRequests>,
    filter: &RequestFilter,
    limit: u32,
) -> Result<Page, PinError> {
    let page = app.store.page_of_requests(permit.on(), filter, limit);
    let (count, rows) = page.await?;
    Ok(Page { count, rows })
}
