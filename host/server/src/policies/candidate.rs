//! The verbs on a candidate: for the platform's policies, or for a tenant's own.

use super::PoliciesError;
use super::own;
use crate::app::App;
use holdfast_model::action::{ReadPolicies, ReviewPolicies, SwitchPolicies, WritePolicies};
use holdfast_policy::{Gate, Permit, PolicyError, Revision, ShadowReport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tries a candidate on live decisions: file names with their text.
///
/// # Errors
/// Files that could not be used: everything that is wrong with them.
pub async fn begin_shadow(
    app: &App,
    _permit: &Permit<SwitchPolicies>,
    files: BTreeMap<String, String>,
) -> Result<Revision, PoliciesError> {
    aside(app, move |gate| gate.shadow(files)).await
}

/// How the candidate differs.
///
/// # Errors
/// There is none.
pub fn shadow_report(
    app: &App,
    _permit: &Permit<ReviewPolicies>,
) -> Result<ShadowReport, PoliciesError> {
    let report = app.gate.shadow_report();
    report.ok_or(PoliciesError::Missing("candidate"))
}

/// Has the candidate decide from now on.
///
/// # Errors
/// There is none, or its files cannot be kept.
pub async fn promote_shadow(
    app: &App,
    _permit: &Permit<SwitchPolicies>,
) -> Result<Revision, PoliciesError> {
    if app.gate.shadow_report().is_none() {
        return Err(PoliciesError::Missing("candidate"));
    }
    aside(app, Gate::promote_shadow).await
}

/// Drops the candidate.
///
/// # Errors
/// There is none.
pub fn drop_shadow(app: &App, _permit: &Permit<SwitchPolicies>) -> Result<(), PoliciesError> {
    match app.gate.drop_shadow() {
        true => Ok(()),
        false => Err(PoliciesError::Missing("candidate")),
    }
}

/// Tries other policies of a tenant's own on its live decisions; its grants stay.
///
/// # Errors
/// Policies that could not be used: everything that is wrong with them; or the store fails.
pub async fn begin_own_shadow(
    app: &App,
    permit: &Permit<WritePolicies>,
    policies: &str,
) -> Result<Revision, PoliciesError> {
    let tried = own::check(app, permit.on(), policies).await?;
    let live = own::load(app, permit.on()).await?.0.set();
    let now = app.clock.now();
    aside(app, move |gate| gate.shadow_own(&live, &tried, now)).await
}

/// How a tenant's candidate differs.
///
/// # Errors
/// There is none.
pub fn own_shadow_report(
    app: &App,
    permit: &Permit<ReadPolicies>,
) -> Result<ShadowReport, PoliciesError> {
    let report = app.gate.shadow_own_report(permit.on());
    report.ok_or(PoliciesError::Missing("candidate"))
}

/// Has a tenant's candidate decide from now on, as if it had been written.
///
/// # Errors
/// There is none; what it was tried beside has been replaced meanwhile; or it cannot be written.
pub async fn promote_own_shadow(
    app: &App,
    permit: &Permit<WritePolicies>,
) -> Result<Revision, PoliciesError> {
    let tried = app.gate.shadow_own_candidate(permit.on());
    let tried = tried.ok_or(PoliciesError::Missing("candidate"))?;
    let (own, _) = own::replace(app, permit, tried).await?;
    app.gate.drop_shadow_own(permit.on());
    Ok(own.set().revision().clone())
}

/// Drops a tenant's candidate.
///
/// # Errors
/// There is none.
pub fn drop_own_shadow(app: &App, permit: &Permit<WritePolicies>) -> Result<(), PoliciesError> {
    match app.gate.drop_shadow_own(permit.on()) {
        true => Ok(()),
        false => Err(PoliciesError::Missing("candidate")),
    }
}

/// Compiling and writing files is no work for a thread that answers.
async fn aside(
    app: &App,
    work: impl FnOnce(&Gate) -> Result<Revision, PolicyError> + Send + 'static,
) -> Result<Revision, PoliciesError> {
    let gate = Arc::clone(&app.gate);
    let done = app.aside.run(move || work(&gate)).await;
    Ok(done.map_err(|died| PoliciesError::Failed(format!("a candidate died: {died}")))??)
}
