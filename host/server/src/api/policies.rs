//! What a tenant says for itself: its own policies under `/v1/policies`, its grants under
//! `/v1/grants`.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::policies::{self, NewGrant, OwnPolicies};
use axum::http::StatusCode;
use holdfast_model::action::{GrantAccess, ReadPolicies, WritePolicies};
use holdfast_model::{TenantId, UnixMillis};
use holdfast_policy::Grant;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What somebody puts.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewPolicies)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The tenant; the caller's own when it is missing.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// All of the tenant's policies, in Cedar.
    policies: String,
    /// Only if this is still the version: what `GET` told.
    version: Option<String>,
}

/// What a tenant says for itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policies)]
pub(crate) struct PoliciesView {
    #[schema(value_type = String)]
    tenant: TenantId,
    /// Its policies, in Cedar.
    policies: String,
    /// How many grants it has.
    grants: usize,
    /// The platform's policies that these stand under.
    platform_revision: String,
    /// Send it with a change that must not undo somebody else's; null if there never was one.
    version: Option<String>,
    #[schema(value_type = Option<String>, format = "date-time")]
    changed: Option<UnixMillis>,
    /// By whom.
    by: Option<String>,
}

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `tenant_of` takes apart")]
struct Parameters {
    /// The tenant; the caller's own when it is missing.
    tenant: Option<String>,
}

/// What somebody wants to grant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewGrant)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedGrant {
    /// The tenant; the caller's own when it is missing.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// What is given: the id of one of the platform's templates.
    template: String,
    /// To whom: the name that `/v1/whoami` shows them.
    principal: String,
    /// For what: `tenant/account`, or the tenant; the whole tenant when it is missing.
    on: Option<String>,
}

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub(crate) struct GrantView {
    id: String,
    template: String,
    principal: String,
    on: String,
    by: String,
    #[schema(value_type = String, format = "date-time")]
    created: UnixMillis,
}

/// A tenant's grants, and what can be granted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grants)]
pub(crate) struct Granted {
    grants: Vec<GrantView>,
    templates: Vec<TemplateView>,
}

/// Something that can be granted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GrantTemplate)]
pub(crate) struct TemplateView {
    id: String,
    /// What it gives, in its author's words.
    gives: String,
}

/// Read a tenant's own policies.
#[utoipa::path(
    get, path = "/v1/policies", tag = "policies", operation_id = "readPolicies",
    params(Parameters),
    responses((status = 200, description = "What it says for itself", body = PoliciesView))
)]
pub(crate) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    let tenant = tenant_of(call)?;
    let permit = call.permit::<ReadPolicies>(tenant)?;
    let (own, version) = policies::read(call.app(), &permit).await?;
    view(call, own, version)
}

/// Set a tenant's own policies.
#[utoipa::path(
    put, path = "/v1/policies", tag = "policies", operation_id = "writePolicies",
    request_body = Wanted,
    responses((status = 200, description = "As they are now", body = PoliciesView),
        (status = 409, description = "It has another version by now"))
)]
pub(crate) async fn write(call: &mut Call) -> Result<Reply, Problem> {
    let wanted: Wanted = call.json().await?;
    let tenant = match wanted.tenant {
        Some(tenant) => tenant,
        None => call.principal()?.tenant().clone(),
    };
    let permit = call.permit::<WritePolicies>(tenant)?;
    let expected = wanted.version.as_deref().map(version).transpose()?;
    let written = policies::write(call.app(), &permit, wanted.policies, expected);
    let (own, version) = written.await?;
    call.note(format!("policies, version {version}"));
    view(call, own, Some(version))
}

/// Drop a tenant's own policies; its grants stay.
#[utoipa::path(
    delete, path = "/v1/policies", tag = "policies", operation_id = "dropPolicies",
    params(Parameters),
    responses((status = 200, description = "As they are now", body = PoliciesView))
)]
pub(crate) async fn remove(call: &mut Call) -> Result<Reply, Problem> {
    let tenant = tenant_of(call)?;
    let permit = call.permit::<WritePolicies>(tenant)?;
    let (own, version) = policies::remove(call.app(), &permit).await?;
    view(call, own, Some(version))
}

