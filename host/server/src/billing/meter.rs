//! What an account used.

use crate::app::App;
use crate::billing::BillingError;
use holdfast_model::action::ReadUsage;
use holdfast_model::{AccountId, Invalid, Period, Usage};
use holdfast_policy::Permit;

/// What was used in the part of a period that has passed.
#[derive(Debug, Clone)]
pub struct Metered {
    /// What was asked for.
    pub period: Period,
    /// What was used. Its own period ends now if the asked one is not over: nothing is charged
    /// ahead.
    pub usage: Usage,
}

/// What an account used in a period, exactly.
///
/// # Errors
/// A period that has not begun, or the store fails.
pub async fn usage(
    app: &App,
    permit: &Permit<ReadUsage>,
    period: Period,
) -> Result<Metered, BillingError> {
    measure(app, permit.on(), period).await
}

pub(super) async fn measure(
    app: &App,
    account: &AccountId,
    period: Period,
) -> Result<Metered, BillingError> {
    let now = app.clock.now();
    if period.start > now {
        let why = format!("begins {}, which is yet to come", period.start);
        return Err(Invalid::new("period", why).into());
    }
    let passed = Period {
        end: period.end.min(now),
        ..period
    };
    let usage = app.store.usage(account, passed).await?;
    Ok(Metered { period, usage })
}
