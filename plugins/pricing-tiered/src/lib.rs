//! Storage per gigabyte-month in graduated tiers, a price per operation, and a free allowance.
//!
//! A month is 30 days of seconds, a gigabyte 10^9 bytes (or 2^30, by setting). The allowance comes
//! off first; the rest fills the tiers from the first on, and the unit at a tier's bound still
//! belongs to it. Allowance and tiers count within the quoted period.

mod plan;
mod rate;

use holdfast_plugin::pricing::{
    Line, LineKind, Measure, Metadata, Money, Pricing, Quote, RatingError, Usage,
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

fn quantities(usage: &Usage) -> Result<Quantities, RatingError> {
    let mut quantities = Quantities::default();
    for meter in &usage.meters {
        let quantity = u128::from(meter.quantity);
        let place = match &meter.measure {
            Measure::Storage => &mut quantities.byte_seconds,
            Measure::Pin => &mut quantities.pin,
            Measure::Replace => &mut quantities.replace,
            Measure::Unpin => &mut quantities.unpin,
            // What this plan has no price for is free.
            Measure::Other(_) => continue,
        };
        if place.replace(quantity).is_some() {
            return Err(RatingError::InvalidUsage(format!(
                "{:?} is there twice",
                meter.measure
            )));
        }
    }
    Ok(quantities)
}

impl RatedLine {
    fn into_wit(self, currency: &str) -> Line {
        Line {
            kind: LineKind::Charge,
            item: self.item,
            explanation: self.explanation,
            quantity: self.quantity.into(),
            unit: self.unit.into(),
            amount: Money {
                micros: self.micros,
                currency: currency.into(),
            },
        }
    }
}

holdfast_plugin::export_pricing!(Tiered);
