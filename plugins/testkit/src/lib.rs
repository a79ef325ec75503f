//! Testing a plugin with `cargo test`, without a host: what the host hands in, made by hand.
//!
//! ```
//! use holdfast_plugin::authorizer::{Action, Authorizer, Call, Decision, Metadata};
//! use holdfast_testkit::CallFacts;
//!
//! struct ReadOnly;
//!
//! impl Authorizer for ReadOnly {
//!     fn describe() -> Metadata {
//!         Metadata { name: "read-only".into(), version: "1.0.0".into(), description: "no pins".into() }
//!     }
//!
//!     fn init(_settings: &str) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn authorize(&self, call: &Call) -> Decision {
//!         match call.action() {
//!             Action::CreateRequest if !call.has_role("operator") => Decision::forbidden("no pins"),
//!             _ => Decision::Allow,
//!         }
//!     }
//! }
//!
//! let plugin = ReadOnly::init("{}").unwrap();
//! let facts = CallFacts::new(Action::CreateRequest).attribute("plan", "gold");
//! assert_eq!(plugin.authorize(&facts.call()), Decision::forbidden("no pins"));
//! let facts = facts.role("operator");
//! assert_eq!(plugin.authorize(&facts.call()), Decision::Allow);
//! ```
//!
//! Of what goes out, a [`Script`] says beforehand what is asked and what comes back:
//!
//! ```
//! use holdfast_plugin::http::{Client, Request, Url};
//! use holdfast_testkit::Script;
//!
//! let script = Script::new().answers("GET", "https://pay.example/ping", 200, "pong");
//! let url = Url::parse("https://pay.example/ping").unwrap();
//! let response = script.send(&Request::new("GET", url)).unwrap();
//! assert_eq!(response.body, b"pong");
//! script.finish().unwrap();
//! ```
//!
//! Golden vectors, the file that ships beside a plugin, run with [`vectors`]: the host runs the
//! same file on the component.

mod call;
mod script;
mod variables;
pub mod vectors;
mod wants;

pub use call::CallFacts;
pub use script::Script;
pub use variables::Variables;
pub use wants::{invoice, progress, snapshot, usage};
