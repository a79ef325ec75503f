//! Users who are kept here: made, listed, changed, deleted.

use crate::accounts::AccountError;
use crate::app::App;
use crate::identity::users::{self, Lockout, LoginOf, User, check_password};
use holdfast_model::action::{ListUsers, WriteUsers};
use holdfast_model::principal::FIRST_GENERATION;
use holdfast_model::{AccountId, Invalid, Principal, Role, Roles, TenantId, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Kept, StoreError};

/// Name of a user in errors.
const USER: &str = "user";

/// What is wanted of a new user.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name within the tenant.
    pub name: String,
    /// The account; one of the user's own name, if it is not said.
    pub account: Option<AccountId>,
    /// What the user is to be.
    pub roles: Roles,
    /// The password, if the user is to have one.
    pub password: Option<String>,
    /// DIDs and wallets.
    pub logins: Vec<String>,
}

/// What is to be another way; what is not said stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Other roles.
    pub roles: Option<Roles>,
    /// Another password. All sessions end.
    pub password: Option<String>,
    /// Other DIDs and wallets.
    pub logins: Option<Vec<String>>,
    /// Keeping the user out, or no longer. All sessions end.
    pub disabled: Option<bool>,
    /// Forgets failed log-ins.
    pub unlock: bool,
}

/// Makes a user.
///
/// # Errors
/// There is one, roles that are not the caller's to give, a value that cannot be used, or the store
/// fails.
pub async fn create(
    app: &App,
    permit: &Permit<WriteUsers>,
    wanted: NewUser,
) -> Result<User, AccountError> {
    let tenant = permit.on().clone();
    let now = app.clock.now();
    must_give(permit.principal(), &tenant, wanted.roles)?;
    let account = match wanted.account {
        Some(account) => account,
        None => AccountId::new(&tenant, &wanted.name)?,
    };
    let mut user = User {
        tenant,
        name: wanted.name,
        account,
        roles: wanted.roles,
        password: None,
        logins: lower_case(wanted.logins),
        created: now,
        disabled: false,
        sessions_from: None,
        generation: FIRST_GENERATION,
        deleted: None,
    };
    user.check()?;
    user.password = hashed(app, wanted.password).await?;
    let (tenant, name) = (user.tenant.as_str(), &user.name);
    let expect = match app.store.record::<User>(tenant, name, now).await? {
        None => Expect::Absent,
        Some(kept) if kept.value.is_there() => {
            return Err(AccountError::Exists(format!("{tenant}/{name}")));
        }
        // Somebody else, to whom nothing of the one before is given.
        Some(kept) => {
            user.generation = next(kept.value.generation)?;
            Expect::Version(kept.version)
        }
    };
    link(app, &user, &[], now).await?;
    put(app, &user, expect, now).await?;
    Ok(user)
}

fn next(generation: u32) -> Result<u32, Invalid> {
    generation
        .checked_add(1)
        .ok_or_else(|| Invalid::new("name", "was used too often; choose another"))
}

/// A tenant's users by name, after `after`.
///
/// # Errors
/// The store fails.
pub async fn list(
    app: &App,
    permit: &Permit<ListUsers>,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<User>, AccountError> {
    let (tenant, now) = (permit.on().as_str(), app.clock.now());
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut after = after.map(ToOwned::to_owned);
    let mut found = Vec::new();
    while found.len() < wanted {
        let from = after.as_deref();
        let rows = app.store.records::<User>(tenant, from, limit, now).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.value.name.clone());
        let there = rows.into_iter().map(|kept| kept.value);
        found.extend(there.filter(User::is_there));
    }
    found.truncate(wanted);
    Ok(found)
}

/// Changes a user: what the user was, and is now.
///
/// # Errors
/// There is none, it was changed meanwhile, roles that are not the caller's to give, a value that
/// cannot be used, or the store fails.
pub async fn change(
    app: &App,
    permit: &Permit<WriteUsers>,
    name: &str,
    change: UserChange,
) -> Result<(User, User), AccountError> {
    let (tenant, now) = (permit.on(), app.clock.now());
    let kept = find(app, tenant, name, now).await?;
    let (before, version) = (kept.value, kept.version);
    // Whoever changes a user takes what the user is into their hands.
    must_give(permit.principal(), tenant, before.roles)?;
    let mut user = before.clone();
    if let Some(roles) = change.roles {
        must_give(permit.principal(), tenant, roles)?;
        user.roles = roles;
    }
    if let Some(logins) = change.logins {
        user.logins = lower_case(logins);
    }
    let ends_sessions = change.password.is_some() || change.disabled.is_some();
    if let Some(disabled) = change.disabled {
        user.disabled = disabled;
    }
    user.check()?;
    if let Some(hash) = hashed(app, change.password).await? {
        user.password = Some(hash);
    }
    if ends_sessions {
        user.sessions_from = Some(now.plus_millis(1));
    }
    link(app, &user, &before.logins, now).await?;
    put(app, &user, Expect::Version(version), now).await?;
    if change.unlock {
        let whose = format!("{tenant}/{name}");
        let forgotten = app
            .store
            .delete_record::<Lockout>(&whose, "lockout", Expect::Any, now);
        forgotten.await?;
    }
    Ok((before, user))
}

