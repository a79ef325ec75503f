//! Whose a key is: the user, the issuer's person or the key that nobody made with whom it began.
//!
//! *Architecture invariant:* a key is never more than its owner could give away now, through
//! however many keys it was made.

use super::error::AuthError;
use super::known::Known;
use super::users::{self, User};
use holdfast_model::principal::Proof;
use holdfast_model::{ApiKey, KeyId, Principal, PrincipalId, Roles, TenantId, UnixMillis};
use holdfast_store::{Store, StoreError};

/// Keys on the way from a key to its owner. One that is made now names its owner at once; those of
/// before name each the key that made it, and every look at one reads them all. Whoever made each
/// key by the one before it, once a week, comes to 52 in the year that a key is good.
const MADE_BY_MAX: usize = 64;

/// Who will answer for the keys that somebody makes. Who calls with a key makes them for its owner.
///
/// # Errors
/// The key is not there, or the store fails.
pub async fn owner_of(store: &Store, principal: &Principal) -> Result<PrincipalId, StoreError> {
    let Proof::Key(id) = &principal.proof else {
        return Ok(principal.id.clone());
    };
    let key = store.key(id).await?.ok_or(StoreError::NotFound("key"))?;
    Ok(key.maker.unwrap_or_else(|| principal.id.clone()))
}

/// What a key may be now: what it says, cut to what those on the way to its owner could give away.
///
/// # Errors
/// Its owner is gone or cannot be found, a key on the way is revoked, or the store fails.
pub async fn roles_now(store: &Store, key: &ApiKey, now: UnixMillis) -> Result<Roles, AuthError> {
    let mut roles = key.roles;
    let mut maker = key.maker.clone();
    let mut tenant = key.account.tenant().clone();
    for _ in 0..=MADE_BY_MAX {
        let Some(of) = maker else {
            return Ok(roles);
        };
        let Some(id) = of.as_str().strip_prefix("key:") else {
            if of.is_worker() {
                // The host itself made it, as it makes whatever it is told to by who runs it. There
                // is nobody behind it whose rights could end; the key ends by being revoked.
                return Ok(roles);
            }
            let (theirs, own) = person(store, &of, now).await?;
            return Ok(roles.given_by(theirs, own == tenant));
        };
        let id = KeyId::parse(id).map_err(|_| AuthError::MakerGone)?;
        let made = store.key(&id).await.map_err(AuthError::Store)?;
        let made = made.ok_or(AuthError::MakerGone)?;
        // A key ends alone when its time is over, as a rotated one's always is. The first key of
        // all is itself the owner, and is meant to be revoked as soon as there are others.
        if made.revoked.is_some() && made.maker.is_some() {
            return Err(AuthError::MakerGone);
        }
        roles = roles.given_by(made.roles, *made.account.tenant() == tenant);
        tenant = made.account.tenant().clone();
        maker = made.maker;
    }
    Err(AuthError::MakerGone)
}

/// The roles and the tenant of somebody who is no key. Whoever makes a key is written down before
/// the key is, so somebody of whom nothing is known has no rights that a key could have.
async fn person(
    store: &Store,
    id: &PrincipalId,
    now: UnixMillis,
) -> Result<(Roles, TenantId), AuthError> {
    if let Some(of) = id.user() {
        let user = user(store, of.tenant, of.name, now).await?;
        // Who has the name now need not be who made the key.
        let user = user.filter(|user| user.generation == of.generation);
        let user = user.ok_or(AuthError::MakerGone)?;
        return Ok((user.roles, user.tenant));
    }
    let digest = Known::digest_of(id);
    let kept = store.record::<Known>("", &digest, now).await;
    let known = kept.map_err(AuthError::Store)?.map(|kept| kept.value);
    let known = known.ok_or(AuthError::MakerGone)?;
    Ok((known.roles, known.tenant))
}

/// A user who may call.
pub(super) async fn user(
    store: &Store,
    tenant: &str,
    name: &str,
    now: UnixMillis,
) -> Result<Option<User>, AuthError> {
    let kept = users::find(store, (tenant, name), now).await;
    let kept = kept.map_err(AuthError::Store)?;
    Ok(kept.map(|kept| kept.value).filter(|user| !user.disabled))
}
