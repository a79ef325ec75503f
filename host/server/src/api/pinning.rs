//! The Pinning Service API, version 1.0.0, under `/psa`.
//!
//! Where its text leaves room, or clients differ from it:
//! - A list without `status` shows requests of *every* status (the text says pinned only). The
//!   compliance tool looks for pins by name that can never become pinned; Kubo always names the
//!   statuses it wants.
//! - `before` and `after` leave their own instant out; `created` has milliseconds and is unique
//!   within an account, so pages neither repeat nor miss a row.
//! - `count` is exact under all filters, `before` and `after` included: Kubo pages until a page
//!   holds as many as are counted.
//! - An unknown query parameter or body field is refused by name.
//! - A request of somebody else, one that is gone and an id that is none answer alike: 404.

mod filter;
mod view;

pub(crate) use view::{Failure, Page, Status};

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::pins;
use axum::http::StatusCode;
use holdfast_model::action::{
    Act, CreateRequest, DeleteRequest, ListRequests, ReadRequest, ReplaceRequest, RequestRef,
};
use holdfast_model::request::Asked;
use holdfast_model::{Cid, NewRequest, PinRequest, RequestId};
use holdfast_policy::Permit;
use uuid::Uuid;

/// List pin requests, newest first.
#[utoipa::path(
    get, path = "/psa/pins", tag = "pinning", operation_id = "listRequests",
    params(filter::Parameters),
    responses((status = 200, description = "A page and the exact count", body = Page))
)]
pub(crate) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    let query = filter::query(call)?;
    let account = match filter::account(&query)? {
        Some(account) => account,
        None => call.principal()?.account.clone(),
    };
    // What else is wrong with the question is told only to who may ask about the account.
    let permit = call.permit::<ListRequests>(account)?;
    let (filter, limit) = filter::read(&query)?;
    let context = call.circumstances(None);
    let page = pins::list(call.app(), &permit, &filter, limit, &context).await?;
    let delegates = call.delegates();
    Reply::json(StatusCode::OK, &Page::of(&page, &delegates.texts))
}

/// Ask for a pin.
#[utoipa::path(
    post, path = "/psa/pins", tag = "pinning", operation_id = "createRequest",
    request_body = view::Pin,
    responses((status = 202, description = "Accepted", body = Status),
        (status = 409, description = "A quota or funds are used up"))
)]
pub(crate) async fn create(call: &mut Call) -> Result<Reply, Problem> {
    let asked = asked(call).await?;
    let account = call.principal()?.account.clone();
    let permit = call.permit_about::<CreateRequest>(account, Some(asked.cid))?;
    let request = pins::create(call.app(), &permit, fresh_id(), asked).await?;
    status(call, StatusCode::ACCEPTED, &request)
}

/// Read one pin request.
#[utoipa::path(
    get, path = "/psa/pins/{requestid}", tag = "pinning", operation_id = "readRequest",
    params(("requestid" = String, Path, description = "The request's id")),
    responses((status = 200, description = "The request", body = Status),
        (status = 404, description = "Not there, or not yours"))
)]
pub(crate) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    let (sealed, permit) = permit_on::<ReadRequest>(call, None).await?;
    let request = sealed.open(&permit)?;
    status(call, StatusCode::OK, &request)
}

/// Put a new pin request in the place of an old one.
#[utoipa::path(
    post, path = "/psa/pins/{requestid}", tag = "pinning", operation_id = "replaceRequest",
    params(("requestid" = String, Path, description = "The old request's id")),
    request_body = view::Pin,
    responses((status = 202, description = "Accepted, under a new id", body = Status),
        (status = 404, description = "Not there, or not yours"),
        (status = 409, description = "A quota or funds are used up"))
)]
pub(crate) async fn replace(call: &mut Call) -> Result<Reply, Problem> {
    let asked = asked(call).await?;
    let (_, permit) = permit_on::<ReplaceRequest>(call, Some(asked.cid)).await?;
    let request = pins::replace(call.app(), &permit, fresh_id(), asked).await?;
    status(call, StatusCode::ACCEPTED, &request)
}

/// Give up a pin request.
#[utoipa::path(
    delete, path = "/psa/pins/{requestid}", tag = "pinning", operation_id = "deleteRequest",
    params(("requestid" = String, Path, description = "The request's id")),
    responses((status = 202, description = "Given up"),
        (status = 404, description = "Not there, or not yours"))
)]
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, Problem> {
    let (_, permit) = permit_on::<DeleteRequest>(call, None).await?;
    pins::delete(call.app(), &permit).await?;
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

/// Finds the request that the path names and asks the policies about it and about the content: the
/// one that is asked for now, else the request's own.
///
/// When there is none, the policies are asked about one of the caller's own with that id: so a
/// caller who may not read at all learns nothing, and the answer takes as long.
async fn permit_on<A>(
    call: &mut Call,
    cid: Option<Cid>,
) -> Result<(pins::Sealed, Permit<A>), Problem>
where
    A: Act<On = RequestRef>,
{
    let id = RequestId::parse(call.segment()).map_err(|_| Problem::not_found())?;
    match pins::find(call.app(), id).await? {
        Some(sealed) => {
            let cid = cid.unwrap_or_else(|| sealed.cid());
            let permit = call.permit_about::<A>(sealed.reference(), Some(cid))?;
            Ok((sealed, permit))
        }
        None => {
            let account = call.principal()?.account.clone();
            call.permit_about::<A>(RequestRef { account, id }, cid)?;
            Err(Problem::not_found())
        }
    }
}

/// Reads what is asked for. Before the permit, because policies may look at the content.
async fn asked(call: &mut Call) -> Result<NewRequest, Problem> {
    let bytes = call.body().await?;
    Ok(Asked::parse(&bytes)?.check()?)
}

/// Ids grow with time, so that new rows stand together in the store; 74 bits of them are random.
fn fresh_id() -> RequestId {
    RequestId(Uuid::now_v7())
}

fn status(call: &Call, code: StatusCode, request: &PinRequest) -> Result<Reply, Problem> {
    let delegates = call.delegates();
    Reply::json(code, &Status::of(request, &delegates.texts))
}
