//! The verbs on a tenant's own policies and grants.

use super::record::{self, OwnPolicies};
use super::{Policies, PoliciesError};
use crate::app::App;
use holdfast_model::action::{GrantAccess, ReadPolicies, WritePolicies};
use holdfast_model::{ErrorKind, Invalid, Principal, TenantId};
use holdfast_policy::{GRANTS_MAX, Grant, OWN_POLICIES_BYTES_MAX, OwnCandidate, Permit, TenantSet};
use std::sync::Arc;

/// How often a change is tried again that somebody else's came before. Each means that another
/// change was made.
const TRIES_MAX: usize = 8;

/// What is wanted of a new grant.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// The template.
    pub template: String,
    /// To whom.
    pub principal: String,
    /// About what: the tenant, or `tenant/account`.
    pub on: String,
}

/// What a tenant says for itself, and its version; `None` if it never said anything.
///
/// # Errors
/// The store fails.
pub async fn read(
    app: &App,
    permit: &Permit<ReadPolicies>,
) -> Result<(OwnPolicies, Option<u64>), PoliciesError> {
    load(app, permit.on()).await
}

/// The same, for what stands in it of grants.
///
/// # Errors
/// The store fails.
pub async fn grants(app: &App, permit: &Permit<ReadPolicies>) -> Result<Vec<Grant>, PoliciesError> {
    Ok(load(app, permit.on()).await?.0.grants)
}

/// Sets a tenant's policies; its grants stay. With `expected` only if that is still the version.
///
/// # Errors
/// Policies that cannot be used: everything that is wrong with them; a version that has passed; or
/// the store fails.
pub async fn write(
    app: &App,
    permit: &Permit<WritePolicies>,
    policies: String,
    expected: Option<u64>,
) -> Result<(OwnPolicies, u64), PoliciesError> {
    check(app, permit.on(), &policies).await?;
    change(app, permit.on(), permit.principal(), |own, version| {
        if expected.is_some() && expected != version {
            return Err(PoliciesError::Changed);
        }
        own.policies.clone_from(&policies);
        Ok(())
    })
    .await
}

/// Sets what a tenant has tried, if its policies still are those that it was tried beside.
pub(super) async fn replace(
    app: &App,
    permit: &Permit<WritePolicies>,
    tried: OwnCandidate,
) -> Result<(OwnPolicies, u64), PoliciesError> {
    check(app, permit.on(), &tried.policies).await?;
    change(app, permit.on(), permit.principal(), |own, _| {
        if own.policies != tried.instead_of {
            return Err(PoliciesError::Changed);
        }
        own.policies.clone_from(&tried.policies);
        Ok(())
    })
    .await
}

/// Drops a tenant's policies; its grants stay.
///
/// # Errors
/// The store fails.
pub async fn remove(
    app: &App,
    permit: &Permit<WritePolicies>,
) -> Result<(OwnPolicies, u64), PoliciesError> {
    change(app, permit.on(), permit.principal(), |own, _| {
        own.policies.clear();
        Ok(())
    })
    .await
}

/// Grants something to somebody.
///
/// # Errors
/// A template that is not there, a thing of another tenant, too many grants, or the store fails.
pub async fn grant(
    app: &App,
    permit: &Permit<GrantAccess>,
    wanted: NewGrant,
) -> Result<Grant, PoliciesError> {
    let grant = Grant {
        id: format!("{:016x}", rand::random::<u64>()),
        template: wanted.template,
        principal: wanted.principal,
        on: wanted.on,
        by: permit.principal().id.as_str().to_owned(),
        created: app.clock.now(),
    };
    grant.check()?;
    let would = app.gate.check_grant(permit.on(), &grant);
    would.map_err(|why| Invalid::new("grant", why))?;
    change(app, permit.on(), permit.principal(), |own, _| {
        if own.grants.len() >= GRANTS_MAX {
            let why = format!("there are {GRANTS_MAX} already; give a role to the many");
            return Err(Invalid::new("grant", why).into());
        }
        own.grants.push(grant.clone());
        Ok(())
    })
    .await?;
    Ok(grant)
}

/// Revokes a grant; it gives nothing a few seconds later.
///
/// # Errors
/// There is no such grant, or the store fails.
pub async fn revoke(
    app: &App,
    permit: &Permit<GrantAccess>,
    id: &str,
) -> Result<Grant, PoliciesError> {
    let mut gone = None;
    change(app, permit.on(), permit.principal(), |own, _| {
        let at = own.grants.iter().position(|grant| grant.id == id);
        gone = Some(
            own.grants
                .remove(at.ok_or(PoliciesError::Missing("such grant"))?),
        );
        Ok(())
    })
    .await?;
    gone.ok_or(PoliciesError::Missing("such grant"))
}

pub(super) async fn load(
    app: &App,
    tenant: &TenantId,
) -> Result<(OwnPolicies, Option<u64>), PoliciesError> {
    let found = record::load(&app.store, &app.clock, tenant).await?;
    Ok(match found {
        Some((own, version)) => (own, Some(version)),
        None => (OwnPolicies::silent(tenant.clone()), None),
    })
}

/// Compiles policies before they are kept or tried, and has them proved where that is wanted.
/// Answers them alone, without grants.
pub(super) async fn check(
    app: &App,
    tenant: &TenantId,
    policies: &str,
) -> Result<Arc<TenantSet>, PoliciesError> {
    let bytes = policies.len();
    if bytes > OWN_POLICIES_BYTES_MAX {
        let why = format!("has {bytes} bytes; write {OWN_POLICIES_BYTES_MAX} at most");
        return Err(Invalid::new("policies", why).into());
    }
    let set = TenantSet::new(tenant.clone(), policies.to_owned(), Vec::new());
    let set = Arc::new(set);
    let (gate, checked) = (Arc::clone(&app.gate), Arc::clone(&set));
    let checked = app.aside.run(move || gate.check_own(&checked)).await;
    checked.map_err(|died| PoliciesError::Failed(format!("a check died: {died}")))??;
    let Some(solver) = &app.policies.solver else {
        return Ok(set);
    };
    let report = app.gate.prove_own(&set, solver).await?;
    if report.holds() {
        return Ok(set);
    }
    let refuted = report.refuted.into_iter().map(|refuted| {
        format!(
            "{} {} ({}) does not hold, for example:\n{}",
            refuted.policy.unwrap_or_default(),
            refuted.claim.as_str(),
            refuted.environment,
            refuted.counterexample
        )
    });
    let all: Vec<String> = refuted.chain(report.unknown).collect();
    Err(PoliciesError::Refuted(all.join("\n")))
}

async fn change(
    app: &App,
    tenant: &TenantId,
    by: &Principal,
    mut edit: impl FnMut(&mut OwnPolicies, Option<u64>) -> Result<(), PoliciesError>,
) -> Result<(OwnPolicies, u64), PoliciesError> {
    for _ in 0..TRIES_MAX {
        let (mut own, version) = load(app, tenant).await?;
        edit(&mut own, version)?;
        own.changed = app.clock.now();
        own.by = by.id.as_str().to_owned();
        match record::save(app, &own, version).await {
            Ok(version) => {
                let Policies { sets, .. } = &app.policies;
                sets.forget(tenant);
                return Ok((own, version));
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PoliciesError::Changed)
}
