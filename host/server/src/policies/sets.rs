//! Tenants' sets at hand: compiled, and as fresh as it must be.

use super::archive::Archive;
use super::record::{self, OwnPolicies};
use crate::clock::Clock;
use holdfast_model::TenantId;
use holdfast_policy::{Gate, TenantSet};
use holdfast_store::{Store, StoreError};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How old a set may be. Another process's change is to be in force everywhere within 5 s, and one
/// that is read just before that still takes its time.
const FRESH_FOR: Duration = Duration::from_secs(3);

/// How old a set may be while the store cannot be read. Longer than a failover takes; no call that
/// needs the store gets through meanwhile anyway.
const STALE_FOR: Duration = Duration::from_secs(60);

/// Bytes of text of the sets at hand. Compiled they take some thirty times as much, so half a
/// gigabyte at worst, where a thousand tenants write a good deal each.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// About how many sets that is: those of most tenants say nothing.
const SETS_USUAL: usize = 16 * 1024;

/// Tenants' sets at hand.
#[derive(Debug)]
pub(super) struct Sets {
    store: Store,
    gate: Arc<Gate>,
    clock: Clock,
    held: Cache<TenantId, Arc<Held>, Bytes>,
    /// Where sets are kept that decide something.
    archive: OnceLock<Archive>,
    began: Instant,
}

/// A set with its age. Times are milliseconds since the sets began.
#[derive(Debug)]
struct Held {
    set: Arc<TenantSet>,
    version: Option<u64>,
    /// When somebody looked, or began to look, whether it is still the newest.
    looked: AtomicU64,
    /// When that was last certain.
    certain: AtomicU64,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<TenantId, Arc<Held>> for Bytes {
    fn weight(&self, _: &TenantId, held: &Arc<Held>) -> u64 {
        u64::try_from(held.set.bytes()).unwrap_or(u64::MAX)
    }
}

impl Sets {
    pub(super) fn new(store: Store, gate: Arc<Gate>, clock: Clock) -> Self {
        Self {
            store,
            gate,
            clock,
            held: Cache::with_weighter(SETS_USUAL, BYTES_MAX, Bytes),
            archive: OnceLock::new(),
            began: Instant::now(),
        }
    }

    /// Keeps sets from now on.
    pub(super) fn keep_in(&self, archive: Archive) {
        // Only the first counts; it is said once, at the start.
        let _ = self.archive.set(archive);
    }

    /// A tenant's set. One caller looks for a newer one, and the others go on with what is there.
    pub(super) async fn of(&self, tenant: &TenantId) -> Result<Arc<TenantSet>, StoreError> {
        let now = self.elapsed();
        let Some(held) = self.held.get(tenant) else {
            return self.look(tenant, None).await;
        };
        let looked = held.looked.load(Ordering::Relaxed);
        let is_fresh = now.saturating_sub(looked) < millis(FRESH_FOR);
        let claimed = || {
            let claim =
                held.looked
                    .compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed);
            claim.is_ok()
        };
        if is_fresh || !claimed() {
            return Ok(Arc::clone(&held.set));
        }
        match self.look(tenant, Some(&held)).await {
            Ok(set) => Ok(set),
            Err(error) => {
                // The next caller looks again.
                held.looked.store(looked, Ordering::Relaxed);
                let certain = held.certain.load(Ordering::Relaxed);
                if self.elapsed().saturating_sub(certain) > millis(STALE_FOR) {
                    return Err(error);
                }
                tracing::warn!(%tenant, %error, "a tenant's policies cannot be read; those at hand go on");
                Ok(Arc::clone(&held.set))
            }
        }
    }

    /// Forgets a set that was just changed here.
    pub(super) fn forget(&self, tenant: &TenantId) {
        self.held.remove(tenant);
    }

    async fn look(
        &self,
        tenant: &TenantId,
        held: Option<&Arc<Held>>,
    ) -> Result<Arc<TenantSet>, StoreError> {
        let began = self.elapsed();
        let found = record::load(&self.store, &self.clock, tenant).await?;
        let version = found.as_ref().map(|(_, version)| *version);
        if let Some(held) = held.filter(|held| held.version == version) {
            held.certain.store(began, Ordering::Relaxed);
            return Ok(Arc::clone(&held.set));
        }
        let own = found.map(|(own, _)| own);
        let own = own.unwrap_or_else(|| OwnPolicies::silent(tenant.clone()));
        let set = Arc::new(own.set());
        if own != OwnPolicies::silent(tenant.clone()) {
            let (gate, set) = (Arc::clone(&self.gate), Arc::clone(&set));
            let archive = self.archive.get().cloned();
            // Compiling is no work for a thread that answers; whoever needs it first does it else.
            let _ = tokio::task::spawn_blocking(move || {
                gate.prepare(&set);
                if let Some(archive) = archive {
                    archive.keep_own(&own, &set);
                }
            })
            .await;
        }
        let held = Held {
            set: Arc::clone(&set),
            version,
            looked: AtomicU64::new(began),
            certain: AtomicU64::new(began),
        };
        self.held.insert(tenant.clone(), Arc::new(held));
        Ok(set)
    }

    fn elapsed(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
