//! What an account's usage costs.

use crate::app::App;
use crate::billing::BillingError;
use crate::billing::meter::{Metered, measure};
use crate::billing::rate::rate;
use holdfast_model::Period;
use holdfast_model::action::ReadQuote;
use holdfast_policy::Permit;
use holdfast_runtime::Quote;

/// Rates an account's usage in a period by the live pricing component. There is no price without
/// one, and none is made up when it fails.
///
/// # Errors
/// A period that has not begun, no pricing component, one that fails, or the store fails.
pub async fn quote(
    app: &App,
    permit: &Permit<ReadQuote>,
    period: Period,
) -> Result<(Metered, Quote), BillingError> {
    let account = permit.on().clone();
    let metered = measure(app, &account, period).await?;
    let tenant = app.store.tenant(account.tenant()).await?;
    let attributes = tenant.map(|tenant| tenant.attributes).unwrap_or_default();
    let plugins = app.plugins.clone();
    let quote = rate(plugins, &app.aside, account, attributes, metered.usage).await?;
    Ok((metered, quote))
}
