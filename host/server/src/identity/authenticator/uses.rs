//! When keys were last used: noted when a key is looked up, written later.

use crate::clock::Clock;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use holdfast_model::{ApiKey, KeyId, UnixMillis};
use holdfast_store::{Expect, Record, Store};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// How exact "last used" is. A write for each use would make every read a write.
const COARSE_MILLIS: u64 = 60_000;

/// Uses that wait to be written; what is beyond that is noted the next time.
const WAITING_MAX: usize = 65_536;

/// Characters of what a client calls itself.
const AGENT_CHARS_MAX: usize = 120;

/// When a key was last used, give or take a minute, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// The key's account, as text.
    pub account: String,
    /// The key.
    pub key: KeyId,
    /// When.
    pub at: UnixMillis,
    /// From where, as the listener saw it.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub agent: Option<String>,
}

impl Record for KeyUse {
    const KIND: &'static str = "key-use";

    fn owner(&self) -> &str {
        &self.account
    }

    fn id(&self) -> &str {
        self.key.as_str()
    }
}

pub(super) struct Uses {
    noted: Cache<KeyId, UnixMillis>,
    waiting: Mutex<HashMap<KeyId, KeyUse>>,
}

impl Default for Uses {
    fn default() -> Self {
        Self {
            noted: Cache::new(WAITING_MAX),
            waiting: Mutex::default(),
        }
    }
}

impl Uses {
    pub(super) fn note(
        &self,
        key: &ApiKey,
        headers: &HeaderMap,
        address: Option<IpAddr>,
        now: UnixMillis,
    ) {
        let passed = |at: UnixMillis| now.as_millis().abs_diff(at.as_millis());
        if self
            .noted
            .get(&key.id)
            .is_some_and(|at| passed(at) < COARSE_MILLIS)
        {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            return;
        }
        self.noted.insert(key.id.clone(), now);
        let agent = headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let used = KeyUse {
            account: key.account.as_str().to_owned(),
            key: key.id.clone(),
            at: now,
            address,
            agent: agent.map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect()),
        };
        waiting.insert(key.id.clone(), used);
    }

    pub(super) async fn write(&self, store: &Store, clock: &Clock) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for used in waiting.into_values() {
            let written = store.put_record(&used, Expect::Any, clock.now()).await;
            if let Err(error) = written {
                tracing::warn!(key = %used.key, %error, "when a key was last used is not kept");
            }
        }
    }
}
