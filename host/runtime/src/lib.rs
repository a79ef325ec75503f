//! WebAssembly components behind one door: [`Plugins`].
//!
//! *Architecture invariants:* nobody outside sees wasmtime's types; a plugin can cost its own call
//! a clear error and nothing else; the runtime knows no store, no policy engine and no HTTP.
//!
//! A file in the folder goes through `folder` (read whole, settled), `admit` (a component of one of
//! our worlds, importing nothing else), `compile` (in a child process, or from the cache), `plugin`
//! (its memory set aside, linked, started with its settings) and `registry` (swapped in). A call
//! goes through `plugins`, then `authorize` or `quote`, which check the answer.

mod admit;
mod authorize;
mod bindings;
mod budget;
mod call;
mod compile;
mod deadline;
mod egress;
mod engine;
mod error;
mod facts;
mod folder;
mod foundry;
mod guest;
mod inert;
mod instance;
mod job;
mod kind;
mod limits;
mod link;
mod manifest;
mod metrics;
mod plugin;
mod plugins;
mod pool;
mod quote;
mod registry;
mod signature;
mod watch;
mod world;

pub use call::{AuthorizeCall, PluginInfo, Quote, QuoteCall, QuoteLine, Verdict};
pub use compile::{Compiler, compile_as_child};
pub use egress::{Lookup, Resolve};
pub use error::PluginError;
pub use job::{
    CollectError, Entry, Finding, Invoice, JobsConfig, Progress, Receipt, Severity, Snapshot, Step,
};
pub use kind::Kind as PluginKind;
pub use plugins::{Plugins, PluginsConfig};
pub use signature::{PublicKey, SIGNATURE_FILE_BYTES_MAX, Signature, SigningKey};
