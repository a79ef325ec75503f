//! The way out: requests that payment and config plugins make, each held against what the operator
//! allows.
//!
//! A request goes through `target` (one plain form), `rule` (is it allowed, and with which secret),
//! `resolve` and `address` (where does the name lead, and may one go there), `connect` (to exactly
//! that address) and `body` (counted and timed while it flows, at the plugin's `pace`). Redirects
//! are answers like others: whoever follows one asks anew. Nothing is decompressed here, so nothing
//! can swell.
//!
//! *Architecture invariants:* nothing of a plugin's reaches the network but by [`Guard::send`]; a
//! name is looked up once for each request, and what was vetted is what is connected to; a secret
//! is in no error, no log and no guest.

mod address;
mod body;
mod connect;
mod error;
mod guard;
mod metrics;
mod pace;
mod resolve;
mod rule;
mod secret;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod voice;

pub(crate) use address::closed_host;
pub(crate) use body::Outbound;
pub(crate) use error::EgressError;
pub(crate) use guard::{Allowance, Guard, Outside, Owner, Waits};
pub(crate) use metrics::EgressMetrics;
pub use resolve::{Lookup, Resolve};
pub(crate) use rule::{Rule, RuleText, Scope};
pub use tls::trusted_certificates;
