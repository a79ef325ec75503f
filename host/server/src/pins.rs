//! The verbs on pins and pin requests: the only place where one changes.
//!
//! A verb takes the permit of its own action; then plugins may refuse; then the store makes the
//! change and its feed entry in one commit.
//!
//! *Architecture invariant:* verbs know no HTTP.

pub mod cluster;
mod create;
mod delete;
pub mod expire;
mod hooks;
mod list;
pub mod nodes;
pub mod place;
mod read;
mod replace;
pub mod report;
pub mod state;

pub use create::create;
pub use delete::delete;
pub use list::{Page, list};
pub use read::{Sealed, find};
pub use replace::replace;

use holdfast_model::ErrorKind;
use holdfast_runtime::PluginError;
use holdfast_store::StoreError;

/// Why a verb did not do it.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The store did not, or there is no such request.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An authorizer component objects.
    #[error("plugin {plugin} refuses: {message}")]
    Refused {
        /// Which.
        plugin: String,
        /// A quota or funds are used up, rather than something forbidden.
        exhausted: bool,
        /// What to tell the caller.
        message: String,
    },
    /// An authorizer component failed, which counts as an objection.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

impl PinError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Refused {
                exhausted: true, ..
            } => ErrorKind::Exhausted,
            Self::Refused { .. } => ErrorKind::Denied,
            Self::Plugin(_) => ErrorKind::Unavailable,
        }
    }
}
