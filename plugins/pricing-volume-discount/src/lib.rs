//! One price for storage, a discount on all of it that grows with the volume, and promo codes.
//!
//! A discount belongs to the whole storage charge, not to what lies above its bound (for that there
//! is `pricing-tiered`). Promo codes come after it, in the order in which the tenant's attribute
//! has them, each off what is left to pay: so the total is never below nothing. A code that gives
//! nothing (unknown, out of its time, there twice) has its line all the same, which says why.

mod discount;
mod plan;
mod promo;

use discount::{Bill, amount_line};
use holdfast_plugin::money::price_text;
use holdfast_plugin::pricing::{Measure, Metadata, Pricing, Quote, RatingError, Usage};
use plan::Plan;

struct VolumeDiscount {
    plan: Plan,
}

impl Pricing for VolumeDiscount {
    fn describe() -> Metadata {
        Metadata {
            name: "pricing-volume-discount".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "one price for storage, discounts by volume, promo codes".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let plan = Plan::parse(settings)?;
        Ok(Self { plan })
    }

    fn rate(&self, usage: Usage) -> Result<Quote, RatingError> {
        let mut bill = Bill::new(&self.plan.currency);
        self.storage(&mut bill, usage.quantity(&Measure::Storage)?.unwrap_or(0))?;
        let prices = self.plan.operations;
        for (item, measure, price) in [
            ("pin requests", Measure::Pin, prices.pin_micros),
            ("replacements", Measure::Replace, prices.replace_micros),
            ("removals", Measure::Unpin, prices.unpin_micros),
        ] {
            if let Some(count @ 1..) = usage.quantity(&measure)? {
                let each = price_text(price, &self.plan.currency);
                let line = amount_line(item, (count, price, 1), &self.plan.currency)?;
                let line = line.because(format!("{count} at {each} each"));
                bill.charge(line.of(count, "operation"))?;
            }
        }
        promo::apply(&self.plan, &usage, &mut bill)?;
        bill.into_quote()
    }
}

impl VolumeDiscount {
    fn storage(&self, bill: &mut Bill, byte_seconds: u128) -> Result<(), RatingError> {
        if byte_seconds == 0 {
            return Ok(());
        }
        let plan = &self.plan;
        let per = plan.gigabyte.month();
        let line = amount_line(
            "storage",
            (byte_seconds, plan.price_micros, per),
            &plan.currency,
        )?;
        let micros = line.amount.micros;
        bill.charge(
            line.because(format!(
                "{} ({byte_seconds} byte-seconds) at {} per {}-month of 30 days, rounded once, half \
                 away from zero",
                plan.gigabyte.text(byte_seconds),
                price_text(plan.price_micros, &plan.currency),
                plan.gigabyte.name(),
            ))
            .of(byte_seconds, "byte-second"),
        )?;
        let Some(reached) = plan.discount(byte_seconds) else {
            return Ok(());
        };
        let why = format!(
            "from {} {}-months on",
            reached.from_gb_months,
            plan.gigabyte.name()
        );
        bill.percentage(
            "volume discount",
            micros,
            (reached.basis_points, None),
            &why,
        )
    }
}

holdfast_plugin::export_pricing!(VolumeDiscount);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::usage;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::pricing::<VolumeDiscount>(vectors).unwrap() >= 8);
    }

    #[test]
    fn whatever_the_codes_the_total_is_never_below_nothing() {
        let settings = r#"{"price_micros": 3, "discounts": [{"from_gb_months": 1, "basis_points": 10000}],
            "promo_codes": {"A": {"amount_micros": 5}, "B": {"basis_points": 10000}, "C": {"amount_micros": 1}}}"#;
        let plugin = VolumeDiscount::init(settings).unwrap();
        let month = 2_592_000_000_000_000_u128;
        for byte_seconds in [1, month / 6, month - 1, month, 3 * month] {
            let meters = [(Measure::Storage, byte_seconds), (Measure::Pin, 3)];
            let quote = plugin
                .rate(usage(&[("promo_codes", "C,A,B,A")], &meters))
                .unwrap();
            assert!(quote.total.micros >= 0, "{quote:?}");
            let sum: i64 = quote.lines.iter().map(|line| line.amount.micros).sum();
            assert_eq!(sum, quote.total.micros);
        }
    }
}
