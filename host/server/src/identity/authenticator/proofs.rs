//! Each kind of proof, looked up or verified.

use super::{Approach, Caller, Inner, Retiring};
use crate::identity::did::{self, Bound, DidError};
use crate::identity::error::AuthError;
use crate::identity::jwt::{Issuers, TokenError, Verdict};
use crate::identity::keys;
use crate::identity::known::Known;
use crate::identity::login;
use crate::identity::owners;
use crate::identity::session::{self, Began, EndedSession, Session};
use crate::identity::users::{LoginOf, User};
use holdfast_model::key::KeyHash;
use holdfast_model::principal::Proof;
use holdfast_model::{ApiKey, KeyId, Principal, PrincipalId, Scopes, UnixMillis};
use holdfast_store::{Expect, StoreError};
use std::sync::Arc;

/// A proof that is good now.
pub(super) struct Found {
    pub(super) caller: Caller,
    /// Until when at most.
    pub(super) end: Option<UnixMillis>,
    /// Whether it is good for this one call alone.
    pub(super) is_once: bool,
}

impl Found {
    fn new(principal: Principal, end: Option<UnixMillis>, now: UnixMillis) -> Self {
        Self {
            caller: Caller {
                principal: Arc::new(principal),
                scopes: Scopes::ALL,
                retiring: None,
                session: None,
                at: now,
            },
            end,
            is_once: false,
        }
    }
}

impl Inner {
    pub(super) async fn look_up(
        &self,
        issuers: &Issuers,
        token: &str,
        hash: &KeyHash,
        approach: Approach<'_>,
        now: UnixMillis,
    ) -> Result<Found, AuthError> {
        if token.starts_with(session::PREFIX) {
            return self.session(token, now).await;
        }
        if is_signed(token) {
            if did::issuer(token).is_some() {
                return self.did(token, approach, now).await;
            }
            if !issuers.is_empty() {
                return self.token(issuers, token, now).await;
            }
        } else if is_encrypted(token) && !issuers.is_empty() {
            return Err(TokenError::Opaque.into());
        }
        let key = self.key(token, hash, now).await?;
        self.uses
            .note(&key, approach.headers, approach.address, now);
        self.of_key(key, now).await
    }

