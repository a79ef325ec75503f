//! The runtime through its door, with real components.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod authorizers;
mod clean;
mod compile;
mod frozen;
mod hostile;
mod house;
mod jobs;
mod kit;
mod languages;
mod leak;
mod limits;
mod metrics;
mod pricing;
mod reload;
mod shipped;
mod spans;
mod webhook;
