//! Storage per gigabyte-month in graduated tiers, a price per operation, and a free allowance.
//!
//! A month is 30 days of seconds, a gigabyte 10^9 bytes (or 2^30, by setting). The allowance comes
//! off first; the rest fills the tiers from the first on, and the unit at a tier's bound still
//! belongs to it. Allowance and tiers count within the quoted period.

mod plan;
mod rate;

use holdfast_plugin::pricing::{
    Line, Measure, Metadata, Money, Pricing, Quote, RatingError, Usage,
};
use plan::Plan;
use rate::{Quantities, RatedLine};

struct Tiered {
    plan: Plan,
}

impl Pricing for Tiered {
    fn describe() -> Metadata {
        Metadata {
            name: "pricing-tiered".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "storage per GB-month in graduated tiers, operations, free allowance"
                .into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let plan = Plan::parse(settings)?;
        Ok(Self { plan })
    }

    fn rate(&self, usage: Usage) -> Result<Quote, RatingError> {
        let quantities = quantities(&usage)?;
        let lines = rate::rate(&self.plan, &quantities)
            .map_err(RatingError::Overflow)?
            .into_iter()
            .map(|line| line.into_wit(&self.plan.currency))
            .collect();
        Quote::of(&self.plan.currency, lines)
    }
}

/// What this plan has no price for is free.
fn quantities(usage: &Usage) -> Result<Quantities, RatingError> {
    Ok(Quantities {
        byte_seconds: usage.quantity(&Measure::Storage)?,
        pin: usage.quantity(&Measure::Pin)?,
        replace: usage.quantity(&Measure::Replace)?,
        unpin: usage.quantity(&Measure::Unpin)?,
    })
}

impl RatedLine {
    fn into_wit(self, currency: &str) -> Line {
        Line::charge(self.item, Money::new(self.micros, currency))
            .because(self.explanation)
            .of(self.quantity, self.unit)
    }
}

holdfast_plugin::export_pricing!(Tiered);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::pricing::<Tiered>(vectors).unwrap() >= 8);
    }
}
