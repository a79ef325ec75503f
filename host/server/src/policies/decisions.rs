//! Decisions of the last while, with what replays them, so that they can be explained.
//!
//! They are in memory and of this process; what outlives it stands in the audit log.

use super::PoliciesError;
use crate::app::App;
use holdfast_model::action::{ExplainDecision, Resource};
use holdfast_model::{Action, Principal, UnixMillis};
use holdfast_policy::{Asked, Context, DecisionId, Explanation, Permit, Revision};
use holdfast_runtime::Heard;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Denials that are kept. Somebody who was denied asks within minutes; at some 500 bytes each this
/// is 4 MiB.
const DENIALS_MAX: usize = 8_192;

/// What was allowed and is kept. Apart, so that a busy host does not push denials out.
const ALLOWED_MAX: usize = 4_096;

/// A decision, with what replays it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its name.
    pub id: DecisionId,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub principal: Arc<Principal>,
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// In which call.
    pub context: Context,
    /// By which policies.
    pub revision: Revision,
    /// Whether the policies allowed it.
    pub is_allowed: bool,
    /// What the authorizer components said after them.
    pub components: Arc<[Heard]>,
}

/// Decisions of the last while.
#[derive(Debug, Default)]
pub(super) struct Recent {
    denied: Mutex<VecDeque<Recorded>>,
    allowed: Mutex<VecDeque<Recorded>>,
}

impl Recent {
    pub(super) fn keep(&self, recorded: Recorded) {
        let (ring, most) = match recorded.is_allowed {
            true => (&self.allowed, ALLOWED_MAX),
            false => (&self.denied, DENIALS_MAX),
        };
        let mut ring = ring.lock();
        let gone = match ring.len() >= most {
            true => ring.pop_front(),
            false => None,
        };
        ring.push_back(recorded);
        drop(ring);
        // Freed after the lock, which every call takes.
        drop(gone);
    }

    /// Adds what the authorizer components said after the policies had allowed it.
    pub(super) fn heard(&self, id: DecisionId, components: Vec<Heard>) {
        let mut ring = self.allowed.lock();
        if let Some(recorded) = ring.iter_mut().rev().find(|one| one.id == id) {
            recorded.components = components.into();
        }
    }

    fn find(&self, id: DecisionId) -> Option<Recorded> {
        [&self.denied, &self.allowed].into_iter().find_map(|ring| {
            let ring = ring.lock();
            ring.iter().rev().find(|one| one.id == id).cloned()
        })
    }
}

/// A decision that is still known.
#[must_use]
pub fn known(app: &App, id: DecisionId) -> Option<Recorded> {
    app.policies.recent.find(id)
}

/// Why it was decided so. The permit is over the tenant of who was decided about.
///
/// # Errors
/// The decision is about somebody of another tenant, or cannot be asked again.
pub fn explain(
    app: &App,
    permit: &Permit<ExplainDecision>,
    recorded: &Recorded,
) -> Result<Explanation, PoliciesError> {
    if permit.on() != recorded.principal.tenant() {
        return Err(PoliciesError::Missing("such decision"));
    }
    let asked = Asked {
        principal: &recorded.principal,
        action: recorded.action,
        resource: &recorded.resource,
        context: &recorded.context,
        revision: Some(&recorded.revision),
    };
    app.gate.explain(&asked).map_err(PoliciesError::Failed)
}