/// List a tenant's grants, and what can be granted.
#[utoipa::path(
    get, path = "/v1/grants", tag = "policies", operation_id = "listGrants", params(Parameters),
    responses((status = 200, description = "All of them", body = Granted))
)]
pub(crate) async fn grants(call: &mut Call) -> Result<Reply, Problem> {
    let tenant = tenant_of(call)?;
    let permit = call.permit::<ReadPolicies>(tenant)?;
    let grants = policies::grants(call.app(), &permit).await?;
    let templates = call.app().gate.templates().into_iter();
    let granted = Granted {
        grants: grants.into_iter().map(GrantView::of).collect(),
        templates: templates
            .map(|(id, gives)| TemplateView { id, gives })
            .collect(),
    };
    Reply::json(StatusCode::OK, &granted)
}

/// Grant something to somebody.
#[utoipa::path(
    post, path = "/v1/grants", tag = "policies", operation_id = "grantAccess",
    request_body = WantedGrant,
    responses((status = 201, description = "The grant", body = GrantView))
)]
pub(crate) async fn grant(call: &mut Call) -> Result<Reply, Problem> {
    let wanted: WantedGrant = call.json().await?;
    let tenant = match wanted.tenant {
        Some(tenant) => tenant,
        None => call.principal()?.tenant().clone(),
    };
    let permit = call.permit::<GrantAccess>(tenant.clone())?;
    let wanted = NewGrant {
        template: wanted.template,
        principal: wanted.principal,
        on: wanted.on.unwrap_or_else(|| tenant.as_str().to_owned()),
    };
    let grant = policies::grant(call.app(), &permit, wanted).await?;
    call.note(format!(
        "{} on {} for {} as {}",
        grant.template, grant.on, grant.principal, grant.id
    ));
    Reply::json(StatusCode::CREATED, &GrantView::of(grant))
}

/// Revoke a grant.
#[utoipa::path(
    delete, path = "/v1/grants/{id}", tag = "policies", operation_id = "revokeGrant",
    params(("id" = String, Path, description = "The grant's id"), Parameters),
    responses((status = 200, description = "What it was", body = GrantView),
        (status = 404, description = "Not there, or not yours"))
)]
pub(crate) async fn revoke(call: &mut Call) -> Result<Reply, Problem> {
    let tenant = tenant_of(call)?;
    let id = call.segment().to_owned();
    let permit = call.permit::<GrantAccess>(tenant)?;
    let grant = policies::revoke(call.app(), &permit, &id).await?;
    call.note(format!(
        "{} on {} for {} as {id}",
        grant.template, grant.on, grant.principal
    ));
    Reply::json(StatusCode::OK, &GrantView::of(grant))
}

fn tenant_of(call: &Call) -> Result<TenantId, Problem> {
    let query = call.query(&["tenant"])?;
    match query.one("tenant")? {
        Some(text) => Ok(TenantId::parse(text)?),
        None => Ok(call.principal()?.tenant().clone()),
    }
}

fn version(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        let why = "is no version; write what GET /v1/policies told, or leave it out";
        holdfast_model::Invalid::new("version", why).into()
    })
}

fn view(call: &Call, own: OwnPolicies, version: Option<u64>) -> Result<Reply, Problem> {
    let is_there = version.is_some();
    let view = PoliciesView {
        tenant: own.tenant,
        policies: own.policies,
        grants: own.grants.len(),
        platform_revision: call.app().gate.revision().0.to_string(),
        version: version.map(|version| version.to_string()),
        changed: is_there.then_some(own.changed),
        by: is_there.then_some(own.by),
    };
    Reply::json(StatusCode::OK, &view)
}

impl GrantView {
    fn of(grant: Grant) -> Self {
        Self {
            id: grant.id,
            template: grant.template,
            principal: grant.principal,
            on: grant.on,
            by: grant.by,
            created: grant.created,
        }
    }
}
