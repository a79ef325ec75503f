//! The arithmetic: whole numbers, one division and one rounding per line.

use crate::plan::{Plan, Tier};

const MICROS_PER_UNIT: u64 = 1_000_000;

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
        explanation: format!("{count} at {} each", money(price, &plan.currency)),
        quantity: count,
        unit: "operation",
        micros: amount.ok_or_else(|| format!("{item}: the price of {count} does not fit"))?,
    })
}

fn storage(plan: &Plan, byte_seconds: u128) -> Result<Vec<RatedLine>, String> {
    let mut lines = Vec::new();
    let free = bound(plan, plan.free_gb_months).min(byte_seconds);
    if free > 0 {
        lines.push(RatedLine {
            item: "storage, included".into(),
            explanation: format!(
                "{} of the {} {}-months that cost nothing",
                gb_months(plan, free),
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
        let end = tier.up_to_gb_months.map_or(u128::MAX, |to| bound(plan, to));
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
    let micros = amount(quantity, tier.price_micros, plan.gb_month()).ok_or_else(|| {
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
            gb_months(plan, quantity),
            money(tier.price_micros, &plan.currency),
            plan.gigabyte.name(),
        ),
        quantity,
        unit: "byte-second",
        micros,
    })
}

/// So many gigabyte-months in byte-seconds: below 2^116, so it cannot overflow.
fn bound(plan: &Plan, gb_months: u64) -> u128 {
    u128::from(gb_months).saturating_mul(plan.gb_month())
}

/// `quantity * price / per`, rounded once, half away from zero; `None` if it does not fit.
///
/// The whole multiples of `per` are taken apart first, which changes nothing in the result and
/// keeps every product within 128 bits: the remainder is below `per`, which is below 2^52.
fn amount(quantity: u128, price: u64, per: u128) -> Option<i64> {
    let price = u128::from(price);
    let whole = quantity.checked_div(per)?.checked_mul(price)?;
    let product = quantity.checked_rem(per)?.checked_mul(price)?;
    let rest = product.checked_div(per)?;
    let remainder = product.checked_rem(per)?;
    let rounded = u128::from(remainder >= per.div_ceil(2));
    let sum = whole.checked_add(rest)?.checked_add(rounded)?;
    i64::try_from(sum).ok()
}

/// `12.345678 GB-months`, cut after six digits: it is for reading, the exact number stands beside.
fn gb_months(plan: &Plan, byte_seconds: u128) -> String {
    let per = plan.gb_month();
    let millionths = (byte_seconds % per) * u128::from(MICROS_PER_UNIT) / per;
    format!(
        "{}.{millionths:06} {}-months",
        byte_seconds / per,
        plan.gigabyte.name()
    )
}

fn money(micros: u64, currency: &str) -> String {
    format!(
        "{}.{:06} {currency}",
        micros / MICROS_PER_UNIT,
        micros % MICROS_PER_UNIT
    )
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
        let month = plan().gb_month();
        assert_eq!(micros_of(0), [0_i64; 0]);
        assert_eq!(micros_of(2 * month), [0]);
        assert_eq!(micros_of(3 * month), [0, 1_000]);
        assert_eq!(micros_of(12 * month), [0, 10_000]);
        assert_eq!(micros_of(12 * month + 1), [0, 10_000, 0]);
        assert_eq!(micros_of(14 * month), [0, 10_000, 1_000]);
    }

    #[test]
    fn amounts_round_once_half_away_from_zero() {
        for (quantity, price, per, expected) in [
            (0, 5, 10, Some(0)),
            (1, 4, 10, Some(0)),
            (1, 5, 10, Some(1)),
            (3, 5, 10, Some(2)),
            (1, 1, 3, Some(0)),
            (2, 1, 3, Some(1)),
            (1, 3, 5, Some(1)),
            (1, 2, 5, Some(0)),
            (10, 1, 3, Some(3)),
        ] {
            assert_eq!(
                amount(quantity, price, per),
                expected,
                "{quantity}*{price}/{per}"
            );
        }
    }

    #[test]
    fn huge_quantities_are_exact_or_refused() {
        let per = plan().gb_month();
        // A pebibyte for a year at 0.015 a gigabyte-month, checked by hand with big integers.
        let pebibyte_year = (1_u128 << 50) * 365 * 86_400;
        assert_eq!(amount(pebibyte_year, 15_000, per), Some(205_476_732_999));
        assert_eq!(amount(u128::MAX, 1, per), None);
        assert_eq!(amount(u128::MAX, u64::MAX, per), None);
        let most = u128::try_from(i64::MAX).unwrap() * per;
        assert_eq!(amount(most, 1, per), Some(i64::MAX));
        assert_eq!(amount(most + per / 2 - 1, 1, per), Some(i64::MAX));
        assert_eq!(amount(most + per / 2, 1, per), None);
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
            byte_seconds: Some(plan().gb_month() * 5 / 2),
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
