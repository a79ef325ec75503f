//! Asking what usage costs, for quotes and for invoices.

use crate::aside::Aside;
use crate::billing::BillingError;
use holdfast_model::{AccountId, Usage};
use holdfast_runtime::{Plugins, Quote, QuoteCall};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Has the live pricing component rate an account's usage. There is no price without one, and none
/// is made up when it fails.
pub(super) async fn rate(
    plugins: Arc<Plugins>,
    aside: &Aside,
    account: AccountId,
    attributes: BTreeMap<String, String>,
    usage: Usage,
) -> Result<Quote, BillingError> {
    // A pricing component may take hundreds of milliseconds: not on a thread that serves calls.
    let rated = aside.run(move || {
        plugins.quote(&QuoteCall {
            account: &account,
            tenant: account.tenant(),
            attributes: &attributes,
            usage: &usage,
        })
    });
    let quote = rated
        .await
        .map_err(|e| BillingError::Died(e.to_string()))??;
    Ok(quote)
}
