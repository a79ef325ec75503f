//! The program: edges, verbs and wiring.
//!
//! A call walks once through the house: `api::router` → `api::context` (identity → principal,
//! limits, audit) → `Gate::permit` → a verb in `pins` with that permit → plugins (may refuse) →
//! store → the answer. Behind the answer the change feed wakes `workers`; `billing` reads what was
//! committed. Nothing calls back up; `tests/it/tidy.rs` checks the allowed edges.

pub mod accounts;
pub mod api;
pub mod app;
pub mod aside;
pub mod billing;
pub mod clock;
pub mod commands;
pub mod config;
pub mod identity;
pub mod ops;
pub mod pins;
pub mod policies;
pub mod workers;
