//! Checkpoints on request, and where they are pinned.

use super::CheckpointView;
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::app::App;
use crate::ops::audit::{
    HOST_CHAIN, Notary, NotaryError, anchor_checkpoint, chain_name, sign_chain,
};
use crate::pins::state;
use crate::workers::kubo::Kubo;
use crate::workers::metrics::KuboMetrics;
use axum::http::StatusCode;
use holdfast_model::action::{Host, SignAudit};
use holdfast_model::audit::AuditCheckpoint;
use holdfast_model::{Cid, TenantId};
use holdfast_policy::Permit;
use holdfast_store::Kept;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewAuditCheckpoint)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Whose chain; the caller's own tenant's when it is missing, the host's if it is `@host`.
    tenant: Option<String>,
    /// Whether the note is put to a Kubo node as a block and pinned.
    #[serde(default)]
    pin: bool,
}

/// Have a chain signed as it is now, and the note pinned if that is wanted.
#[utoipa::path(
    post, path = "/v1/audit/checkpoints", tag = "audit", operation_id = "signAudit",
    request_body = Wanted,
    responses((status = 201, description = "The chain's newest checkpoint", body = CheckpointView),
        (status = 404, description = "The chain has no entries"))
)]
pub(crate) async fn sign(call: &mut Call) -> Result<Reply, Problem> {
    let wanted: Wanted = call.json().await?;
    let permit = call.permit::<SignAudit>(Host)?;
    let tenant = match wanted.tenant.as_deref() {
        Some(HOST_CHAIN) => String::new(),
        Some(tenant) => TenantId::parse(tenant)?.as_str().to_owned(),
        None => call.principal()?.tenant().as_str().to_owned(),
    };
    let app = call.app().clone();
    let notary = app.audit.notary().ok_or_else(Problem::no_notary)?;
    let newest = newest(&app, &notary, &tenant).await?;
    let checkpoint = match wanted.pin {
        true => {
            let metrics = call.station.edge.metrics.kubo.clone();
            let cid = pin((&app, metrics), &permit, &newest.value).await?;
            anchor_checkpoint(&app.store, &tenant, newest, cid).await?
        }
        false => newest.value,
    };
    let anchor = checkpoint.anchor.map(|cid| format!(", pinned as {cid}"));
    call.note(format!(
        "checkpoint of {} at {}{}",
        chain_name(&tenant),
        checkpoint.last_seq,
        anchor.unwrap_or_default()
    ));
    Reply::json(StatusCode::CREATED, &CheckpointView::of(&checkpoint))
}

async fn newest(
    app: &App,
    notary: &Arc<Notary>,
    tenant: &str,
) -> Result<Kept<AuditCheckpoint>, Problem> {
    let store = &app.store;
    sign_chain(store, notary, tenant).await?;
    let newest = store.audit_checkpoints(tenant, None, 1).await?;
    newest.into_iter().next().ok_or_else(Problem::not_found)
}

/// Puts a note to a node that answers, and has the set hold it, or a node that is Holdfast's alone
/// would soon give it up.
async fn pin(
    (app, metrics): (&App, KuboMetrics),
    permit: &Permit<SignAudit>,
    checkpoint: &AuditCheckpoint,
) -> Result<Cid, Problem> {
    let nodes = app.peers.nodes();
    let healthy = nodes.iter().filter(|node| node.healthy);
    let named = app.peers.apis().iter();
    let api = healthy.map(|node| &node.api).chain(named).next();
    let api = api.ok_or_else(Problem::no_node)?;
    let kubo = Kubo::new(api, metrics)?;
    let cid = kubo.put_block(&checkpoint.signature).await?;
    state::hold_note(&app.store, permit, cid, app.clock.now()).await?;
    Ok(cid)
}

impl From<NotaryError> for Problem {
    fn from(error: NotaryError) -> Self {
        match error {
            NotaryError::Store(error) => error.into(),
            broken @ NotaryError::Broken(_) => Self::broken_chain(&broken),
        }
    }
}
