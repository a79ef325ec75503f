//! A price for each operation, so many of them free, and if wanted a flat fee for the period.
//! Storage costs nothing here: for those who sell requests and not space.

mod plan;

use holdfast_plugin::money::{amount, price_text};
use holdfast_plugin::pricing::{
    Line, Measure, Metadata, Money, Pricing, Quote, RatingError, Usage,
};
use plan::{Plan, Price};

struct PerOperation {
    plan: Plan,
}

impl Pricing for PerOperation {
    fn describe() -> Metadata {
        Metadata {
            name: "pricing-per-operation".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "a price per pin, replacement and removal, and a flat fee".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let plan = Plan::parse(settings)?;
        Ok(Self { plan })
    }

    fn rate(&self, usage: Usage) -> Result<Quote, RatingError> {
        let mut lines = Vec::new();
        lines.extend(self.fee()?);
        for (item, measure, price) in [
            ("pin requests", Measure::Pin, &self.plan.pin),
            ("replacements", Measure::Replace, &self.plan.replace),
            ("removals", Measure::Unpin, &self.plan.unpin),
        ] {
            if let Some(count @ 1..) = usage.quantity(&measure)? {
                lines.push(self.operations(item, count, price)?);
            }
        }
        Quote::of(&self.plan.currency, lines)
    }
}

impl PerOperation {
    fn fee(&self) -> Result<Option<Line>, RatingError> {
        let fee = self.plan.fee_micros;
        if fee == 0 {
            return Ok(None);
        }
        let micros =
            i64::try_from(fee).map_err(|_| RatingError::Overflow("the fee does not fit".into()))?;
        let line = Line::charge("flat fee", self.money(micros))
            .because("for the period, whatever was used")
            .of(1, "period");
        Ok(Some(line))
    }

    fn operations(&self, item: &str, count: u128, price: &Price) -> Result<Line, RatingError> {
        let free = count.min(price.free.into());
        let charged = count.saturating_sub(free);
        let micros = amount(charged, price.price_micros, price.per.into()).ok_or_else(|| {
            RatingError::Overflow(format!("{item}: the price of {charged} does not fit"))
        })?;
        let text = price_text(price.price_micros, &self.plan.currency);
        let at = match price.per {
            1 => format!("{charged} at {text} each"),
            per => format!("{charged} at {text} for each {per}, rounded once, half away from zero"),
        };
        let explanation = match price.free {
            0 => at,
            allowed => format!("{count}, of which {free} of {allowed} cost nothing; {at}"),
        };
        Ok(Line::charge(item, self.money(micros))
            .because(explanation)
            .of(count, "operation"))
    }

    fn money(&self, micros: i64) -> Money {
        Money::new(micros, &self.plan.currency)
    }
}

holdfast_plugin::export_pricing!(PerOperation);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::usage;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::pricing::<PerOperation>(vectors).unwrap() >= 8);
    }

    #[test]
    fn what_is_free_is_counted_and_costs_nothing() {
        let settings = r#"{"pin": {"free": 10, "price_micros": 4000, "per": 1000}}"#;
        let plugin = PerOperation::init(settings).unwrap();
        for (count, micros) in [(1, 0), (10, 0), (11, 4), (1_010, 4_000), (1_135, 4_500)] {
            let quote = plugin.rate(usage(&[], &[(Measure::Pin, count)])).unwrap();
            assert_eq!(quote.total.micros, micros, "{count}");
            assert_eq!(u128::from(quote.lines[0].quantity), count);
        }
    }
}