    /// A token of an issuer. What its issuer says now of somebody who made keys counts for those
    /// keys.
    async fn token(
        &self,
        issuers: &Issuers,
        token: &str,
        now: UnixMillis,
    ) -> Result<Found, AuthError> {
        let (principal, end) = match issuers.verify_fetching(token, now).await? {
            Verdict::Good(principal, end) => (principal, end),
            Verdict::NoKeys(issuer) => return Err(AuthError::NoIssuerKeys(issuer)),
        };
        let known = Known::of(&principal);
        let kept = self.store.record::<Known>("", known.digest(), now).await;
        if let Some(kept) = kept.map_err(AuthError::Store)?
            && kept.value != known
        {
            let put = self
                .store
                .put_record(&known, Expect::Version(kept.version), now);
            // Another process that saw the same token was faster, and wrote the same.
            match put.await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(AuthError::Store(error)),
            }
        }
        Ok(Found::new(principal, Some(end), now))
    }

    async fn session(&self, token: &str, now: UnixMillis) -> Result<Found, AuthError> {
        let session = Session::read(token, &self.identity.secrets, now);
        let session = session.ok_or(AuthError::SessionOver)?;
        let name = session.id.to_string();
        let ended = self.store.record::<EndedSession>(&name, "ended", now).await;
        if ended.map_err(AuthError::Store)?.is_some() {
            return Err(AuthError::SessionOver);
        }
        let user = self.user(&session.tenant, &session.user, now).await?;
        let user = user.filter(|user| {
            user.generation == session.generation
                && user.sessions_from.is_none_or(|from| from <= session.at)
        });
        let user = user.ok_or(AuthError::SessionOver)?;
        let proof = match session.began {
            Began::Password => Proof::Password,
            Began::Wallet => Proof::Did,
        };
        let mut found = Found::new(user.principal(proof), Some(session.end), now);
        found.caller.session = Some(session);
        Ok(found)
    }

    /// A user's name and password. Those that were right for the hash that is kept now are not
    /// computed again: a client sends them with each call, and they would take a core.
    pub(super) async fn password(
        &self,
        (name, password): (&str, &str),
        hash: &KeyHash,
        now: UnixMillis,
    ) -> Result<Found, AuthError> {
        if self.identity.terms.passwords
            && let Some(right) = self.passwords.get(hash)
            && let Some((tenant, user)) = name.split_once('/')
            && let Some(user) = self.user(tenant, user, now).await?
            && user.password.as_deref() == Some(&*right)
        {
            return Ok(Found::new(user.principal(Proof::Password), None, now));
        }
        let login = (name, password.to_owned());
        let user = login::check_password(&self.store, &self.identity, now, login).await?;
        if let Some(right) = &user.password {
            self.passwords.insert(*hash, right.as_str().into());
        }
        Ok(Found::new(user.principal(Proof::Password), None, now))
    }

    /// A call that a DID has signed. It is noted as used before anybody is let in by it, and only
    /// if it is somebody's: strangers, who can make as many DIDs as they like, make the store write
    /// nothing.
    async fn did(
        &self,
        token: &str,
        approach: Approach<'_>,
        now: UnixMillis,
    ) -> Result<Found, AuthError> {
        let url = self.identity.terms.url.as_ref().ok_or(DidError::Off)?;
        let bound = Bound {
            url: url.as_str(),
            method: approach.method.as_str(),
            path: approach.uri.path(),
        };
        let proven = did::verify(token, bound, now)?;
        let of = self.store.record::<LoginOf>(&proven.did, "user", now).await;
        let of = of.map_err(AuthError::Store)?.ok_or(DidError::Nobody)?.value;
        let user = self.user(of.tenant.as_str(), &of.name, now).await?;
        let user = user.filter(|user| user.logins.contains(&proven.did));
        let user = user.ok_or(DidError::Nobody)?;
        match self
            .store
            .put_record(&proven.used, Expect::Absent, now)
            .await
        {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Err(DidError::Replayed.into()),
            Err(error) => return Err(AuthError::Store(error)),
        }
        let mut found = Found::new(user.principal(Proof::Did), None, now);
        found.is_once = true;
        Ok(found)
    }

    /// A user who may call.
    async fn user(
        &self,
        tenant: &str,
        name: &str,
        now: UnixMillis,
    ) -> Result<Option<User>, AuthError> {
        owners::user(&self.store, tenant, name, now).await
    }

    async fn key(&self, token: &str, hash: &KeyHash, now: UnixMillis) -> Result<ApiKey, AuthError> {
        let key = match keys::id_of(token)? {
            // By its public name; then the rest is compared in constant time.
            Some(id) => {
                let found = self.store.key(&id).await.map_err(AuthError::Store)?;
                found.filter(|key| self.identity.secrets.is_of(&key.hash, token))
            }
            // The first administrator's, which has the shape that the operator gave it.
            None => self
                .store
                .key_by_hash(hash)
                .await
                .map_err(AuthError::Store)?,
        };
        let key = match key {
            Some(key) => key,
            None if is_signed(token) => return Err(TokenError::UnknownIssuer.into()),
            None => return Err(AuthError::UnknownKey),
        };
        must_be_good(&key, now)?;
        Ok(key)
    }

    /// The holder of a key, by its public name.
    pub(super) async fn holder_of(&self, id: &KeyId, now: UnixMillis) -> Result<Found, AuthError> {
        let key = self.store.key(id).await.map_err(AuthError::Store)?;
        let key = key.ok_or(AuthError::UnknownKey)?;
        must_be_good(&key, now)?;
        self.of_key(key, now).await
    }

    /// The holder of a key: what the key says, cut to what its owner could give away today.
    async fn of_key(&self, key: ApiKey, now: UnixMillis) -> Result<Found, AuthError> {
        let roles = owners::roles_now(&self.store, &key, now).await?;
        let principal = Principal {
            id: PrincipalId::of_key(&key.id),
            account: key.account,
            roles,
            proof: Proof::Key(key.id),
        };
        let mut found = Found::new(principal, key.expires, now);
        found.caller.scopes = key.scopes;
        if let Some((successor, end)) = key.successor.zip(key.expires) {
            let next = self.store.key(&successor).await;
            let since = next.map_err(AuthError::Store)?.map(|next| next.created);
            found.caller.retiring = Some(Retiring {
                successor,
                since: since.unwrap_or(now),
                end,
            });
        }
        Ok(found)
    }
}

fn must_be_good(key: &ApiKey, now: UnixMillis) -> Result<(), AuthError> {
    match key.revoked {
        Some(_) => Err(AuthError::Revoked),
        None if key.is_good_at(now) => Ok(()),
        None => Err(AuthError::Expired),
    }
}

/// Whether a text has the shape of a signed token: three parts, the first of them a JSON object in
/// base64 (`{"` always gives `eyJ`, `{ ` gives `ey`).
fn is_signed(token: &str) -> bool {
    has_parts(token, 3)
}

/// Whether a text has the shape of an encrypted token (RFC 7516), as Auth0 hands out to who names
/// no audience.
fn is_encrypted(token: &str) -> bool {
    has_parts(token, 5)
}

fn has_parts(token: &str, parts: usize) -> bool {
    token.starts_with("ey") && token.bytes().filter(|b| *b == b'.').count() + 1 == parts
}
