//! What was used, and what it costs, which is read from what was committed; and the queue of
//! invoices on their way from usage to being paid.

pub mod collecting;
mod meter;
mod period;
mod quote;
mod rate;

pub use meter::{Metered, usage};
pub use period::{between, parse};
pub use quote::quote;

use holdfast_model::{ErrorKind, Invalid};
use holdfast_runtime::PluginError;
use holdfast_store::StoreError;

/// Why there is no usage or no price.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The period cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no pricing component, or it failed. There is no other price to fall back to.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The thread that asked the pricing component died.
    #[error("the quote's thread died: {0}")]
    Died(String),
}

impl BillingError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Invalid(invalid) => invalid.kind(),
            Self::Plugin(_) => ErrorKind::Unavailable,
            Self::Died(_) => ErrorKind::Internal,
        }
    }
}
