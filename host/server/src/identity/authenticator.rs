//! The door: who is this?

mod metrics;
mod proofs;
mod uses;

pub use uses::KeyUse;

use super::bearer;
use super::error::AuthError;
use super::jwt::Issuers;
use super::keys;
use super::refusals::Refusals;
use super::session::Session;
use super::terms::Identity;
use crate::clock::Clock;
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, Method, Uri};
use holdfast_model::key::KeyHash;
use holdfast_model::principal::Proof;
use holdfast_model::{KeyId, Principal, Scopes, UnixMillis};
use holdfast_store::Store;
use metrics::Metrics;
use prometheus::core::Collector;
use proofs::Found;
use quick_cache::sync::Cache;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use uses::Uses;

/// For how long a proof is believed without looking again. A revoked key must be refused within
/// five seconds on every process; two leave room for a slow store.
const BELIEVED_MILLIS: u64 = 2_000;

/// Proofs that are remembered. At some 300 bytes each this is 20 MiB; the less used ones are looked
/// up again.
const REMEMBERED_MAX: usize = 65_536;

/// Passwords that were right and need not be computed again: a few for each program that sends one
/// with every call.
const PASSWORDS_MAX: usize = 4_096;

/// What of a call tells who makes it. Nothing else ever does.
#[derive(Debug, Clone, Copy)]
pub struct Approach<'a> {
    /// Its headers, of which one counts.
    pub headers: &'a HeaderMap,
    /// What a DID's proof is bound to.
    pub method: &'a Method,
    /// The same.
    pub uri: &'a Uri,
    /// Where it comes from, as the listener says.
    pub address: Option<IpAddr>,
}

/// Somebody who has proved who they are, and what came with the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// What the proof is good for, of what they may do.
    pub scopes: Scopes,
    /// Set if the key has another one in its place.
    pub retiring: Option<Retiring>,
    /// The session, if there is one.
    pub session: Option<Session>,
    /// When the proof was last looked at; for a moment after that it is believed.
    pub at: UnixMillis,
}

/// A key that is still good while its holder goes over to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retiring {
    /// The next one.
    pub successor: KeyId,
    /// Since when there is one.
    pub since: UnixMillis,
    /// Until when this one is good.
    pub end: UnixMillis,
}

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

/// Knows who calls. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    identity: Arc<Identity>,
    issuers: ArcSwap<Issuers>,
    remembered: Cache<KeyHash, Remembered>,
    /// The kept hash that a name and a password were right for.
    passwords: Cache<KeyHash, Arc<str>>,
    refusals: Refusals,
    uses: Uses,
    metrics: Metrics,
}

