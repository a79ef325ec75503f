//! Writing a Holdfast plugin in Rust: one struct, one trait, one macro.
//!
//! ```
//! use holdfast_plugin::pricing::{Line, Metadata, Pricing, Quote, RatingError, Usage};
//!
//! /// Everything is free.
//! struct Free;
//!
//! impl Pricing for Free {
//!     fn describe() -> Metadata {
//!         Metadata { name: "free".into(), version: "1.0.0".into(), description: "charges nothing".into() }
//!     }
//!
//!     fn init(_settings: &str) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn rate(&self, _usage: Usage) -> Result<Quote, RatingError> {
//!         Quote::of("EUR", Vec::<Line>::new())
//!     }
//! }
//!
//! holdfast_plugin::export_pricing!(Free);
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib` and drop the `.wasm`
//! file into the plugins folder. There is no clock, no randomness (so no `HashMap` with its random
//! state: take `BTreeMap`), no files and, for authorizers and pricing, no network.
//!
//! | kind | trait | macro |
//! | --- | --- | --- |
//! | authorizer | [`authorizer::Authorizer`] | [`export_authorizer!`] |
//! | pricing | [`pricing::Pricing`] | [`export_pricing!`] |
//! | payment | [`payment::Payment`] | [`export_payment!`] |
//! | config | [`config::Config`] | [`export_config!`] |
//!
//! What is asked of the host is handed in (the [`authorizer::Call`], an [`http::Client`], an
//! [`config::Environment`]), so that a test can hand in its own: `holdfast-testkit` has them ready.

pub mod authorizer;
pub mod bindings;
pub mod config;
pub mod date;
pub mod http;
pub mod log;
pub mod money;
pub mod payment;
pub mod pricing;
pub mod settings;
pub mod storage;
