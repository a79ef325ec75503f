//! The proof that something was allowed.

use crate::gate::Decision;
use holdfast_model::Principal;
use holdfast_model::action::Act;
use std::sync::Arc;

/// That `principal` may do `A` to `on`. Made by [`crate::Gate::permit`] only.
#[derive(Debug, Clone)]
pub struct Permit<A: Act> {
    principal: Arc<Principal>,
    on: A::On,
    decision: Decision,
}

impl<A: Act> Permit<A> {
    pub(crate) const fn new(principal: Arc<Principal>, on: A::On, decision: Decision) -> Self {
        Self {
            principal,
            on,
            decision,
        }
    }

    /// Who.
    #[must_use]
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// To what.
    #[must_use]
    pub const fn on(&self) -> &A::On {
        &self.on
    }

    /// The decision behind it, for the audit log.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }
}