/// Deletes a user: sessions and keys that the user made are worth nothing a few seconds later, and
/// stay so when somebody else gets the name. One write does it, so no process that dies halfway and
/// none that makes the name anew meanwhile leaves anything of it good. Answers who it was.
///
/// # Errors
/// There is none, roles that are not the caller's to give, or the store fails.
pub async fn delete(
    app: &App,
    permit: &Permit<WriteUsers>,
    name: &str,
) -> Result<User, AccountError> {
    let (tenant, now) = (permit.on(), app.clock.now());
    let Kept { value, version } = find(app, tenant, name, now).await?;
    must_give(permit.principal(), tenant, value.roles)?;
    let gone = value.clone().gone(now);
    put(app, &gone, Expect::Version(version), now).await?;
    for login in &value.logins {
        unlink(app, &value, login, now).await?;
    }
    Ok(value)
}

async fn find(
    app: &App,
    tenant: &TenantId,
    name: &str,
    now: UnixMillis,
) -> Result<Kept<User>, AccountError> {
    let found = users::find(&app.store, (tenant.as_str(), name), now).await?;
    Ok(found.ok_or(StoreError::NotFound(USER))?)
}

async fn put(app: &App, user: &User, expect: Expect, now: UnixMillis) -> Result<(), AccountError> {
    match app.store.put_record(user, expect, now).await {
        Err(StoreError::Conflict(_)) => Err(StoreError::Conflict(USER).into()),
        done => Ok(done.map(drop)?),
    }
}

/// The hash of a password that is fit to be one.
async fn hashed(app: &App, password: Option<String>) -> Result<Option<String>, AccountError> {
    let Some(password) = password else {
        return Ok(None);
    };
    check_password(&password)?;
    Ok(Some(app.identity.passwords.hash(password).await?))
}

/// Notes whose the user's DIDs and wallets are before the user has them, so that each is one
/// user's. What nobody has after all may be taken by another.
async fn link(
    app: &App,
    user: &User,
    before: &[String],
    now: UnixMillis,
) -> Result<(), AccountError> {
    for login in user.logins.iter().filter(|login| !before.contains(login)) {
        let of = LoginOf {
            subject: login.clone(),
            tenant: user.tenant.clone(),
            name: user.name.clone(),
        };
        let known = app.store.record::<LoginOf>(login, USER, now).await?;
        let expect = match &known {
            None => Expect::Absent,
            Some(kept) if kept.value == of => continue,
            Some(kept) if has_still(app, &kept.value, now).await? => {
                return Err(AccountError::Taken(login.clone()));
            }
            Some(kept) => Expect::Version(kept.version),
        };
        match app.store.put_record(&of, expect, now).await {
            Err(StoreError::Conflict(_)) => return Err(AccountError::Taken(login.clone())),
            done => done.map(drop)?,
        }
    }
    for login in before.iter().filter(|login| !user.logins.contains(login)) {
        unlink(app, user, login, now).await?;
    }
    Ok(())
}

async fn has_still(app: &App, of: &LoginOf, now: UnixMillis) -> Result<bool, AccountError> {
    let user = app
        .store
        .record::<User>(of.tenant.as_str(), &of.name, now)
        .await?;
    Ok(user.is_some_and(|user| user.value.logins.contains(&of.subject)))
}

async fn unlink(app: &App, user: &User, login: &str, now: UnixMillis) -> Result<(), AccountError> {
    let known = app.store.record::<LoginOf>(login, USER, now).await?;
    let is_theirs = |of: &LoginOf| of.tenant == user.tenant && of.name == user.name;
    if let Some(kept) = known.filter(|kept| is_theirs(&kept.value)) {
        let expect = Expect::Version(kept.version);
        let removed = app.store.delete_record::<LoginOf>(login, USER, expect, now);
        removed.await?;
    }
    Ok(())
}

/// Wallets are named in lower case; of a did:key the case counts.
fn lower_case(logins: Vec<String>) -> Vec<String> {
    let lower = |login: String| match login.starts_with("did:pkh:") {
        true => login.to_ascii_lowercase(),
        false => login,
    };
    logins.into_iter().map(lower).collect()
}

fn must_give(giver: &Principal, tenant: &TenantId, roles: Roles) -> Result<(), AccountError> {
    let is_own = giver.tenant() == tenant;
    let exceeding: Option<Role> = roles
        .iter()
        .find(|role| !giver.roles.may_give(*role, is_own));
    match exceeding {
        Some(role) => Err(AccountError::Exceeds(role)),
        None if roles.is_empty() => {
            Err(Invalid::new("roles", "is empty; name one at least").into())
        }
        None => Ok(()),
    }
}
