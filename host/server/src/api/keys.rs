//! API keys, under `/v1/keys`.

use crate::accounts::keys::{self, NewKey};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::identity::KeyUse;
use axum::http::StatusCode;
use holdfast_model::action::{CreateKey, KeyRef, ListKeys, RevokeKey};
use holdfast_model::limits::PAGE_ROWS_MAX;
use holdfast_model::{
    AccountId, Action, ApiKey, Invalid, KeyId, Role, Scopes, TenantId, UnixMillis,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Keys of a page when the caller names no limit: more than most accounts have.
const KEYS_DEFAULT: usize = 100;

/// What a client posts to get a key.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewKey)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// `tenant/account`; the caller's own when it is missing.
    #[schema(value_type = Option<String>, example = "acme/web")]
    account: Option<AccountId>,
    /// `tenant-user` when it is missing.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    /// What people call it.
    #[serde(default)]
    label: String,
    /// Until when it is good; for as long as a key may be when it is missing.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires: Option<UnixMillis>,
    /// What it is good for: actions, or `pinning`, `reading`, `keys`, `usage`. Everything that its
    /// roles allow when it is missing.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Scopes,
}

/// How a key is to be rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// For how long the old key stays good, up to 30 days; a day when it is missing.
    overlap_seconds: Option<u64>,
}

/// A key, never its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    #[schema(value_type = String)]
    id: KeyId,
    #[schema(value_type = String)]
    account: AccountId,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    label: String,
    #[schema(value_type = String, format = "date-time")]
    created: UnixMillis,
    #[schema(value_type = Option<String>, format = "date-time")]
    expires: Option<UnixMillis>,
    #[schema(value_type = Option<String>, format = "date-time")]
    revoked: Option<UnixMillis>,
    /// Null for everything that its roles allow.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Scopes,
    /// The key in its place.
    #[schema(value_type = Option<String>)]
    successor: Option<KeyId>,
    /// When it was last used, give or take a minute; in lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<UseView>,
}

/// A use of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyUse)]
pub(crate) struct UseView {
    #[schema(value_type = String, format = "date-time")]
    at: UnixMillis,
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    agent: Option<String>,
}

/// A key just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FreshKey)]
pub(crate) struct Fresh {
    key: KeyView,
    /// What to send as `Authorization: Bearer …`. Shown this once and kept nowhere.
    secret: String,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Keys)]
pub(crate) struct Listed {
    keys: Vec<KeyView>,
    /// Send it as `after` to get the next page; null on the last one.
    #[schema(value_type = Option<String>)]
    next: Option<KeyId>,
}

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `list` takes apart")]
struct Parameters {
    /// `tenant/account`; the caller's own when it is missing.
    account: Option<String>,
    /// Instead of `account`: all accounts of this tenant whose keys the caller may list.
    tenant: Option<String>,
    /// The key after whose id the page begins.
    after: Option<String>,
    /// Rows at most, 1 to 1000; 100 when it is missing.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Make a key.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", operation_id = "createKey", request_body = Wanted,
    responses((status = 201, description = "The key and its secret", body = Fresh))
)]
pub(crate) async fn create(call: &mut Call) -> Result<Reply, Problem> {
    // Whom the key is for stands in the body, so it is read first; its bounds hold for anybody.
    let wanted: Wanted = call.json().await?;
    let account = match wanted.account {
        Some(account) => account,
        None => call.principal()?.account.clone(),
    };
    let permit = call.permit::<CreateKey>(account)?;
    let wanted = NewKey {
        roles: wanted
            .roles
            .unwrap_or_else(|| vec![Role::TenantUser])
            .into(),
        label: wanted.label,
        expires: wanted.expires,
        scopes: wanted.scopes,
        within: call.scopes(),
    };
    call.note(format!("a key of {} for {}", wanted.roles, permit.on()));
    let minted = keys::create(call.app(), &permit, wanted).await?;
    call.note(of_key(&minted.key));
    let fresh = Fresh {
        key: KeyView::of(minted.key),
        secret: minted.secret,
    };
    Reply::json(StatusCode::CREATED, &fresh)
}

