//! What came of an attempt, and what is to be known of one that came to nothing.

use crate::billing::BillingError;
use holdfast_runtime::{CollectError, PluginError, Quote, Step};
use std::time::Duration;

/// The step of an attempt and its outcome, as metrics have them.
pub(super) type Counted = [&'static str; 2];

/// The step that gives an invoice its price.
pub(super) const RATING: &str = "rating";

/// The step that collects it.
pub(super) const PAYMENT: &str = "payment";

/// The plugin never heard of it.
const NOT_ASKED: &str = "not_asked";

/// The plugin trapped, hit a limit, broke the contract, or answered that it has no price.
const PLUGIN_FAILED: &str = "plugin_failed";

/// All that is counted.
pub(super) const COUNTED: [Counted; 13] = [
    [RATING, "rated"],
    [RATING, PLUGIN_FAILED],
    [RATING, NOT_ASKED],
    [RATING, "other"],
    [PAYMENT, "collected"],
    [PAYMENT, "pending"],
    [PAYMENT, "declined"],
    [PAYMENT, "unavailable"],
    [PAYMENT, "invalid_invoice"],
    [PAYMENT, "refused"],
    [PAYMENT, "other"],
    [PAYMENT, PLUGIN_FAILED],
    [PAYMENT, NOT_ASKED],
];

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// To get a price.
    Rating(Result<Quote, BillingError>),
    /// To collect it.
    Payment(Result<Step, CollectError>),
}

impl From<Result<Quote, BillingError>> for Outcome {
    fn from(rated: Result<Quote, BillingError>) -> Self {
        Self::Rating(rated)
    }
}

impl From<Result<Step, CollectError>> for Outcome {
    fn from(step: Result<Step, CollectError>) -> Self {
        Self::Payment(step)
    }
}

/// Why an attempt came to nothing, whichever step it was.
#[derive(Debug)]
pub(super) struct Failure {
    /// How it is counted.
    pub(super) label: &'static str,
    /// For people.
    pub(super) why: String,
    /// Whether another plugin is worth a try at once.
    pub(super) is_plugins_fault: bool,
    /// How long the collector asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    /// Of a plugin that was asked.
    pub(super) const fn of_plugin(why: String) -> Self {
        Self {
            label: PLUGIN_FAILED,
            why,
            is_plugins_fault: true,
            retry_after: None,
        }
    }

    /// Whether it was an attempt at all.
    pub(super) fn was_asked(&self) -> bool {
        self.label != NOT_ASKED
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let failed = Self::of_plugin(error.to_string());
        match error {
            PluginError::Failed { .. } => failed,
            PluginError::None(_) | PluginError::Open { .. } | PluginError::Overloaded { .. } => {
                Self {
                    label: NOT_ASKED,
                    ..failed
                }
            }
        }
    }
}

impl From<BillingError> for Failure {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Plugin(error) => error.into(),
            error => Self {
                label: "other",
                why: error.to_string(),
                is_plugins_fault: false,
                retry_after: None,
            },
        }
    }
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        let why = error.to_string();
        let (label, retry_after) = match error {
            CollectError::Plugin(error) => return error.into(),
            CollectError::Unavailable { retry_after } => ("unavailable", retry_after),
            CollectError::InvalidInvoice(_) => ("invalid_invoice", None),
            CollectError::Refused(_) => ("refused", None),
            CollectError::Other(_) => ("other", None),
        };
        Self {
            label,
            why,
            is_plugins_fault: false,
            retry_after,
        }
    }
}
