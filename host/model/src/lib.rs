//! The nouns of a pinning service and the rules that need no I/O.
//!
//! Every other crate stands on this one, and this one on nothing of ours: no async, no files, no
//! clock. What comes from outside is parsed here into types that cannot hold a wrong value.
//!
//! *Architecture invariant:* `model` knows no store, no policy engine, no plugin and no HTTP.

pub mod account;
pub mod action;
pub mod audit;
pub mod change;
pub mod cid;
pub mod error;
mod forms;
pub mod key;
pub mod limits;
pub mod money;
pub mod peer;
pub mod pin;
pub mod placement;
pub mod principal;
pub mod request;
pub mod scope;
pub mod time;
pub mod usage;

pub use account::{AccountId, Tenant, TenantId};
pub use action::Action;
pub use audit::{AuditCheckpoint, AuditEntry, AuditEvent, AuditFault, AuditHead};
pub use change::{Change, Cursor};
pub use cid::Cid;
pub use error::{ErrorKind, Invalid};
pub use key::{ApiKey, KeyId, Revocation};
pub use money::{Currency, Money};
pub use peer::{Origin, PeerId};
pub use pin::{Pin, PinOptions, PinType, StoredPin};
pub use placement::{Placement, PlacementState};
pub use principal::{Principal, PrincipalId, Role, Roles};
pub use request::{
    Asked, NewRequest, PinRequest, RequestFilter, RequestId, RequestStatus, StatusCounts,
};
pub use scope::Scopes;
pub use time::UnixMillis;
pub use usage::{Operation, Period, Usage, UsageMark};
