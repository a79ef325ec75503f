//! The arithmetic: whole numbers, one division and one rounding per line.

use crate::plan::{Plan, Tier};
use holdfast_plugin::money::{amount, price_text};

/// What was used; `None` was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Quantities {
    /// Storage.
    pub(crate) byte_seconds: Option<u128>,
    /// Pin requests made.
    pub(crate) pin: Option<u128>,
    /// Pin requests replaced.
    pub(crate) replace: Option<u128>,
    /// Pin requests given up.
    pub(crate) unpin: Option<u128>,
}

/// A line, not yet in the plugin's types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RatedLine {
    /// What it is for.
    pub(crate) item: String,
    /// How it came about.
    pub(crate) explanation: String,
    /// How much of `unit`.
    pub(crate) quantity: u128,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What it costs.
    pub(crate) micros: i64,
}

/// Prices what was used. The error says which amount does not fit.
pub(crate) fn rate(plan: &Plan, used: &Quantities) -> Result<Vec<RatedLine>, String> {
    let mut lines = storage(plan, used.byte_seconds.unwrap_or(0))?;
    let prices = plan.operations;
    for (item, count, price) in [
        ("pin requests", used.pin, prices.pin_micros),
        ("replacements", used.replace, prices.replace_micros),
        ("removals", used.unpin, prices.unpin_micros),
    ] {
        if let Some(count @ 1..) = count {
            lines.push(operations(plan, item, count, price)?);
        }
    }
    Ok(lines)
}

fn operations(plan: &Plan, item: &str, count: u128, price: u64) -> Result<RatedLine, String> {
    let amount = count
        .checked_mul(price.into())
        .and_then(|micros| i64::try_from(micros).ok());
    Ok(RatedLine {
        item: item.into(),
        explanation: format!("{count} at {} each", price_text(price, &plan.currency)),
        quantity: count,
        unit: "operation",
        micros: amount.ok_or_else(|| format!("{item}: the price of {count} does not fit"))?,
    })
}

fn storage(plan: &Plan, byte_seconds: u128) -> Result<Vec<RatedLine>, String> {
    let mut lines = Vec::new();
    let free = plan.gigabyte.months(plan.free_gb_months).min(byte_seconds);
    if free > 0 {
        lines.push(RatedLine {
            item: "storage, included".into(),
            explanation: format!(
                "{} of the {} {}-months that cost nothing",
                plan.gigabyte.text(free),
                plan.free_gb_months,
                plan.gigabyte.name()
            ),
            quantity: free,
            unit: "byte-second",
            micros: 0,
        });
    }
    let charged = byte_seconds.saturating_sub(free);
    let mut from = 0;
    for (tier, number) in plan.tiers.iter().zip(1..) {
        let end = tier
            .up_to_gb_months
            .map_or(u128::MAX, |to| plan.gigabyte.months(to));
        let within = charged.min(end).saturating_sub(from);
        if within == 0 {
            break;
        }
        lines.push(tier_line(plan, tier, number, within)?);
        from = end;
    }
    Ok(lines)
}

fn tier_line(plan: &Plan, tier: &Tier, number: u32, quantity: u128) -> Result<RatedLine, String> {
    let micros = amount(quantity, tier.price_micros, plan.gigabyte.month()).ok_or_else(|| {
        format!("storage tier {number}: the price of {quantity} byte-seconds does not fit")
    })?;
    let reach = match tier.up_to_gb_months {
        Some(to) => format!("up to {to} {}-months", plan.gigabyte.name()),
        None => "beyond the tiers before".into(),
    };
    Ok(RatedLine {
        item: format!("storage, tier {number}"),
        explanation: format!(
            "{} ({quantity} byte-seconds) {reach}, at {} per {}-month of 30 days, rounded once, half away from zero",
            plan.gigabyte.text(quantity),
            price_text(tier.price_micros, &plan.currency),
            plan.gigabyte.name(),
        ),
        quantity,
        unit: "byte-second",
        micros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::parse(
            r#"{"currency": "EUR", "free_gb_months": 2,
                "tiers": [{"up_to_gb_months": 10, "price_micros": 1000}, {"price_micros": 500}],
                "operations": {"pin_micros": 7}}"#,
        )
        .unwrap()
    }

    fn micros_of(byte_seconds: u128) -> Vec<i64> {
        let used = Quantities {
            byte_seconds: Some(byte_seconds),
            ..Quantities::default()
        };
        let lines = rate(&plan(), &used).unwrap();
        assert_eq!(
            lines.iter().map(|line| line.quantity).sum::<u128>(),
            byte_seconds,
            "every byte-second stands on a line"
        );
        lines.iter().map(|line| line.micros).collect()
    }

    #[test]
    fn tiers_are_graduated_and_the_unit_at_a_bound_belongs_below() {
        let month = plan().gigabyte.month();
        assert_eq!(micros_of(0), [0_i64; 0]);
        assert_eq!(micros_of(2 * month), [0]);
        assert_eq!(micros_of(3 * month), [0, 1_000]);
        assert_eq!(micros_of(12 * month), [0, 10_000]);
        assert_eq!(micros_of(12 * month + 1), [0, 10_000, 0]);
        assert_eq!(micros_of(14 * month), [0, 10_000, 1_000]);
    }

    #[test]
    fn operations_have_their_price() {
        let used = Quantities {
            pin: Some(3),
            replace: Some(0),
            unpin: Some(2),
            ..Quantities::default()
        };
        let lines = rate(&plan(), &used).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].micros, lines[0].quantity), (21, 3));
        assert_eq!(lines[0].explanation, "3 at 0.000007 EUR each");
        assert_eq!((lines[1].micros, lines[1].unit), (0, "operation"));
    }

    #[test]
    fn a_tier_explains_itself() {
        let used = Quantities {
            byte_seconds: Some(plan().gigabyte.month() * 5 / 2),
            ..Quantities::default()
        };
        let lines = rate(&plan(), &used).unwrap();
        assert_eq!(
            lines[1].explanation,
            "0.500000 GB-months (1296000000000000 byte-seconds) up to 10 GB-months, at 0.001000 EUR \
             per GB-month of 30 days, rounded once, half away from zero"
        );
    }
}
