//! Promo codes: which a tenant has, and what each gives.

use crate::discount::Bill;
use crate::plan::{Plan, PromoCode, is_code};
use holdfast_plugin::date::Date;
use holdfast_plugin::money::price_text;
use holdfast_plugin::pricing::{RatingError, Usage};
use std::collections::BTreeSet;

/// Codes of one tenant: each makes a line.
const CODES_PER_TENANT_MAX: usize = 16;

/// Takes off what the tenant's codes give.
pub(crate) fn apply(plan: &Plan, usage: &Usage, bill: &mut Bill) -> Result<(), RatingError> {
    let attribute = &plan.promo_attribute;
    let Some(text) = usage.attribute(attribute) else {
        return Ok(());
    };
    let names: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if names.len() > CODES_PER_TENANT_MAX {
        return Err(RatingError::InvalidUsage(format!(
            "the attribute {attribute} has {} codes, and {CODES_PER_TENANT_MAX} are taken",
            names.len()
        )));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        if !is_code(name) {
            let shown: String = name
                .chars()
                .take(32)
                .flat_map(char::escape_default)
                .collect();
            return Err(RatingError::InvalidUsage(format!(
                "the attribute {attribute} has {shown:?}, which is no code; write codes with commas \
                 between"
            )));
        }
        let item = format!("promo code {name}");
        let refused = match plan.promo_codes.get(name) {
            _ if !seen.insert(name) => Err("it is there twice and counts once".to_owned()),
            None => Err("it is not known".to_owned()),
            Some(code) => holds(code, usage).map(|()| code),
        };
        match refused {
            Ok(code) => give(plan, &item, code, bill)?,
            Err(why) => bill.credit(&item, 0, format!("nothing: {why}"))?,
        }
    }
    Ok(())
}

fn give(plan: &Plan, item: &str, code: &PromoCode, bill: &mut Bill) -> Result<(), RatingError> {
    if let Some(share) = code.basis_points {
        let left = bill.left();
        return bill.percentage(
            item,
            left,
            (share, code.cap_micros),
            "of what is left to pay",
        );
    }
    let amount = code.amount_micros.unwrap_or_default();
    let capped = code.cap_micros.map_or(amount, |cap| amount.min(cap));
    bill.credit(
        item,
        capped,
        format!("{} off", price_text(capped, &plan.currency)),
    )
}

/// Whether a code holds for the period, which it does if it holds on the day when the period
/// begins.
fn holds(code: &PromoCode, usage: &Usage) -> Result<(), String> {
    let begin = Date::of_millis(usage.period.start);
    match code.days()? {
        (Some(from), _) if begin < from => Err(format!(
            "it holds for periods that begin on {from} or later, and this one begins on {begin}"
        )),
        (_, Some(until)) if begin >= until => Err(format!(
            "it holds for periods that begin before {until}, and this one begins on {begin}"
        )),
        _ => Ok(()),
    }
}
