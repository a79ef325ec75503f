//! Users who are kept here, under `/v1/users`.

use crate::accounts::users::{self, NewUser, UserChange};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::reply::Reply;
use crate::identity::users::User;
use axum::http::StatusCode;
use holdfast_model::action::{ListUsers, WriteUsers};
use holdfast_model::limits::PAGE_ROWS_MAX;
use holdfast_model::{AccountId, Invalid, Role, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Users of a page when the caller names no limit.
const USERS_DEFAULT: u32 = 100;

/// What a client posts to make a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub(crate) struct Wanted {
    /// The caller's own when it is missing.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    name: String,
    /// `tenant/account`; one of the user's name when it is missing.
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// `tenant-user` when it is missing.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    /// 12 characters or more; without one the user cannot log in with a password.
    password: Option<String>,
    /// `did:key:z…`, and wallets as `did:pkh:eip155:1:0x…`.
    #[serde(default)]
    logins: Vec<String>,
}

/// What is to be another way; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub(crate) struct Changed {
    #[schema(value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    /// All sessions end.
    password: Option<String>,
    logins: Option<Vec<String>>,
    /// All sessions end.
    disabled: Option<bool>,
    /// Forgets failed log-ins.
    #[serde(default)]
    unlock: bool,
}

/// A user, never the password.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    #[schema(value_type = String)]
    tenant: TenantId,
    name: String,
    /// What policies, grants and the audit log know. Nobody ever gets it again: who is made under
    /// the name of a deleted user is `user:tenant/name~2`.
    principal: String,
    #[schema(value_type = String)]
    account: AccountId,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    has_password: bool,
    logins: Vec<String>,
    disabled: bool,
    #[schema(value_type = String, format = "date-time")]
    created: UnixMillis,
}

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Users)]
pub(crate) struct Listed {
    users: Vec<UserView>,
    /// Send it as `after` to get the next page; null on the last one.
    next: Option<String>,
}

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `list` takes apart")]
struct Parameters {
    /// The caller's own when it is missing.
    tenant: Option<String>,
    /// The user after whose name the page begins.
    after: Option<String>,
    /// Rows at most, 1 to 1000; 100 when it is missing.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Make a user.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", operation_id = "createUser", request_body = Wanted,
    responses((status = 201, description = "The user", body = UserView))
)]
pub(crate) async fn create(call: &mut Call) -> Result<Reply, Problem> {
    let wanted: Wanted = call.json().await?;
    let tenant = match wanted.tenant {
        Some(tenant) => tenant,
        None => call.principal()?.tenant().clone(),
    };
    let permit = call.permit::<WriteUsers>(tenant)?;
    let roles = wanted.roles.unwrap_or_else(|| vec![Role::TenantUser]);
    let wanted = NewUser {
        name: wanted.name,
        account: wanted.account,
        roles: roles.into(),
        password: wanted.password,
        logins: wanted.logins,
    };
    call.note(of_new(&wanted));
    let user = users::create(call.app(), &permit, wanted).await?;
    Reply::json(StatusCode::CREATED, &UserView::of(user))
}

/// List a tenant's users.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", operation_id = "listUsers", params(Parameters),
    responses((status = 200, description = "A page of users", body = Listed))
)]
pub(crate) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["tenant", "after", "limit"])?;
    let tenant = tenant(call, &query)?;
    let permit = call.permit::<ListUsers>(tenant)?;
    let limit = match query.one("limit")? {
        None => USERS_DEFAULT,
        Some(text) => {
            let limit = text.parse().ok();
            let limit = limit.filter(|limit| (1..=PAGE_ROWS_MAX).contains(limit));
            limit.ok_or_else(|| {
                let why = format!("is no number of rows; write 1 to {PAGE_ROWS_MAX}");
                Invalid::new("limit", why)
            })?
        }
    };
    let found = users::list(call.app(), &permit, query.one("after")?, limit).await?;
    let is_full = u32::try_from(found.len()).unwrap_or(u32::MAX) == limit;
    let next = found
        .last()
        .filter(|_| is_full)
        .map(|user| user.name.clone());
    let users = found.into_iter().map(UserView::of).collect();
    Reply::json(StatusCode::OK, &Listed { users, next })
}

