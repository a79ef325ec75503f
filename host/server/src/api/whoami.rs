//! Who the caller is taken for: the first thing to ask when something is denied.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use axum::http::StatusCode;
use holdfast_model::{AccountId, Role, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoAmI<'a> {
    /// The name that policies and the audit log know.
    principal: &'a str,
    #[schema(value_type = String)]
    tenant: &'a TenantId,
    #[schema(value_type = String)]
    account: &'a AccountId,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
}

/// Who the caller is taken for.
#[utoipa::path(
    get, path = "/v1/whoami", tag = "keys", operation_id = "whoAmI",
    responses((status = 200, description = "The caller", body = WhoAmI))
)]
pub(crate) fn show(call: &Call) -> Result<Reply, Problem> {
    let principal = call.principal()?;
    let view = WhoAmI {
        principal: principal.id.as_str(),
        tenant: principal.tenant(),
        account: &principal.account,
        roles: principal.roles.into(),
    };
    Reply::json(StatusCode::OK, &view)
}
