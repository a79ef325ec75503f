//! The gate from outside: what the policies of `policies/` allow, and what happens to bad ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cases;
mod explanations;
mod isolation;
mod matrix;
mod people;
mod refusal;
mod reload;
mod shadow;
mod tenants;
