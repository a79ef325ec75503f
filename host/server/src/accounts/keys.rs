//! API keys: made, listed, rotated, revoked.

use crate::accounts::AccountError;
use crate::app::App;
use crate::identity::keys::mint;
use crate::identity::{AuthError, KeyUse, Known, owners};
use holdfast_model::action::{CreateKey, KeyRef, ListKeys, RevokeKey};
use holdfast_model::principal::Proof;
use holdfast_model::{
    AccountId, ApiKey, Invalid, KeyId, Principal, PrincipalId, Role, Roles, Scopes, TenantId,
    UnixMillis,
};
use holdfast_policy::{Context, Permit};
use holdfast_store::{Expect, StoreError};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

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
    /// Until when it is good; `None` is for as long as a key may be.
    pub expires: Option<UnixMillis>,
    /// What it is to be good for; it is cut to `within`.
    pub scopes: Scopes,
    /// What its maker's own proof is good for.
    pub within: Scopes,
}

/// A key just made, with the secret that is shown this once.
#[derive(Debug)]
pub struct Minted {
    /// The key as it is kept.
    pub key: ApiKey,
    /// The secret.
    pub secret: String,
}

/// Makes a key for an account. It is its maker's, or, where a key makes it, that key's owner's, and
/// ends with their rights: what the owner could not give away today, the key is not.
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
    let latest = now.plus_millis(millis(app.identity.terms.key_lifetime_max));
    check(&wanted, now, latest)?;
    let (account, maker) = (permit.on().clone(), permit.principal());
    let is_own = maker.tenant() == account.tenant();
    if let Some(role) = exceeding(maker, is_own, wanted.roles) {
        return Err(AccountError::Exceeds(role));
    }
    let expires = Some(wanted.expires.unwrap_or(latest));
    let minted = mint()?.hashed_with(&app.identity.secrets);
    let (mut key, secret) = minted.into_key(account, wanted.roles, wanted.label, now, expires);
    key.scopes = wanted.scopes.intersect(wanted.within);
    key.maker = Some(owner_of(app, maker, now).await?);
    app.store.add_key(key.clone()).await?;
    Ok(Minted { key, secret })
}

/// Whose the keys are that somebody makes.
async fn owner_of(
    app: &App,
    maker: &Principal,
    now: UnixMillis,
) -> Result<PrincipalId, AccountError> {
    if let Proof::Token { .. } = &maker.proof {
        // From now on what their issuer says of them counts for the keys.
        let known = Known::of(maker);
        app.store.put_record(&known, Expect::Any, now).await?;
    }
    Ok(owners::owner_of(&app.store, maker).await?)
}

fn check(wanted: &NewKey, now: UnixMillis, latest: UnixMillis) -> Result<(), Invalid> {
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
    if wanted.expires.is_some_and(|end| end > latest) {
        let why = format!("is too far away; write {latest} at most, or leave it out");
        return Err(Invalid::new("expires", why));
    }
    Ok(())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// For how long a rotated key stays good when nobody says: a day, to bring the new one everywhere.
pub const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

/// The longest overlap: whoever needs a month does not rotate.
pub const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Makes a key in the place of another one, which stays good for a while. The new one is what the
/// old one is, for as long as the old one was to be good from its beginning. It is good for no more
/// than `within`, what the caller's own proof is good for; and where somebody else than the old one
/// or its owner gets to see it, it is theirs.
///
/// # Errors
/// It has a successor already, roles that are not the caller's to give, an overlap that is too
/// long, or the store fails.
pub async fn rotate(
    app: &App,
    permits: (&Permit<RevokeKey>, &Permit<CreateKey>),
    overlap: Duration,
    within: Scopes,
) -> Result<Minted, AccountError> {
    let now = app.clock.now();
    if overlap > OVERLAP_MAX {
        let why = format!("is longer than {} days", OVERLAP_MAX.as_secs() / 86_400);
        return Err(Invalid::new("overlap_seconds", why).into());
    }
    let (retired, created) = permits;
    let old = app.store.key(&retired.on().id).await?;
    let old = old.filter(|old| old.account == *created.on() && old.is_good_at(now));
    let old = old.ok_or(StoreError::NotFound("key"))?;
    if let Some(successor) = old.successor {
        return Err(AccountError::Rotated(successor));
    }
    let caller = created.principal();
    let is_own = matches!(&caller.proof, Proof::Key(id) if *id == old.id);
    let is_own_tenant = caller.tenant() == old.account.tenant();
    if let Some(role) = exceeding(caller, is_own_tenant, old.roles).filter(|_| !is_own) {
        return Err(AccountError::Exceeds(role));
    }
    let (roles, maker) = match is_own {
        true => (old.roles, old.maker.clone()),
        false => handed_on(app, &old, caller, now).await?,
    };
    let longest = millis(app.identity.terms.key_lifetime_max);
    let lifetime = old.expires.map(|end| end.millis_since(old.created));
    let expires = now.plus_millis(lifetime.unwrap_or(longest).min(longest));
    let minted = mint()?.hashed_with(&app.identity.secrets);
    let (account, label) = (old.account.clone(), old.label.clone());
    let (mut key, secret) = minted.into_key(account, roles, label, now, Some(expires));
    key.scopes = old.scopes.intersect(within);
    key.maker = maker;
    app.store.add_key(key.clone()).await?;
    let end = now.plus_millis(millis(overlap));
    if let Err(error) = app.store.retire_key(&old.id, &key.id, end).await {
        // Somebody else rotated it meanwhile: theirs counts, ours opens nothing.
        app.store.revoke_key(&key.id, now).await?;
        return Err(error.into());
    }
    Ok(Minted { key, secret })
}

/// What a key that somebody else rotates is, and whose. Its owner's stay the owner's; who is not
/// the owner gets what the key is now, not what it was made to be.
async fn handed_on(
    app: &App,
    old: &ApiKey,
    caller: &Principal,
    now: UnixMillis,
) -> Result<(Roles, Option<PrincipalId>), AccountError> {
    let owner = Some(owner_of(app, caller, now).await?);
    if owner == old.maker {
        return Ok((old.roles, owner));
    }
    match owners::roles_now(&app.store, old, now).await {
        Ok(roles) if !roles.is_empty() => Ok((roles, owner)),
        Err(AuthError::Store(error)) => Err(error.into()),
        // It opens nothing, so there is nothing to hand on.
        _ => Err(StoreError::NotFound("key").into()),
    }
}

/// When keys of a list were last used, give or take a minute.
///
/// # Errors
/// The store fails.
pub async fn uses(app: &App, listed: &[ApiKey]) -> Result<HashMap<KeyId, KeyUse>, AccountError> {
    let now = app.clock.now();
    let accounts: BTreeSet<&AccountId> = listed.iter().map(|key| &key.account).collect();
    let mut all = HashMap::new();
    for account in accounts {
        let mut after: Option<String> = None;
        loop {
            let (owner, from) = (account.as_str(), after.as_deref());
            let page = app.store.records::<KeyUse>(owner, from, SCAN_ROWS, now);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = Some(last.value.key.as_str().to_owned());
            all.extend(
                page.into_iter()
                    .map(|kept| (kept.value.key.clone(), kept.value)),
            );
        }
    }
    Ok(all)
}

/// The first role that the maker may not give away.
fn exceeding(maker: &Principal, is_own_tenant: bool, wanted: Roles) -> Option<Role> {
    wanted
        .iter()
        .find(|role| !maker.roles.may_give(*role, is_own_tenant))
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
