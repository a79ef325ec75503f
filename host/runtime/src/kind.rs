//! What a plugin can be for, and what the world of each kind has.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a plugin is for. Each kind has its own world, so that a plugin cannot even import what its
/// job must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// May refuse calls.
    Authorizer,
    /// Prices usage.
    Pricing,
    /// Collects the money for an invoice.
    Payment,
    /// Supplies or checks configuration.
    Config,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Authorizer, Self::Pricing, Self::Payment, Self::Config];

    /// The world's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorizer => "authorizer",
            Self::Pricing => "pricing",
            Self::Payment => "payment",
            Self::Config => "config",
        }
    }

    /// The interface whose export makes a component one of this kind.
    pub(crate) const fn export(self) -> &'static str {
        match self {
            Self::Authorizer => "holdfast:plugin/authorization",
            Self::Pricing => "holdfast:plugin/rating",
            Self::Payment => "holdfast:plugin/collection",
            Self::Config => "holdfast:plugin/configuration",
        }
    }

    /// The interfaces of ours that it may import.
    pub(crate) const fn imports(self) -> &'static [&'static str] {
        match self {
            Self::Authorizer => &[
                "holdfast:plugin/types",
                "holdfast:plugin/calls",
                "holdfast:plugin/log",
            ],
            Self::Pricing => &["holdfast:plugin/types"],
            Self::Payment => &["holdfast:plugin/types", "holdfast:plugin/log"],
            Self::Config => &[
                "holdfast:plugin/types",
                "holdfast:plugin/log",
                "holdfast:plugin/environment",
            ],
        }
    }

    /// The interfaces of WASI that do something for it. What every kind may import because it does
    /// nothing stands in `inert`.
    pub(crate) const fn wasi(self) -> &'static [&'static str] {
        match self {
            Self::Authorizer | Self::Pricing => &[],
            // The clock is there for the durations that wasi:http/types names.
            Self::Payment | Self::Config => &[
                "wasi:http/types",
                "wasi:http/outgoing-handler",
                "wasi:clocks/monotonic-clock",
            ],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
