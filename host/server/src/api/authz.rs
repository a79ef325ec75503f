//! Why something was decided, under `/v1/authz`, and a candidate for the platform's policies, under
//! `/v1/policies/candidate`.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::policies::{self, Recorded};
use axum::http::StatusCode;
use holdfast_model::action::{ExplainDecision, Host, Resource, ReviewPolicies, SwitchPolicies};
use holdfast_model::{TenantId, UnixMillis};
use holdfast_policy::{DecisionId, Explanation, Permit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

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

/// A candidate's files.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewCandidate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    /// `schema.cedarschema`, `*.cedar` and, where it is required, `policies.sig`: names with text.
    files: BTreeMap<String, String>,
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
    request_body = Files,
    responses((status = 200, description = "It is tried from now on", body = Named))
)]
pub(crate) async fn begin(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<SwitchPolicies>(Host)?;
    let wanted: Files = call
        .json_within(CANDIDATE_BYTES_MAX, CANDIDATE_TIMEOUT)
        .await?;
    let begun = policies::begin_shadow(call.app(), &permit, wanted.files);
    let revision = begun.await?.0.to_string();
    call.note(format!("candidate {revision}"));
    Reply::json(StatusCode::OK, &Named { revision })
}

/// How the candidate differs.
#[utoipa::path(
    get, path = "/v1/policies/candidate", tag = "policies", operation_id = "reviewPolicies",
    responses((status = 200, description = "Every decision that would flip", body = Object))
)]
pub(crate) fn report(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<ReviewPolicies>(Host)?;
    Reply::json(
        StatusCode::OK,
        &policies::shadow_report(call.app(), &permit)?,
    )
}

/// Have the candidate decide.
#[utoipa::path(
    post, path = "/v1/policies/candidate/promote", tag = "policies",
    operation_id = "promotePolicies",
    responses((status = 200, description = "It decides from now on", body = Named))
)]
pub(crate) async fn promote(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<SwitchPolicies>(Host)?;
    let promoted = policies::promote_shadow(call.app(), &permit).await?;
    let revision = promoted.0.to_string();
    call.note(format!("candidate {revision}"));
    Reply::json(StatusCode::OK, &Named { revision })
}

/// Drop the candidate.
#[utoipa::path(
    delete, path = "/v1/policies/candidate", tag = "policies", operation_id = "dropCandidate",
    responses((status = 204, description = "It is gone"))
)]
pub(crate) fn drop_it(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<SwitchPolicies>(Host)?;
    policies::drop_shadow(call.app(), &permit)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
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
