//! A tenant's policies and grants as the store keeps them: one record, so that one write changes
//! them and one read finds them.

use crate::app::App;
use crate::clock::Clock;
use holdfast_model::{TenantId, UnixMillis};
use holdfast_policy::{Grant, TenantSet};
use holdfast_store::{Expect, Record, Store, StoreError};
use serde::{Deserialize, Serialize};

/// There is one of these for each tenant.
const ID: &str = "own";

/// What a tenant says for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPolicies {
    /// The tenant.
    pub tenant: TenantId,
    /// Its policies, in Cedar.
    pub policies: String,
    /// Its grants, the oldest first.
    pub grants: Vec<Grant>,
    /// When it was changed last.
    pub changed: UnixMillis,
    /// By whom.
    pub by: String,
}

impl Record for OwnPolicies {
    const KIND: &'static str = "policy-set";

    fn owner(&self) -> &str {
        self.tenant.as_str()
    }

    fn id(&self) -> &str {
        ID
    }
}

impl OwnPolicies {
    /// That a tenant says nothing.
    pub(super) fn silent(tenant: TenantId) -> Self {
        Self {
            tenant,
            policies: String::new(),
            grants: Vec::new(),
            changed: UnixMillis::EPOCH,
            by: String::new(),
        }
    }

    /// What decides by it.
    pub(super) fn set(&self) -> TenantSet {
        let (policies, grants) = (self.policies.clone(), self.grants.clone());
        TenantSet::new(self.tenant.clone(), policies, grants)
    }
}

/// What is kept of a tenant, and its version.
pub(super) async fn load(
    store: &Store,
    clock: &Clock,
    tenant: &TenantId,
) -> Result<Option<(OwnPolicies, u64)>, StoreError> {
    let kept = store.record::<OwnPolicies>(tenant.as_str(), ID, clock.now());
    Ok(kept.await?.map(|kept| (kept.value, kept.version)))
}

/// Keeps it, if it still has the version that was read.
pub(super) async fn save(
    app: &App,
    own: &OwnPolicies,
    version: Option<u64>,
) -> Result<u64, StoreError> {
    let expect = version.map_or(Expect::Absent, Expect::Version);
    app.store.put_record(own, expect, app.clock.now()).await
}
