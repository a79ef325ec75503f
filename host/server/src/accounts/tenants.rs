//! What the operator says of a tenant.

use crate::accounts::AccountError;
use crate::app::App;
use holdfast_model::action::{ReadTenant, WriteTenant};
use holdfast_model::{Invalid, Principal, Tenant, TenantId};
use holdfast_policy::{Context, Permit};
use holdfast_store::StoreError;
use std::collections::BTreeMap;

/// Attributes of one tenant: plugins get all of them on every call.
const ATTRIBUTES_MAX: usize = 64;

/// Bytes of an attribute's name.
const ATTRIBUTE_NAME_BYTES_MAX: usize = 64;

/// Bytes of an attribute's value.
const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1_024;

/// Rows that one look into the tenants reads; those that the caller may read are picked from them.
const SCAN_ROWS: u32 = 500;

/// A tenant and its attributes.
///
/// # Errors
/// There is no such tenant, or the store fails.
pub async fn read(app: &App, permit: &Permit<ReadTenant>) -> Result<Tenant, AccountError> {
    let tenant = app.store.tenant(permit.on()).await?;
    Ok(tenant.ok_or(StoreError::NotFound("tenant"))?)
}

/// Tenants that the caller may read, by name after `after`, `limit` at most. Complete: whoever goes
/// on after the last row until a page is not full has seen all of them.
///
/// # Errors
/// The store fails.
pub async fn list(
    app: &App,
    caller: &Principal,
    context: &Context,
    after: Option<TenantId>,
    limit: usize,
) -> Result<Vec<Tenant>, AccountError> {
    let may = |tenant: &Tenant| {
        app.gate
            .lets::<ReadTenant>(caller, tenant.id.clone(), context)
    };
    let reach = app.gate.reach::<ReadTenant>(caller, context);
    let mut found = Vec::new();
    if let Some(tenants) = reach.tenants() {
        let rest = tenants.into_iter().filter(|id| after.as_ref() < Some(id));
        for id in rest {
            if found.len() >= limit {
                break;
            }
            found.extend(app.store.tenant(id).await?.filter(may));
        }
        return Ok(found);
    }
    let mut after = after;
    while found.len() < limit {
        let rows = app.store.tenants(after.as_ref(), SCAN_ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id.clone());
        found.extend(rows.into_iter().filter(may));
    }
    found.truncate(limit);
    Ok(found)
}

/// Sets all attributes of a tenant; makes the tenant if there is none. The tenant, and what its
/// attributes were.
///
/// # Errors
/// Too many or too long attributes, or the store fails.
pub async fn write(
    app: &App,
    permit: &Permit<WriteTenant>,
    attributes: BTreeMap<String, String>,
) -> Result<(Tenant, BTreeMap<String, String>), AccountError> {
    check(&attributes)?;
    let known = app.store.tenant(permit.on()).await?;
    let tenant = Tenant {
        id: permit.on().clone(),
        created: known
            .as_ref()
            .map_or_else(|| app.clock.now(), |tenant| tenant.created),
        attributes,
    };
    app.store.put_tenant(tenant.clone()).await?;
    let before = known.map(|tenant| tenant.attributes);
    Ok((tenant, before.unwrap_or_default()))
}

fn check(attributes: &BTreeMap<String, String>) -> Result<(), Invalid> {
    if attributes.len() > ATTRIBUTES_MAX {
        let why = format!(
            "has {} pairs; send {ATTRIBUTES_MAX} at most",
            attributes.len()
        );
        return Err(Invalid::new("attributes", why));
    }
    for (name, value) in attributes {
        if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            let why = format!(
                "has a name of {} bytes; write 1 to {ATTRIBUTE_NAME_BYTES_MAX}",
                name.len()
            );
            return Err(Invalid::new("attributes", why));
        }
        if value.len() > ATTRIBUTE_VALUE_BYTES_MAX {
            let why = format!(
                "has {} bytes; write {ATTRIBUTE_VALUE_BYTES_MAX} at most",
                value.len()
            );
            return Err(Invalid::new(format!("attributes.{name}"), why));
        }
    }
    Ok(())
}
