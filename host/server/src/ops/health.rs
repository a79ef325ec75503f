//! Whether the host can do its work, part by part.
//!
//! *Ready* means that a call can be answered: the store takes writes, policies are in force, the
//! audit log takes lines, the workers run. A Kubo node that is down makes the host *degraded*, not
//! unready: pins are taken and wait. While the host starts there is nothing to ask yet, and it says
//! what it waits for.

use crate::ops::audit::Audit;
use holdfast_policy::Gate;
use holdfast_store::Store;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the store may take to say that it is well. Probes give up after a few seconds.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// How one part fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether it is well.
    pub ok: bool,
    /// Whether calls can be answered all the same.
    #[serde(skip)]
    pub is_optional: bool,
    /// What a person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// It is well.
    #[must_use]
    pub const fn well(detail: Option<String>) -> Self {
        Self {
            ok: true,
            is_optional: false,
            detail,
        }
    }

    /// It is not, and calls cannot be answered.
    pub fn ill(detail: impl Into<String>) -> Self {
        Self {
            ok: false,
            is_optional: false,
            detail: Some(detail.into()),
        }
    }

    /// It is not, and calls can be answered all the same.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self {
            ok: false,
            is_optional: true,
            detail: Some(detail.into()),
        }
    }
}

/// The state of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All is well.
    Ready,
    /// Calls are answered; something behind them is not well.
    Degraded,
    /// Calls cannot be answered.
    Unready,
}

/// What `/health/ready` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The whole.
    pub status: State,
    /// The parts.
    pub checks: BTreeMap<&'static str, Check>,
}

/// Asks a part that this module does not know: the workers.
pub type Ask = Arc<dyn Fn() -> Vec<(&'static str, Check)> + Send + Sync>;

/// What is asked for health.
#[derive(Clone)]
pub struct Parts {
    /// The pin store.
    pub store: Store,
    /// The policies.
    pub gate: Arc<Gate>,
    /// The audit log.
    pub audit: Audit,
    /// Others.
    pub others: Ask,
}

/// The health of a host, from the moment that it listens.
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    /// Set once everything is there.
    parts: OnceLock<Parts>,
    /// What the host waits for until then.
    waiting: Mutex<String>,
    /// Set once the host is told to stop.
    stop: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// Of a host that starts, until `stop`.
    #[must_use]
    pub fn starting(stop: CancellationToken) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts: OnceLock::new(),
                waiting: Mutex::new("is being opened".to_owned()),
                stop,
            }),
        }
    }

    /// Says what keeps the store from being there.
    pub fn waits_for(&self, why: String) {
        *self.shared.waiting.lock() = why;
    }

    /// Everything is there: it is asked from now on.
    pub fn begin(&self, parts: Parts) {
        // Only the first counts; a host starts once.
        let _ = self.shared.parts.set(parts);
    }

    /// How everything fares now.
    pub async fn report(&self) -> Report {
        let mut checks = match self.shared.parts.get() {
            Some(parts) => parts.checks().await,
            None => BTreeMap::from([("store", Check::ill(self.shared.waiting.lock().clone()))]),
        };
        if self.shared.stop.is_cancelled() {
            checks.insert("process", Check::ill("is stopping"));
        }
        let status = if checks.values().all(|check| check.ok) {
            State::Ready
        } else if checks.values().all(|check| check.ok || check.is_optional) {
            State::Degraded
        } else {
            State::Unready
        };
        Report { status, checks }
    }
}

impl Parts {
    async fn checks(&self) -> BTreeMap<&'static str, Check> {
        let mut checks = BTreeMap::new();
        checks.insert("store", self.store().await);
        checks.insert(
            "policies",
            Check::well(Some(format!("revision {}", self.gate.revision().0))),
        );
        let audit = self.audit.check();
        checks.insert(
            "audit",
            audit.map_or_else(|e| Check::ill(e.to_string()), |()| Check::well(None)),
        );
        checks.extend((self.others)());
        checks
    }

    async fn store(&self) -> Check {
        match tokio::time::timeout(STORE_TIMEOUT, self.store.ping()).await {
            Ok(Ok(())) => Check::well(None),
            Ok(Err(e)) => Check::ill(e.to_string()),
            Err(_) => Check::ill(format!(
                "does not answer within {} s",
                STORE_TIMEOUT.as_secs()
            )),
        }
    }
}
