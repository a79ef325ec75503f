//! What plugins may say before a change.
//!
//! Authorizers are asked about changes only. A read gives nothing away that the policies have not
//! granted, and it is the path that must stay short.

use crate::app::App;
use crate::pins::PinError;
use holdfast_model::{AccountId, Action, Cid, NewRequest, PlacementState, Principal};
use holdfast_policy::Decision;
use holdfast_runtime::{AuthorizeCall, Verdict};
use holdfast_store::StoreError;
use std::collections::BTreeMap;

/// A change that is about to be made.
pub(crate) struct Change<'a> {
    pub(crate) action: Action,
    pub(crate) principal: &'a Principal,
    pub(crate) account: &'a AccountId,
    pub(crate) asked: Option<&'a NewRequest>,
    /// What the policies decided, which this is added to.
    pub(crate) decision: &'a Decision,
}

/// Asks every authorizer; gathers what they may look at only if there is one.
pub(crate) async fn authorize(app: &App, change: Change<'_>) -> Result<(), PinError> {
    if !app.plugins.has_authorizers() {
        return Ok(());
    }
    let facts = Facts::gather(app, &change).await?;
    let call = AuthorizeCall {
        action: change.action,
        principal: &change.principal.id,
        roles: change.principal.roles,
        account: change.account,
        attributes: &facts.attributes,
        cid: change.asked.map(|asked| asked.cid),
        meta: change.asked.map(|asked| &asked.meta),
        request_count: facts.request_count,
        pinned_bytes: facts.pinned_bytes,
        dag_size: facts.dag_size,
        time: app.clock.now(),
    };
    let mut heard = Vec::new();
    let verdict = app.plugins.authorize_heard(&call, &mut heard);
    app.policies.heard(change.decision.id, heard);
    match verdict? {
        Verdict::Allow => Ok(()),
        Verdict::Deny {
            plugin,
            exhausted,
            message,
        } => Err(PinError::Refused {
            plugin,
            exhausted,
            message,
        }),
    }
}

/// What authorizers may look at, as the store has it now.
struct Facts {
    attributes: BTreeMap<String, String>,
    request_count: u64,
    pinned_bytes: u128,
    dag_size: Option<u64>,
}

impl Facts {
    async fn gather(app: &App, change: &Change<'_>) -> Result<Self, StoreError> {
        let (tenant, held, dag_size) = tokio::try_join!(
            app.store.tenant(change.account.tenant()),
            app.store.holdings(change.account),
            known_size(app, change.asked.map(|asked| asked.cid)),
        )?;
        Ok(Self {
            attributes: tenant.map(|tenant| tenant.attributes).unwrap_or_default(),
            request_count: held.counts.total(),
            pinned_bytes: held.pinned_bytes,
            dag_size,
        })
    }
}

/// The size of content that some peer has pinned already.
async fn known_size(app: &App, cid: Option<Cid>) -> Result<Option<u64>, StoreError> {
    let Some(cid) = cid else { return Ok(None) };
    // Most content is new, and that it is costs one read to know.
    if app.store.pin(&cid).await?.is_none() {
        return Ok(None);
    }
    let placements = app.store.placements_of_pin(&cid).await?;
    let pinned = placements
        .into_iter()
        .filter(|placement| placement.state == PlacementState::Pinned);
    Ok(pinned.filter_map(|placement| placement.dag_size).max())
}
