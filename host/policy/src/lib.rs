//! May they? Cedar behind one door.
//!
//! [`Gate::permit`] is the only maker of a [`Permit`]; a verb takes the permit of its own action,
//! so a call that was not allowed does not compile.
//!
//! The way of a decision: the gate finds the policies whose scope can match (`index`), builds the
//! entities that they may look at (`facts`), lets Cedar evaluate just those (`bundle`), and
//! remembers what came out where it cannot depend on anything else (`bundle::memory`).
//!
//! *Architecture invariants:* nobody outside sees Cedar's types; policy knows no store and no HTTP;
//! a bad set of policies never disturbs the one in force.

mod bundle;
mod cases;
mod error;
mod explain;
mod facts;
mod gate;
mod index;
mod keeper;
mod matrix;
mod metrics;
mod permit;
mod prove;
mod reach;
mod seal;
mod shadow;
mod source;
mod system;
mod tenant;

pub use cases::CaseReport;
pub use error::{Finding, PolicyError};
pub use explain::{Asked, Explained, Explanation};
pub use gate::{Context, Decision, DecisionId, Denial, Gate, GateSettings, OwnCandidate, Revision};
pub use keeper::Keeper;
pub use permit::Permit;
pub use prove::{Claim, ProofReport, Refuted, prove};
pub use reach::{Owner, Reach};
pub use seal::Seal;
pub use shadow::{Flip, ShadowReport};
pub use system::system_principal;
pub use tenant::{GRANTS_MAX, Grant, OWN_POLICIES_BYTES_MAX, TenantSet};
