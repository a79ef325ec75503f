//! Asking the plugins in the arena, by the door that everybody uses.

use super::case::Target;
use super::questions;
use crate::call::Verdict;
use crate::job::Snapshot;
use crate::plugins::Plugins;

/// What the well-behaved pricing plugin asks for, in millionths of a euro.
pub(super) const FAIR_PRICE: i64 = 7;

/// Asks a kind's question; of payment plugins, the one with this name. The error is what the caller
/// gets, or how the answer is not the fair one.
pub(super) fn ask(plugins: &Plugins, target: Target, name: &str) -> Result<(), String> {
    match target {
        Target::Authorizer => questions::authorizer(|call| {
            match plugins.authorize(call).map_err(|e| e.to_string())? {
                Verdict::Allow => Ok(()),
                Verdict::Deny { message, .. } => Err(format!("no: {message}")),
            }
        }),
        Target::Pricing => questions::pricing(|call| {
            match plugins.quote(call).map_err(|e| e.to_string())?.total.micros {
                FAIR_PRICE => Ok(()),
                micros => Err(format!("the price is {micros}")),
            }
        }),
        Target::Payment => {
            let (invoice, progress) = questions::payment()?;
            let step = plugins.collect_blocking(name, &invoice, &progress);
            step.map(drop).map_err(|e| e.to_string())
        }
        Target::Config => configure(plugins),
    }
}

fn configure(plugins: &Plugins) -> Result<(), String> {
    let current = Snapshot::default();
    let supplied = plugins.supply(&current).map(drop);
    let checked = supplied.and_then(|()| plugins.check_configuration(&current, None));
    checked.map(drop).map_err(|e| e.to_string())
}