/// List an account's keys.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", operation_id = "listKeys", params(Parameters),
    responses((status = 200, description = "A page of keys", body = Listed))
)]
pub(crate) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["account", "tenant", "after", "limit"])?;
    let after = query.one("after")?.map(KeyId::parse).transpose()?;
    let (account, tenant) = (query.one("account")?, query.one("tenant")?);
    let limit = limit(query.one("limit")?)?;
    let found = match (account, tenant) {
        (Some(_), Some(_)) => {
            let why = "is there beside account; send one of them";
            return Err(Invalid::new("tenant", why).into());
        }
        (None, Some(tenant)) => {
            let tenant = TenantId::parse(tenant)?;
            call.must_hold(Action::ListKeys)?;
            let context = call.circumstances(None);
            let caller = (&**call.principal()?, &context);
            let found = keys::list_of_tenant(call.app(), caller, &tenant, after, limit).await?;
            call.note(format!("listed {} keys of {tenant}", found.len()));
            found
        }
        (account, None) => {
            let account = match account {
                Some(text) => AccountId::parse(text)?,
                None => call.principal()?.account.clone(),
            };
            let permit = call.permit::<ListKeys>(account)?;
            keys::list(call.app(), &permit, after, limit).await?
        }
    };
    let is_full = found.len() == limit;
    let next = found.last().filter(|_| is_full).map(|key| key.id.clone());
    let mut uses = keys::uses(call.app(), &found).await?;
    let keys = found.into_iter().map(|key| {
        let used = uses.remove(&key.id);
        KeyView {
            last_used: used.map(UseView::of),
            ..KeyView::of(key)
        }
    });
    let keys = keys.collect();
    Reply::json(StatusCode::OK, &Listed { keys, next })
}

pub(super) fn limit(text: Option<&str>) -> Result<usize, Invalid> {
    let Some(text) = text else {
        return Ok(KEYS_DEFAULT);
    };
    let limit = text.parse::<u32>().ok();
    let limit = limit.filter(|limit| (1..=PAGE_ROWS_MAX).contains(limit));
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .ok_or_else(|| {
            let why = format!("{text:?} is no number of rows; write 1 to {PAGE_ROWS_MAX}");
            Invalid::new("limit", why)
        })
}

/// Make a key in the place of another one, which stays good for a while.
#[utoipa::path(
    post, path = "/v1/keys/{id}/rotate", tag = "keys", operation_id = "rotateKey",
    params(("id" = String, Path, description = "The old key's id")),
    request_body = Rotation,
    responses((status = 201, description = "The new key and its secret", body = Fresh),
        (status = 404, description = "Not there, or not yours"),
        (status = 409, description = "It was rotated already"))
)]
pub(crate) async fn rotate(call: &mut Call) -> Result<Reply, Problem> {
    // Ids need no escapes, and one that cannot be a key's is nobody's.
    let id = KeyId::parse(call.named()).map_err(|_| Problem::not_found())?;
    let Some(found) = keys::find(call.app(), &id).await? else {
        // As for revoking.
        let account = call.principal()?.account.clone();
        call.permit::<RevokeKey>(KeyRef { account, id })?;
        return Err(Problem::not_found());
    };
    let account = found.account.clone();
    let retired = call.permit::<RevokeKey>(found)?;
    let created = call.permit::<CreateKey>(account)?;
    let wanted: Rotation = call.json().await?;
    let overlap = wanted.overlap_seconds.map(Duration::from_secs);
    let overlap = overlap.unwrap_or(keys::OVERLAP_DEFAULT);
    let minted = keys::rotate(call.app(), (&retired, &created), overlap, call.scopes()).await?;
    call.note(format!("key {id} rotated to {}", of_key(&minted.key)));
    let fresh = Fresh {
        key: KeyView::of(minted.key),
        secret: minted.secret,
    };
    Reply::json(StatusCode::CREATED, &fresh)
}

/// Revoke a key.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key, revoked", body = KeyView),
        (status = 404, description = "Not there, or not yours"))
)]
pub(crate) async fn revoke(call: &mut Call) -> Result<Reply, Problem> {
    let id = KeyId::parse(call.segment()).map_err(|_| Problem::not_found())?;
    let Some(reference) = keys::find(call.app(), &id).await? else {
        // Asked all the same, so that what is missing answers as what is hidden does.
        let account = call.principal()?.account.clone();
        call.permit::<RevokeKey>(KeyRef { account, id })?;
        return Err(Problem::not_found());
    };
    let permit = call.permit::<RevokeKey>(reference)?;
    let key = keys::revoke(call.app(), &permit).await?;
    Reply::json(StatusCode::OK, &KeyView::of(key))
}

/// What the audit log is told of a key that is made.
fn of_key(key: &ApiKey) -> String {
    let scopes = match key.scopes.names() {
        Some(names) => format!(", good for {}", names.join(", ")),
        None => String::new(),
    };
    format!(
        "key {} of {} for {}{scopes}",
        key.id, key.roles, key.account
    )
}

impl KeyView {
    fn of(key: ApiKey) -> Self {
        Self {
            id: key.id,
            account: key.account,
            roles: key.roles.into(),
            label: key.label,
            created: key.created,
            expires: key.expires,
            revoked: key.revoked.map(|revocation| revocation.at),
            scopes: key.scopes,
            successor: key.successor,
            last_used: None,
        }
    }
}

impl UseView {
    fn of(used: KeyUse) -> Self {
        Self {
            at: used.at,
            address: used.address,
            agent: used.agent,
        }
    }
}
