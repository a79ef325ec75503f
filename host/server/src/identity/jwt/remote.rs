//! An issuer's public keys, from its own server.
//!
//! They are fetched when they are first needed, so that a start does not depend on an issuer; once
//! for all who wait; again in the background when they are no longer fresh; and when a token names
//! a key that is not among them, but rarely, because anybody can make up names. While the issuer
//! does not answer, what was fetched before serves on for a day.

use super::keyset::KeySet;
use crate::identity::web::{Web, WebError};
use arc_swap::ArcSwapOption;
use holdfast_model::UnixMillis;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use url::Url;

/// For how long keys count as fresh. Issuers' own hints do not help: Keycloak says `no-cache`.
const FRESH_MILLIS: u64 = 600_000;

/// The shortest time between two fetches for the sake of names that are not known.
const UNKNOWN_PAUSE_MILLIS: u64 = 30_000;

/// The shortest time between two attempts while the issuer does not answer.
const FAILED_PAUSE_MILLIS: u64 = 5_000;

/// For how long keys serve while the issuer does not answer.
const STALE_MILLIS_MAX: u64 = 24 * 3_600_000;

/// Names of keys that the issuer does not have, and for how long that is believed.
const ABSENT_MAX: usize = 1_024;
const ABSENT_MILLIS: u64 = 300_000;

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The issuer's metadata tell (OpenID Connect Discovery 1.0, section 4).
    Discovery {
        /// The issuer, letter for letter as tokens name it.
        issuer: String,
    },
    /// Here.
    Jwks(Url),
}

/// An issuer's keys, fetched.
#[derive(Debug)]
pub struct Remote {
    source: Source,
    web: Web,
    fetched: ArcSwapOption<Fetched>,
    /// Held by whoever fetches; the others wait for it and look again.
    turn: tokio::sync::Mutex<()>,
    /// The last attempt, and whether it failed.
    tried: Mutex<Option<(UnixMillis, bool)>>,
    absent: Cache<String, UnixMillis>,
    fetches: AtomicU64,
}

#[derive(Debug)]
struct Fetched {
    keys: Arc<KeySet>,
    at: UnixMillis,
}

/// Why keys were not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error("the issuer's metadata cannot be read: {0}")]
    Metadata(serde_json::Error),
    #[error(
        "the issuer's metadata are of {found:?}, not of {wanted:?}; write the one in auth.issuers letter for letter"
    )]
    Issuer { found: String, wanted: String },
    #[error("{0} is no address of a key set")]
    Address(String),
    #[error("{0}")]
    Keys(String),
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Remote {
    /// Keys from there; nothing is fetched yet.
    #[must_use]
    pub fn new(source: Source, web: Web) -> Self {
        Self {
            source,
            web,
            fetched: ArcSwapOption::empty(),
            turn: tokio::sync::Mutex::default(),
            tried: Mutex::default(),
            absent: Cache::new(ABSENT_MAX),
            fetches: AtomicU64::new(0),
        }
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// How often the issuer was asked.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    /// What serves now: nothing before the first fetch, and after a day without an answer.
    pub(super) fn keys(&self, now: UnixMillis) -> Option<Arc<KeySet>> {
        let fetched = self.fetched.load();
        let fetched = fetched.as_ref()?;
        (age(fetched.at, now) < STALE_MILLIS_MAX).then(|| Arc::clone(&fetched.keys))
    }

    /// Whether it is time to fetch again although nothing is missing.
    pub(super) fn is_old(&self, now: UnixMillis) -> bool {
        let fetched = self.fetched.load();
        let is_old = fetched
            .as_ref()
            .is_some_and(|fetched| age(fetched.at, now) >= FRESH_MILLIS);
        is_old && self.may_try(now, FAILED_PAUSE_MILLIS)
    }

    /// Fetches again because the keys are no longer fresh.
    pub(super) async fn freshen(&self, now: UnixMillis) {
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        if self.is_old(now) {
            self.fetch(now).await;
        }
    }

    /// Fetches because a token's key is not there, if that may help. Says whether the keys are
    /// other ones than those that were looked into.
    pub(super) async fn seek(&self, kid: Option<&str>, now: UnixMillis) -> bool {
        let before = self.fetched.load().as_ref().map(|fetched| fetched.at);
        let name = kid.unwrap_or_default();
        let believed = self.absent.get(name).is_some_and(|until| now < until);
        if before.is_some() && (believed || !self.may_try(now, UNKNOWN_PAUSE_MILLIS)) {
            return false;
        }
        let _turn = self.turn.lock().await;
        let present = self.fetched.load().as_ref().map(|fetched| fetched.at);
        if present != before {
            return true;
        }
        let pause = match present {
            Some(_) => UNKNOWN_PAUSE_MILLIS,
            None => FAILED_PAUSE_MILLIS,
        };
        if !self.may_try(now, pause) || !self.fetch(now).await {
            return false;
        }
        let found = self.fetched.load();
        let is_there = found.as_ref().is_some_and(|found| found.keys.has(kid));
        if !is_there {
            let until = now.plus_millis(ABSENT_MILLIS);
            self.absent.insert(name.to_owned(), until);
        }
        true
    }

    fn may_try(&self, now: UnixMillis, pause: u64) -> bool {
        match *self.tried.lock() {
            None => true,
            Some((at, true)) => age(at, now) >= pause.min(FAILED_PAUSE_MILLIS),
            Some((at, false)) => age(at, now) >= pause,
        }
    }

    async fn fetch(&self, now: UnixMillis) -> bool {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let answer = self.ask().await;
        *self.tried.lock() = Some((now, answer.is_err()));
        match answer {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.fetched
                    .store(Some(Arc::new(Fetched { keys, at: now })));
                true
            }
            Err(error) => {
                let serving = self.keys(now).is_some();
                tracing::warn!(source = ?self.source, %error, serving, "an issuer's keys were not fetched");
                false
            }
        }
    }

    async fn ask(&self) -> Result<KeySet, FetchError> {
        let url = match &self.source {
            Source::Jwks(url) => url.clone(),
            Source::Discovery { issuer } => self.discover(issuer).await?,
        };
        let text = self.web.get(&url).await?;
        KeySet::of_json(&text).map_err(FetchError::Keys)
    }

    async fn discover(&self, issuer: &str) -> Result<Url, FetchError> {
        let base = issuer.trim_end_matches('/');
        let at = format!("{base}/.well-known/openid-configuration");
        let at = Url::parse(&at).map_err(|_| FetchError::Address(at))?;
        let text = self.web.get(&at).await?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(FetchError::Metadata)?;
        if metadata.issuer != issuer {
            return Err(FetchError::Issuer {
                found: metadata.issuer,
                wanted: issuer.to_owned(),
            });
        }
        Url::parse(&metadata.jwks_uri).map_err(|_| FetchError::Address(metadata.jwks_uri))
    }
}

/// How long ago something was. A clock that was set back makes everything old, so that nothing is
/// believed for longer than it should be.
fn age(at: UnixMillis, now: UnixMillis) -> u64 {
    let passed = now.as_millis().checked_sub(at.as_millis());
    passed.unwrap_or(u64::MAX)
}
