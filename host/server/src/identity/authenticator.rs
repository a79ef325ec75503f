//! The door: who is this?

use super::bearer;
use super::error::AuthError;
use super::jwt::{Issuers, TokenError};
use super::keys;
use crate::clock::Clock;
use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use holdfast_model::key::KeyHash;
use holdfast_model::principal::Proof;
use holdfast_model::{ApiKey, Principal, PrincipalId, UnixMillis};
use holdfast_store::Store;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// For how long a proof is believed without looking again. A revoked key must be refused within
/// five seconds on every process; two leave room for a slow store.
const BELIEVED_MILLIS: u64 = 2_000;

/// Proofs that are remembered. At some 300 bytes each this is 20 MiB; the less used ones are looked
/// up again.
const REMEMBERED_MAX: usize = 65_536;

/// Knows who calls. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    issuers: ArcSwap<Issuers>,
    remembered: Cache<KeyHash, Remembered>,
    metrics: Metrics,
}

/// A proof that was good.
#[derive(Clone)]
struct Remembered {
    principal: Arc<Principal>,
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
    /// An authenticator over the store's keys and the given token issuers.
    ///
    /// # Errors
    /// Metrics that cannot be made: a fault of ours.
    pub fn new(store: Store, clock: Clock, issuers: Issuers) -> Result<Self, prometheus::Error> {
        super::install_crypto();
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                clock,
                issuers: ArcSwap::from_pointee(issuers),
                remembered: Cache::new(REMEMBERED_MAX),
                metrics: Metrics::new()?,
            }),
        })
    }

    /// Who calls.
    ///
    /// # Errors
    /// No proof, or one that cannot be accepted, or a store that does not answer.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, AuthError> {
        let result = self.of_header(headers).await;
        if let Err(e) = &result {
            self.inner
                .metrics
                .refused
                .with_label_values(&[e.as_str()])
                .inc();
        }
        result
    }

    /// Puts other token issuers in place; tokens that were good under the former ones are judged
    /// anew.
    pub fn replace_issuers(&self, issuers: Issuers) {
        self.inner.issuers.store(Arc::new(issuers));
    }

    /// What is to be registered.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        let Metrics { refused, looked_up } = &self.inner.metrics;
        vec![Box::new(refused.clone()), Box::new(looked_up.clone())]
    }

    async fn of_header(&self, headers: &HeaderMap) -> Result<Arc<Principal>, AuthError> {
        let token = bearer::token(headers)?;
        let hash = keys::hash(token);
        let now = self.inner.clock.now();
        if let Some(found) = self.inner.remembered.get(&hash)
            && (found.since..found.until).contains(&now)
            && (matches!(found.principal.proof, Proof::Key(_))
                || found.issuers == self.inner.issuers.load().generation())
        {
            return Ok(found.principal);
        }
        self.look_up(token, hash, now).await
    }

    async fn look_up(
        &self,
        token: &str,
        hash: KeyHash,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, AuthError> {
        self.inner.metrics.looked_up.inc();
        let issuers = self.inner.issuers.load_full();
        let (principal, end) = if is_signed(token) && !issuers.is_empty() {
            let (principal, end) = issuers.verify(token, now)?;
            (principal, Some(end))
        } else {
            let key = self.key(token, &hash, now).await?;
            let end = key.expires;
            (of_key(key), end)
        };
        let until = now.plus_millis(BELIEVED_MILLIS);
        let principal = Arc::new(principal);
        let remembered = Remembered {
            principal: Arc::clone(&principal),
            since: now,
            until: end.map_or(until, |end| end.min(until)),
            issuers: issuers.generation(),
        };
        self.inner.remembered.insert(hash, remembered);
        Ok(principal)
    }

    async fn key(&self, token: &str, hash: &KeyHash, now: UnixMillis) -> Result<ApiKey, AuthError> {
        if keys::is_mistyped(token) {
            return Err(AuthError::Mistyped);
        }
        let found = self
            .inner
            .store
            .key_by_hash(hash)
            .await
            .map_err(AuthError::Store)?;
        let key = match found {
            Some(key) => key,
            None if is_signed(token) => return Err(TokenError::UnknownIssuer.into()),
            None => return Err(AuthError::UnknownKey),
        };
        if key.revoked.is_some() {
            return Err(AuthError::Revoked);
        }
        if !key.is_good_at(now) {
            return Err(AuthError::Expired);
        }
        Ok(key)
    }
}

/// Whether a text has the shape of a signed token: three parts, the first of them a JSON object in
/// base64 (`{"` always gives `eyJ`, `{ ` gives `ey`).
fn is_signed(token: &str) -> bool {
    token.starts_with("ey") && token.bytes().filter(|b| *b == b'.').count() == 2
}

pub(super) fn of_key(key: ApiKey) -> Principal {
    Principal {
        id: PrincipalId::of_key(&key.id),
        account: key.account,
        roles: key.roles,
        proof: Proof::Key(key.id),
    }
}

struct Metrics {
    refused: IntCounterVec,
    looked_up: IntCounter,
}

impl Metrics {
    fn new() -> Result<Self, prometheus::Error> {
        let refused = IntCounterVec::new(
            Opts::new(
                "holdfast_identity_refused_total",
                "Calls whose credentials were not accepted, by why.",
            ),
            &["why"],
        )?;
        let looked_up = IntCounter::new(
            "holdfast_identity_looked_up_total",
            "Credentials that were looked up or verified rather than remembered.",
        )?;
        Ok(Self { refused, looked_up })
    }
}
