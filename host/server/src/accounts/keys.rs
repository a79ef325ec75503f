//! API keys: made, listed, revoked.

use crate::accounts::AccountError;
use crate::app::App;
use crate::identity::keys::mint;
use holdfast_model::action::{CreateKey, KeyRef, ListKeys, RevokeKey};
use holdfast_model::{ApiKey, Invalid, KeyId, Principal, Role, Roles, TenantId, UnixMillis};
use holdfast_policy::{Context, Permit};
use std::collections::BTreeSet;

/// Characters of a key's label.
const LABEL_CHARS_MAX: usize = 255;

/// Rows that one look into a tenant's keys reads; an account's keys are picked from them.
const SCAN_ROWS: u32 = 500;

/// What is wanted of a new key.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What its holder may be at most.
    pub roles: Roles,
    /// What people call it.
    pub label: String,
    /// Until when it is good; `None` is for ever.
    pub expires: Option<UnixMillis>,
}

/// A key just made, with the secret that is shown this once.
#[derive(Debug)]
pub struct Minted {
    /// The key as it is kept.
    pub key: ApiKey,
    /// The secret.
    pub secret: String,
}

/// Makes a key for an account.
///
/// # Errors
/// Roles that are not the maker's to give, a label or an expiry that cannot be used, or the store
/// fails.
pub async fn create(
    app: &App,
    permit: &Permit<CreateKey>,
    wanted: NewKey,
) -> Result<Minted, AccountError> {
    let now = app.clock.now();
    check(&wanted, now)?;
    let account = permit.on().clone();
    let is_own = permit.principal().tenant() == account.tenant();
    if let Some(role) = exceeding(permit.principal(), is_own, wanted.roles) {
        return Err(AccountError::Exceeds(role));
    }
    let (key, secret) = mint()?.into_key(account, wanted.roles, wanted.label, now, wanted.expires);
    app.store.add_key(key.clone()).await?;
    Ok(Minted { key, secret })
}

fn check(wanted: &NewKey, now: UnixMillis) -> Result<(), Invalid> {
    if wanted.roles.is_empty() {
        return Err(Invalid::new("roles", "is empty; name one at least"));
    }
    let chars = wanted.label.chars().count();
    if chars > LABEL_CHARS_MAX {
        let why = format!("has {chars} characters; send {LABEL_CHARS_MAX} at most");
        return Err(Invalid::new("label", why));
    }
    if wanted.expires.is_some_and(|end| end <= now) {
        return Err(Invalid::new("expires", "has passed; write a time to come"));
    }
    Ok(())
}

/// The first role that the maker may not give away. One gives what one is, and a tenant admin is a
/// tenant user of every account in the tenant; an operator gives
/// tenants' roles in every tenant (somebody must give a new tenant its first key) and the host's
/// roles in the own one.
fn exceeding(maker: &Principal, is_own_tenant: bool, wanted: Roles) -> Option<Role> {
    let is_operator = maker.roles.contains(Role::Operator);
    wanted.iter().find(|role| match role {
        Role::System => true,
        Role::TenantUser => {
            !is_operator
                && !maker.roles.contains(Role::TenantAdmin)
                && !maker.roles.contains(Role::TenantUser)
        }
        Role::TenantAdmin => !is_operator && !maker.roles.contains(Role::TenantAdmin),
        Role::Operator | Role::Auditor | Role::ClusterNode => {
            let may = is_operator || maker.roles.contains(*role);
            !(may && is_own_tenant)
        }
    })
}

/// An account's keys by id, after `after`, `limit` at most.
///
/// # Errors
/// The store fails.
pub async fn list(
    app: &App,
    permit: &Permit<ListKeys>,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<ApiKey>, AccountError> {
    let account = permit.on();
    let mut found = Vec::new();
    let mut after = after;
    while found.len() < limit {
        let rows = app
            .store
            .keys(account.tenant(), after.as_ref(), SCAN_ROWS)
            .await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id.clone());
        found.extend(rows.into_iter().filter(|key| key.account == *account));
    }
    found.truncate(limit);
    Ok(found)
}

/// The keys of a tenant's accounts that the caller may list, by id after `after`, `limit` at most.
/// Complete, as [`list`] is.
///
/// # Errors
/// The store fails.
pub async fn list_of_tenant(
    app: &App,
    (caller, context): (&Principal, &Context),
    tenant: &TenantId,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<ApiKey>, AccountError> {
    let reach = app.gate.reach::<ListKeys>(caller, context);
    let is_out = |tenants: BTreeSet<&TenantId>| !tenants.contains(tenant);
    if reach.tenants().is_some_and(is_out) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut after = after;
    while found.len() < limit {
        let rows = app.store.keys(tenant, after.as_ref(), SCAN_ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id.clone());
        let may = |key: &ApiKey| {
            app.gate
                .lets::<ListKeys>(caller, key.account.clone(), context)
        };
        found.extend(rows.into_iter().filter(may));
    }
    found.truncate(limit);
    Ok(found)
}

/// Whose a key is, so that the policies can be asked about it.
///
/// # Errors
/// The store fails.
pub async fn find(app: &App, id: &KeyId) -> Result<Option<KeyRef>, AccountError> {
    let key = app.store.key(id).await?;
    Ok(key.map(|key| KeyRef {
        account: key.account,
        id: key.id,
    }))
}

/// Revokes a key; it opens nothing a few seconds later (authentication remembers a key that long).
///
/// # Errors
/// There is no such key, or the store fails.
pub async fn revoke(app: &App, permit: &Permit<RevokeKey>) -> Result<ApiKey, AccountError> {
    let now = app.clock.now();
    Ok(app.store.revoke_key(&permit.on().id, now).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::principal::Proof;
    use holdfast_model::{AccountId, PrincipalId};

    fn maker(roles: &[Role]) -> Principal {
        Principal {
            id: PrincipalId::of_worker("test"),
            account: AccountId::parse("acme/web").unwrap(),
            roles: roles.iter().copied().collect(),
            proof: Proof::Internal,
        }
    }

    #[test]
    fn one_gives_away_what_one_is_and_operators_more() {
        use Role::{Auditor, ClusterNode, Operator, System, TenantAdmin, TenantUser};
        let cases = [
            (&[TenantAdmin][..], true, TenantAdmin, true),
            (&[TenantAdmin], true, TenantUser, true),
            (&[TenantUser], true, TenantAdmin, false),
            (&[TenantAdmin], true, Operator, false),
            (&[Operator], false, TenantAdmin, true),
            (&[Operator], false, TenantUser, true),
            (&[Operator], false, Operator, false),
            (&[Operator], false, ClusterNode, false),
            (&[Operator], true, ClusterNode, true),
            (&[Operator], true, Auditor, true),
            (&[Operator], true, System, false),
            (&[], true, TenantUser, false),
        ];
        for (roles, is_own, wanted, may) in cases {
            let wanted = Roles::NONE.with(wanted);
            let exceeds = exceeding(&maker(roles), is_own, wanted).is_some();
            assert_eq!(exceeds, !may, "{roles:?} {is_own} {wanted:?}");
        }
    }
}