/// A proof that was good.
#[derive(Clone)]
struct Remembered {
    caller: Arc<Caller>,
    /// Both ends are kept: if the clock is set back, nothing is believed for longer.
    since: UnixMillis,
    until: UnixMillis,
    /// Under which issuers a token was judged; a reload makes all of the former ones worthless.
    issuers: u64,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator over the store's keys and users and the given token issuers.
    ///
    /// # Errors
    /// Metrics that cannot be made: a fault of ours.
    pub fn new(
        store: Store,
        clock: Clock,
        identity: Arc<Identity>,
        issuers: Issuers,
    ) -> Result<Self, prometheus::Error> {
        super::install_crypto();
        let refusals = Refusals::new(identity.terms.refused_per_minute);
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                clock,
                identity,
                issuers: ArcSwap::from_pointee(issuers),
                remembered: Cache::new(REMEMBERED_MAX),
                passwords: Cache::new(PASSWORDS_MAX),
                refusals,
                uses: Uses::default(),
                metrics: Metrics::new()?,
            }),
        })
    }

    /// Who calls.
    ///
    /// # Errors
    /// No proof, or one that cannot be accepted, or a store that does not answer.
    pub async fn authenticate(&self, approach: Approach<'_>) -> Result<Arc<Caller>, AuthError> {
        let result = self.of_approach(approach).await;
        if let Err(error) = &result {
            self.refused(error, approach.address);
        }
        result
    }

    /// The holder of a key who has proved it otherwise, as by a token that was given for it.
    ///
    /// # Errors
    /// A key that is no longer good, or a store that does not answer.
    pub async fn holder_of(&self, id: &KeyId) -> Result<Arc<Caller>, AuthError> {
        let inner = &self.inner;
        let found = inner.holder_of(id, inner.clock.now()).await?;
        Ok(Arc::new(found.caller))
    }

    /// Who calls with the name and the password of a user who is kept here.
    ///
    /// # Errors
    /// They are not right, or too many were not.
    pub async fn with_password(
        &self,
        login: (&str, &str),
        address: Option<IpAddr>,
    ) -> Result<Arc<Caller>, AuthError> {
        let result = self.of_login(login, address).await;
        if let Err(error) = &result {
            self.refused(error, address);
        }
        result
    }

    /// The token of a session.
    #[must_use]
    pub fn session_token(&self, session: &Session) -> String {
        session.token(&self.inner.identity.secrets)
    }

    /// Whether somebody at an address may try to log in now.
    ///
    /// # Errors
    /// Too many credentials from there were refused of late.
    pub fn admit(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        let now = self.inner.clock.now();
        match self.inner.refusals.wait(address, now) {
            Some(seconds) => Err(AuthError::TooMany(seconds)),
            None => Ok(()),
        }
    }

    /// Counts credentials that were refused, here or at a log-in.
    pub fn refused(&self, error: &AuthError, address: Option<IpAddr>) {
        let inner = &self.inner;
        inner.metrics.refused(error.as_str());
        if error.is_about_a_token() && !matches!(error, AuthError::TooMany(_)) {
            inner.refusals.count(address, inner.clock.now());
        }
    }

    /// Puts other token issuers in place; tokens that were good under the former ones are judged
    /// anew. Keys that were fetched from the same places stay.
    pub fn replace_issuers(&self, issuers: Issuers) {
        let former = self.inner.issuers.load();
        let issuers = issuers.inheriting(&former);
        self.inner.issuers.store(Arc::new(issuers));
    }

    /// Writes down when keys were last used. Called now and then, off the path of calls.
    pub async fn write_uses(&self) {
        self.inner
            .uses
            .write(&self.inner.store, &self.inner.clock)
            .await;
    }

    /// What is to be registered.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        self.inner.metrics.collectors()
    }

    async fn of_approach(&self, approach: Approach<'_>) -> Result<Arc<Caller>, AuthError> {
        let token = bearer::token(approach.headers)?;
        let hash = keys::hash(token);
        let now = self.inner.clock.now();
        if let Some(found) = self.remembered(&hash, now) {
            return Ok(found);
        }
        self.admit(approach.address)?;
        self.inner.metrics.looked_up();
        let issuers = self.inner.issuers.load_full();
        let found = self
            .inner
            .look_up(&issuers, token, &hash, approach, now)
            .await?;
        Ok(self.remember(hash, found, now, issuers.generation()))
    }

    async fn of_login(
        &self,
        login: (&str, &str),
        address: Option<IpAddr>,
    ) -> Result<Arc<Caller>, AuthError> {
        let (user, password) = login;
        let hash = self.inner.identity.secrets.of_login(user, password);
        let now = self.inner.clock.now();
        if let Some(found) = self.remembered(&hash, now) {
            return Ok(found);
        }
        self.admit(address)?;
        self.inner.metrics.looked_up();
        let found = self.inner.password(login, &hash, now).await?;
        Ok(self.remember(hash, found, now, 0))
    }

    fn remembered(&self, hash: &KeyHash, now: UnixMillis) -> Option<Arc<Caller>> {
        let found = self.inner.remembered.get(hash)?;
        let is_of_an_issuer = matches!(found.caller.principal.proof, Proof::Token { .. });
        let holds = (found.since..found.until).contains(&now)
            && (!is_of_an_issuer || found.issuers == self.inner.issuers.load().generation());
        holds.then_some(found.caller)
    }

    fn remember(&self, hash: KeyHash, found: Found, now: UnixMillis, issuers: u64) -> Arc<Caller> {
        let caller = Arc::new(found.caller);
        if !found.is_once {
            let until = now.plus_millis(BELIEVED_MILLIS);
            let remembered = Remembered {
                caller: Arc::clone(&caller),
                since: now,
                until: found.end.map_or(until, |end| end.min(until)),
                issuers,
            };
            self.inner.remembered.insert(hash, remembered);
        }
        caller
    }
}
