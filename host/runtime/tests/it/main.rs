//! The runtime through its door, with real components.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod authorizers;
mod hostile;
mod house;
mod pricing;
mod reload;