/// Change a user.
#[utoipa::path(
    put, path = "/v1/users/{name}", tag = "users", operation_id = "changeUser",
    params(("name" = String, Path, description = "The user's name"),
        ("tenant" = Option<String>, Query, description = "The caller's own when it is missing")),
    request_body = Changed,
    responses((status = 200, description = "The user as it is now", body = UserView),
        (status = 404, description = "Not there, or not yours"))
)]
pub(crate) async fn change(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["tenant"])?;
    let permit = call.permit::<WriteUsers>(tenant(call, &query)?)?;
    let changed: Changed = call.json().await?;
    let name = call.segment().to_owned();
    let change = UserChange {
        roles: changed.roles.map(Into::into),
        password: changed.password,
        logins: changed.logins,
        disabled: changed.disabled,
        unlock: changed.unlock,
    };
    call.note(of_change(&name, &change, None));
    let (before, user) = users::change(call.app(), &permit, &name, change.clone()).await?;
    call.note(of_change(&name, &change, Some(&before)));
    Reply::json(StatusCode::OK, &UserView::of(user))
}

/// Delete a user.
#[utoipa::path(
    delete, path = "/v1/users/{name}", tag = "users", operation_id = "deleteUser",
    params(("name" = String, Path, description = "The user's name"),
        ("tenant" = Option<String>, Query, description = "The caller's own when it is missing")),
    responses((status = 204, description = "The user is gone"),
        (status = 404, description = "Not there, or not yours"))
)]
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["tenant"])?;
    let permit = call.permit::<WriteUsers>(tenant(call, &query)?)?;
    let name = call.segment().to_owned();
    call.note(format!("user {name}"));
    let gone = users::delete(call.app(), &permit, &name).await?;
    call.note(format!("user {name}: had roles {}", gone.roles));
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// What the audit log is told of a new user: of a password, that there is one.
fn of_new(wanted: &NewUser) -> String {
    let mut told = vec![format!("roles {}", wanted.roles)];
    if let Some(account) = &wanted.account {
        told.push(format!("account {account}"));
    }
    if wanted.password.is_some() {
        told.push("with a password".to_owned());
    }
    if !wanted.logins.is_empty() {
        told.push(format!("logins {}", wanted.logins.join(", ")));
    }
    format!("user {}: {}", wanted.name, told.join("; "))
}

/// What the audit log is told that is another way, and how it was, once that is known.
fn of_change(name: &str, change: &UserChange, before: Option<&User>) -> String {
    let mut told = Vec::new();
    if let Some(roles) = change.roles {
        let were = before.map(|before| format!(" (were {})", before.roles));
        told.push(format!("roles {roles}{}", were.unwrap_or_default()));
    }
    if change.password.is_some() {
        told.push("another password".to_owned());
    }
    match change.disabled {
        Some(true) => told.push("disabled".to_owned()),
        Some(false) => told.push("enabled".to_owned()),
        None => {}
    }
    if change.unlock {
        told.push("unlocked".to_owned());
    }
    if let Some(logins) = &change.logins {
        let were = before.map(|before| format!(" (were {})", named(&before.logins)));
        told.push(format!(
            "logins {}{}",
            named(logins),
            were.unwrap_or_default()
        ));
    }
    format!("user {name}: {}", told.join("; "))
}

fn named(logins: &[String]) -> String {
    match logins {
        [] => "none".to_owned(),
        logins => logins.join(", "),
    }
}

fn tenant(call: &Call, query: &Query) -> Result<TenantId, Problem> {
    match query.one("tenant")? {
        Some(text) => Ok(TenantId::parse(text)?),
        None => Ok(call.principal()?.tenant().clone()),
    }
}

impl UserView {
    fn of(user: User) -> Self {
        Self {
            principal: user.principal_id().as_str().to_owned(),
            tenant: user.tenant,
            name: user.name,
            account: user.account,
            roles: user.roles.into(),
            has_password: user.password.is_some(),
            logins: user.logins,
            disabled: user.disabled,
            created: user.created,
        }
    }
}
