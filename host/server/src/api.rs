//! The HTTP edge: bytes to a verb and back.
//!
//! [`ROUTES`] is the one table of what can be called; it drives the router, the OpenAPI document
//! and the authorization test. Every call runs in one wrapper (`context`): it admits,
//! authenticates, times, audits and shapes errors, so a handler unpacks, asks for a permit, calls
//! one verb and converts.
//!
//! *Architecture invariants:* nothing else in the program knows HTTP statuses or JSON shapes; a
//! handler reaches the store through verbs only.

mod audit;
mod authz;
mod body;
mod cluster;
mod context;
mod cors;
mod delegates;
mod keys;
mod limits;
mod login;
mod metrics;
mod money;
mod openapi;
mod pinning;
mod plugins;
mod policies;
mod problem;
mod query;
mod reply;
mod router;
mod routes;
mod starting;
mod state;
mod stream;
mod tenants;
mod trace;
mod trail;
mod users;
mod whoami;

pub use cluster::{CLUSTER_ROUTES, ClusterOperation, ClusterSettings, cluster_router};
pub use cors::Cors;
pub use metrics::ApiMetrics;
pub use openapi::document;
pub use router::{Settings, router};
pub use routes::{Access, Operation, ROUTES, Route, Shape};
pub use starting::starting;
pub(crate) use state::EntryMessage;
