//! Why something was decided, under `/v1/authz`, and candidates, under `/v1/policies/candidate`:
//! one for the platform's policies, and one for the own policies of each tenant that is named.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::policies::{self, Recorded};
use axum::http::StatusCode;
use holdfast_model::action::{
    ExplainDecision, Host, ReadPolicies, Resource, ReviewPolicies, SwitchPolicies, WritePolicies,
};
use holdfast_model::{Invalid, TenantId, UnixMillis};
use holdfast_policy::{DecisionId, Explanation, Permit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Bytes of a candidate: policies for some thousand tenants.
const CANDIDATE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a candidate may take to arrive.
const CANDIDATE_TIMEOUT: Duration = Duration::from_secs(30);

/// Which decision.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ExplainDecision)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Its name: the `decision_id` of an answer or of the audit log.
    decision: String,
}

/// Why something was decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct Explained {
    decision: String,
    #[schema(value_type = String, format = "date-time")]
    at: UnixMillis,
    /// Who.
    principal: String,
    /// What.
    action: String,
    /// To what.
    resource: String,
    /// `allow` or `deny`: what the policies said then.
    decided: &'static str,
    /// What the policies say to the same question: their outcome, which of them determined it, and
    /// of each that had a say whether it is true, and which of its conditions were not met.
    #[schema(value_type = Object)]
    explanation: Explanation,
    /// What the authorizer components said after the policies.
    components: Vec<ComponentView>,
}

/// What an authorizer component said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ComponentVerdict)]
pub(crate) struct ComponentView {
    name: String,
    /// SHA-256 of its code.
    digest: String,
    /// `allow`, `deny` or `error`.
    verdict: String,
}

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `tenant_of` takes apart")]
struct Parameters {
    /// The tenant whose own policies it is about; the platform's when it is missing.
    tenant: Option<String>,
}

/// A candidate: `files` for the platform's policies, `policies` for a tenant's.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewCandidate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    /// `schema.cedarschema`, `*.cedar` and, where it is required, `policies.sig`: names with text.
    files: Option<BTreeMap<String, String>>,
    /// All of the tenant's policies, in Cedar.
    policies: Option<String>,
}

/// Policies by their name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyRevision)]
pub(crate) struct Named {
    /// The revision.
    revision: String,
}

/// Explain a decision.
#[utoipa::path(
    post, path = "/v1/authz/explain", tag = "policies", operation_id = "explainDecision",
    request_body = Wanted,
    responses((status = 200, description = "Why it was decided so", body = Explained),
        (status = 404, description = "Not known any more, or not yours to know"))
)]
pub(crate) async fn explain(call: &mut Call) -> Result<Reply, Problem> {
    let wanted: Wanted = call.json().await?;
    // Asked about the own tenant first, so that who may explain nothing learns nothing.
    let own = call.principal()?.tenant().clone();
    let permit = call.permit::<ExplainDecision>(own.clone())?;
    let id = u128::from_str_radix(&wanted.decision, 16).map_err(|_| Problem::not_found())?;
    let known = policies::known(call.app(), DecisionId(id)).ok_or_else(Problem::not_found)?;
    // Whoever it was decided about and whatever it was about must be theirs to know.
    let about = known.principal.tenant().clone();
    if let Some(of) = known.resource.tenant().filter(|of| **of != own) {
        elsewhere(call, of.clone())?;
    }
    let permit = match about == own {
        true => permit,
        false => elsewhere(call, about)?,
    };
    let explanation = policies::explain(call.app(), &permit, &known)?;
    call.note(format!("decision {:032x}", known.id.0));
    Reply::json(StatusCode::OK, &Explained::of(&known, explanation))
}

/// Asks about another tenant. That there is a decision is nobody's to know who may not explain it.
fn elsewhere(call: &mut Call, tenant: TenantId) -> Result<Permit<ExplainDecision>, Problem> {
    let permit = call.permit::<ExplainDecision>(tenant);
    permit.map_err(|_| Problem::not_found().saying_no())
}

/// Try a candidate on live decisions.
#[utoipa::path(
    put, path = "/v1/policies/candidate", tag = "policies", operation_id = "tryPolicies",
    params(Parameters), request_body = Files,
    responses((status = 200, description = "It is tried from now on", body = Named))
)]
pub(crate) async fn begin(call: &mut Call) -> Result<Reply, Problem> {
    if let Some(tenant) = tenant_of(call)? {
        return begin_own(call, tenant).await;
    }
    let permit = call.permit::<SwitchPolicies>(Host)?;
    let wanted: Files = call
        .json_within(CANDIDATE_BYTES_MAX, CANDIDATE_TIMEOUT)
        .await?;
    let files = wanted.files.ok_or_else(|| {
        let why = "is missing; send the platform's, or name a tenant and send `policies`";
        Invalid::new("files", why)
    })?;
    let begun = policies::begin_shadow(call.app(), &permit, files);
    let revision = begun.await?.0.to_string();
    call.note(format!("candidate {revision}"));
    Reply::json(StatusCode::OK, &Named { revision })
}

