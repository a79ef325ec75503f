//! What becomes an invoice: usage that has no price yet.

use super::{CollectingError, check_id};
use holdfast_model::{AccountId, UnixMillis, Usage};
use holdfast_runtime::{Invoice, Quote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Usage that is to be rated, and what it makes of the price: an invoice. Nothing of it changes
/// until there is one, so each attempt asks the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Billable {
    /// The invoice's id: unique, for ever.
    pub id: String,
    /// Who owes.
    pub account: AccountId,
    /// What the operator says of the tenant.
    pub attributes: BTreeMap<String, String>,
    /// What was used when.
    pub usage: Usage,
    /// Until when the invoice is to be paid.
    pub due: UnixMillis,
}

/// Where a price comes from, so that the invoice can be derived again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RatedBy {
    pub(super) plugin: String,
    /// SHA-256 of the component, in hex.
    pub(super) digest: String,
    pub(super) at: UnixMillis,
}

impl Billable {
    /// Refuses what can never become an invoice.
    pub(super) fn check(&self) -> Result<(), CollectingError> {
        check_id(&self.id)?;
        let period = self.usage.period;
        match period.start < period.end {
            true => Ok(()),
            false => Err(CollectingError::Invalid(format!(
                "its period begins {} and ends {}; write a start before the end",
                period.start, period.end
            ))),
        }
    }

    /// The invoice at a price.
    pub(super) fn priced(&self, quote: Quote) -> Invoice {
        Invoice {
            id: self.id.clone(),
            account: self.account.clone(),
            attributes: self.attributes.clone(),
            period: self.usage.period,
            lines: quote.lines,
            total: quote.total,
            due: self.due,
        }
    }
}
