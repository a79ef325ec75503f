//! What decides beside the platform's policies: what tenants say for themselves, as it is kept and
//! as it is at hand, and what was decided lately.
//!
//! *Architecture invariant:* verbs know no HTTP.

mod archive;
mod candidate;
mod decisions;
mod own;
mod record;
mod sets;

pub use archive::Archive;
pub use candidate::{
    begin_own_shadow, begin_shadow, drop_own_shadow, drop_shadow, own_shadow_report,
    promote_own_shadow, promote_shadow, shadow_report,
};
pub use decisions::{Recorded, explain, known};
pub use own::{NewGrant, grant, grants, read, remove, revoke, write};
pub use record::OwnPolicies;

use crate::clock::Clock;
use decisions::Recent;
use holdfast_model::{ErrorKind, Invalid, TenantId};
use holdfast_policy::{DecisionId, Gate, PolicyError, TenantSet};
use holdfast_runtime::Heard;
use holdfast_store::{Store, StoreError};
use sets::Sets;
use std::path::Path;
use std::sync::Arc;

/// Why a verb did not do it.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Policies cannot be used.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// They could be used, and a proof says that they should not be.
    #[error("not proved: {0}")]
    Refuted(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// Somebody else changed it meanwhile.
    #[error("the tenant's policies were changed meanwhile; read them again and repeat the change")]
    Changed,
    /// The host's own part failed.
    #[error("{0}")]
    Failed(String),
}

impl PoliciesError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Invalid(invalid) => invalid.kind(),
            Self::Policy(error) => error.kind(),
            Self::Refuted(_) => ErrorKind::Invalid,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Changed => ErrorKind::Conflict,
            Self::Failed(_) => ErrorKind::Internal,
        }
    }
}

/// The handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policies {
    sets: Arc<Sets>,
    recent: Arc<Recent>,
    /// Proves tenants' policies before they are taken, if that is wanted.
    solver: Option<Arc<Path>>,
}

impl Policies {
    /// Over a store and a gate.
    #[must_use]
    pub fn new(store: Store, gate: Arc<Gate>, clock: Clock) -> Self {
        Self {
            sets: Arc::new(Sets::new(store, gate, clock)),
            recent: Arc::default(),
            solver: None,
        }
    }

    /// The same, and tenants' policies are taken only when this solver has proved them.
    #[must_use]
    pub fn proved_by(self, solver: Option<&Path>) -> Self {
        Self {
            solver: solver.map(Arc::from),
            ..self
        }
    }

    /// The same, and what tenants say is kept there when it first decides something.
    #[must_use]
    pub fn kept_in(self, archive: Archive) -> Self {
        self.sets.keep_in(archive);
        self
    }

    /// What a tenant says for itself, as it was a few seconds ago at most.
    ///
    /// # Errors
    /// The store fails, and it is not at hand either.
    pub async fn of(&self, tenant: &TenantId) -> Result<Arc<TenantSet>, StoreError> {
        self.sets.of(tenant).await
    }

    /// Keeps what replays a decision, so that it can be explained for a while.
    pub fn remember(&self, recorded: Recorded) {
        self.recent.keep(recorded);
    }

    /// Adds to a decision what the authorizer components said after the policies.
    pub fn heard(&self, id: DecisionId, components: Vec<Heard>) {
        self.recent.heard(id, components);
    }
}