async fn begin_own(call: &mut Call, tenant: TenantId) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePolicies>(tenant)?;
    let wanted: Files = call.json().await?;
    let policies = wanted.policies.ok_or_else(|| {
        let why = "is missing; send all of the tenant's policies, in Cedar";
        Invalid::new("policies", why)
    })?;
    let begun = policies::begin_own_shadow(call.app(), &permit, &policies);
    let revision = begun.await?.0.to_string();
    call.note(format!("candidate {revision} of {}", permit.on()));
    Reply::json(StatusCode::OK, &Named { revision })
}

/// How the candidate differs.
#[utoipa::path(
    get, path = "/v1/policies/candidate", tag = "policies", operation_id = "reviewPolicies",
    params(Parameters),
    responses((status = 200, description = "Every decision that would flip", body = Object))
)]
pub(crate) fn report(call: &mut Call) -> Result<Reply, Problem> {
    let report = match tenant_of(call)? {
        Some(tenant) => {
            let permit = call.permit::<ReadPolicies>(tenant)?;
            policies::own_shadow_report(call.app(), &permit)?
        }
        None => {
            let permit = call.permit::<ReviewPolicies>(Host)?;
            policies::shadow_report(call.app(), &permit)?
        }
    };
    Reply::json(StatusCode::OK, &report)
}

/// Have the candidate decide.
#[utoipa::path(
    post, path = "/v1/policies/candidate/promote", tag = "policies",
    operation_id = "promotePolicies", params(Parameters),
    responses((status = 200, description = "It decides from now on", body = Named),
        (status = 409, description = "The tenant's policies were changed while it was tried"))
)]
pub(crate) async fn promote(call: &mut Call) -> Result<Reply, Problem> {
    if let Some(tenant) = tenant_of(call)? {
        return promote_own(call, tenant).await;
    }
    let permit = call.permit::<SwitchPolicies>(Host)?;
    let promoted = policies::promote_shadow(call.app(), &permit).await?;
    let revision = promoted.0.to_string();
    call.note(format!("candidate {revision}"));
    Reply::json(StatusCode::OK, &Named { revision })
}

async fn promote_own(call: &mut Call, tenant: TenantId) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePolicies>(tenant)?;
    let promoted = policies::promote_own_shadow(call.app(), &permit).await?;
    let revision = promoted.0.to_string();
    call.note(format!("candidate {revision} of {}", permit.on()));
    Reply::json(StatusCode::OK, &Named { revision })
}

/// Drop the candidate.
#[utoipa::path(
    delete, path = "/v1/policies/candidate", tag = "policies", operation_id = "dropCandidate",
    params(Parameters),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) fn drop_it(call: &mut Call) -> Result<Reply, Problem> {
    match tenant_of(call)? {
        Some(tenant) => {
            let permit = call.permit::<WritePolicies>(tenant)?;
            policies::drop_own_shadow(call.app(), &permit)?;
        }
        None => {
            let permit = call.permit::<SwitchPolicies>(Host)?;
            policies::drop_shadow(call.app(), &permit)?;
        }
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Whose candidate a call is about; `None` for the platform's.
fn tenant_of(call: &Call) -> Result<Option<TenantId>, Problem> {
    let query = call.query(&["tenant"])?;
    let tenant = query.one("tenant")?.map(TenantId::parse);
    Ok(tenant.transpose()?)
}

impl Explained {
    fn of(known: &Recorded, explanation: Explanation) -> Self {
        let components = known.components.iter().map(|one| ComponentView {
            name: one.name.to_string(),
            digest: one.digest.to_string(),
            verdict: one.verdict.to_owned(),
        });
        Self {
            decision: known.id.to_string(),
            at: known.at,
            principal: known.principal.id.as_str().to_owned(),
            action: known.action.to_string(),
            resource: named(&known.resource),
            decided: match known.is_allowed {
                true => "allow",
                false => "deny",
            },
            explanation,
            components: components.collect(),
        }
    }
}

/// A thing as policies name it.
fn named(resource: &Resource) -> String {
    match resource {
        Resource::Host => "Host::\"host\"".to_owned(),
        Resource::Tenant(tenant) => format!("Tenant::\"{tenant}\""),
        Resource::Account(account) => format!("Account::\"{account}\""),
        Resource::Request(request) => format!("PinRequest::\"{}\"", request.id),
        Resource::Key(key) => format!("ApiKey::\"{}\"", key.id),
    }
}
