//! Tenants, under `/v1/tenants`.

use crate::accounts::tenants;
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use axum::http::StatusCode;
use holdfast_model::action::{ReadTenant, WriteTenant};
use holdfast_model::{Tenant, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What an operator puts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attributes {
    /// All of the tenant's attributes; those that are left out go.
    attributes: BTreeMap<String, String>,
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    #[schema(value_type = String)]
    tenant: TenantId,
    #[schema(value_type = String, format = "date-time")]
    created: UnixMillis,
    /// What policies and plugins may read: `quota_bytes`, `plan`, ….
    attributes: BTreeMap<String, String>,
}

/// Read a tenant's attributes.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "tenants", operation_id = "readTenant",
    params(("tenant" = String, Path, description = "The tenant's name")),
    responses((status = 200, description = "The tenant", body = TenantView))
)]
pub(crate) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<ReadTenant>(named(call)?)?;
    let tenant = tenants::read(call.app(), &permit).await?;
    Reply::json(StatusCode::OK, &TenantView::of(tenant))
}

/// Set a tenant's attributes; makes the tenant if there is none.
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}", tag = "tenants", operation_id = "writeTenant",
    params(("tenant" = String, Path, description = "The tenant's name")),
    request_body = Attributes,
    responses((status = 200, description = "The tenant as it is now", body = TenantView))
)]
pub(crate) async fn write(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WriteTenant>(named(call)?)?;
    let Attributes { attributes } = call.json().await?;
    let tenant = tenants::write(call.app(), &permit, attributes).await?;
    Reply::json(StatusCode::OK, &TenantView::of(tenant))
}

/// The tenant that the path names. A name that none can have is one that is not there.
fn named(call: &Call) -> Result<TenantId, Problem> {
    TenantId::parse(call.segment()).map_err(|_| Problem::not_found())
}

impl TenantView {
    fn of(tenant: Tenant) -> Self {
        Self {
            tenant: tenant.id,
            created: tenant.created,
            attributes: tenant.attributes,
        }
    }
}
