//! May they? Cedar behind one door.
//!
//! [`Gate::permit`] is the only maker of a [`Permit`]; a verb takes the permit of its own action, so
//! a call that was not allowed does not compile.
//!
//! *Architecture invariants:* nobody outside sees Cedar's types; policy knows no store and no HTTP.

mod gate;
mod permit;

pub use gate::{Context, Decision, DecisionId, Denial, Gate, PolicyError, Revision};
pub use permit::Permit;
