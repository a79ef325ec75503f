//! Tenants, under `/v1/tenants`.

use crate::accounts::tenants;
use crate::api::context::Call;
use crate::api::keys::limit;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use axum::http::StatusCode;
use holdfast_model::action::{ReadTenant, WriteTenant};
use holdfast_model::{Action, Tenant, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Characters of an attribute's value in the audit log.
const VALUE_CHARS_TOLD: usize = 64;

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

/// A page of tenants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenants)]
pub(crate) struct Listed {
    tenants: Vec<TenantView>,
    /// Send it as `after` to get the next page; null on the last one.
    #[schema(value_type = Option<String>)]
    next: Option<TenantId>,
}

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `list` takes apart")]
struct Parameters {
    /// The tenant after whose name the page begins.
    after: Option<String>,
    /// Rows at most, 1 to 1000; 100 when it is missing.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// List the tenants that the caller may read.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", operation_id = "listTenants", params(Parameters),
    responses((status = 200, description = "A page of tenants", body = Listed))
)]
pub(crate) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["after", "limit"])?;
    let after = query.one("after")?.map(TenantId::parse).transpose()?;
    let limit = limit(query.one("limit")?)?;
    call.must_hold(Action::ReadTenant)?;
    let context = call.circumstances(None);
    let caller = call.principal()?;
    let found = tenants::list(call.app(), caller, &context, after, limit).await?;
    let is_full = found.len() == limit;
    let last = found.last().filter(|_| is_full);
    let next = last.map(|tenant| tenant.id.clone());
    // No single decision stands for the rows of a list.
    call.note(format!("listed {} tenants", found.len()));
    let tenants = found.into_iter().map(TenantView::of).collect();
    Reply::json(StatusCode::OK, &Listed { tenants, next })
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
    let (tenant, before) = tenants::write(call.app(), &permit, attributes).await?;
    call.note(of_change(&before, &tenant.attributes));
    Reply::json(StatusCode::OK, &TenantView::of(tenant))
}

/// What the audit log is told of attributes: those that are another way now, and how they were.
/// Long values are cut, so that many of them are told.
fn of_change(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> String {
    let cut = |value: &String| value.chars().take(VALUE_CHARS_TOLD).collect::<String>();
    let set = now
        .iter()
        .filter_map(|(name, value)| match before.get(name) {
            Some(was) if was == value => None,
            Some(was) => Some(format!("{name} = {} (was {})", cut(value), cut(was))),
            None => Some(format!("{name} = {}", cut(value))),
        });
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    let gone = gone.map(|(name, was)| format!("without {name} (was {})", cut(was)));
    let told: Vec<String> = set.chain(gone).collect();
    match told.is_empty() {
        true => "attributes as they were".to_owned(),
        false => format!("attributes {}", told.join("; ")),
    }
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
