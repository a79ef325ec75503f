//! WebAssembly components behind one door: [`Plugins`].
//!
//! *Architecture invariants:* nobody outside sees wasmtime's types; a plugin can cost its own call
//! a clear error and nothing else; the runtime knows no store, no policy engine and no HTTP.
//!
//! A plugin's files are read by `folder` and taken in by `registry/intake`, stage by stage:
//! `trust`, `admit`, `manifest`, `compile` (in a child process, or from the cache), `plugin` (its
//! memory set aside, linked, started), `vectors`. Then it serves, or runs in the `shadow` of what
//! does, and `registry/promote` brings it in and back. A call goes through `plugins`, the
//! `generation`'s breaker, then `authorize` or `quote`, which check the answer.

mod admit;
pub mod attack;
mod authorize;
mod bindings;
mod breaker;
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
mod generation;
mod guest;
mod inert;
mod info;
mod instance;
mod job;
mod keeper;
mod kind;
mod limits;
mod link;
mod logs;
mod manifest;
mod metrics;
mod package;
mod plugin;
mod plugins;
mod pool;
mod priority;
mod promotion;
mod quote;
mod registry;
mod shadow;
mod signature;
mod state;
mod ticker;
mod trust;
mod vectors;
mod watch;
pub mod workbench;
mod world;

pub use call::{AuthorizeCall, Heard, Quote, QuoteCall, QuoteLine, Verdict};
pub use compile::{Compiler, compile_as_child};
pub use egress::{Lookup, Resolve, trusted_certificates};
pub use error::PluginError;
pub use info::{GenerationInfo, PluginInfo};
pub use job::{
    CollectError, Entry, Finding, Invoice, JobsConfig, Progress, Receipt, Severity, Snapshot, Step,
};
pub use kind::Kind as PluginKind;
pub use logs::{LogLine, Speaker};
pub use plugins::{Plugins, PluginsConfig};
pub use priority::{go_first, step_back};
pub use promotion::{PromoteBy, Promotion};
pub use registry::{InstallParts, ReloadError, Tried};
pub use shadow::{BillDifference, Flip, Priced, ShadowFailure, ShadowReport};
pub use signature::{PublicKey, SIGNATURE_FILE_BYTES_MAX, Signature, SigningKey};
pub use trust::Trust;
pub use vectors::VectorOutcome;
