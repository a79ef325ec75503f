//! A price for storage by the gigabyte-month, and one for each new pin.

use holdfast_plugin::pricing::{
    Line, LineKind, Measure, Metadata, Money, Pricing, Quote, RatingError, Usage,
};
use serde::Deserialize;

/// Bytes of a gigabyte times seconds of a month of 30 days.
const GB_MONTH: u128 = 1_000_000_000 * 30 * 24 * 60 * 60;

/// What the operator writes under `[settings]`, in millionths of the currency's unit.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Prices {
    currency: String,
    gb_month_micros: u64,
    pin_micros: u64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            currency: "EUR".into(),
            gb_month_micros: 20_000,
            pin_micros: 100,
        }
    }
}

impl Pricing for Prices {
    fn describe() -> Metadata {
        Metadata {
            name: "plugin-name".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "a price per gigabyte-month and per pin".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let prices: Self = serde_json::from_str(settings).map_err(|e| {
            format!("{e}; write currency, gb_month_micros and pin_micros under [settings]")
        })?;
        let capitals = prices.currency.bytes().all(|b| b.is_ascii_uppercase());
        if prices.currency.len() != 3 || !capitals {
            return Err("currency: write three capital letters, such as EUR".into());
        }
        Ok(prices)
    }

    fn rate(&self, usage: Usage) -> Result<Quote, RatingError> {
        let mut lines = Vec::new();
        for meter in usage.meters {
            let quantity = u128::from(meter.quantity);
            let (item, unit, price, per) = match meter.measure {
                Measure::Storage => ("storage", "byte-second", self.gb_month_micros, GB_MONTH),
                Measure::Pin => ("pins", "operation", self.pin_micros, 1),
                // What has no price here is free.
                Measure::Replace | Measure::Unpin | Measure::Other(_) => continue,
            };
            let micros = cost(quantity, price, per)
                .ok_or_else(|| RatingError::Overflow(format!("{item}: the amount does not fit")))?;
            lines.push(Line {
                kind: LineKind::Charge,
                item: item.into(),
                explanation: format!("{quantity} {unit}s at {price} micros per {per}, rounded up"),
                quantity: quantity.into(),
                unit: unit.into(),
                amount: Money {
                    micros,
                    currency: self.currency.clone(),
                },
            });
        }
        Quote::of(&self.currency, lines)
    }
}

/// Rounded up, in whole numbers: prices are money, and floats are not.
fn cost(quantity: u128, price: u64, per: u128) -> Option<i64> {
    let micros = quantity.checked_mul(price.into())?.div_ceil(per);
    i64::try_from(micros).ok()
}

holdfast_plugin::export_pricing!(Prices);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::pricing::<Prices>(vectors).is_ok());
    }

    #[test]
    fn a_part_of_a_price_is_rounded_up() {
        assert_eq!(cost(GB_MONTH, 20_000, GB_MONTH), Some(20_000));
        assert_eq!(cost(1, 20_000, GB_MONTH), Some(1));
        assert_eq!(cost(0, 20_000, GB_MONTH), Some(0));
        assert_eq!(cost(u128::MAX, 20_000, GB_MONTH), None);
    }

    #[test]
    fn wrong_settings_are_named() {
        assert!(Prices::init("{}").is_ok());
        let refused = Prices::init(r#"{"pin": 1}"#).map(drop);
        assert!(refused.is_err_and(|why| why.contains("pin")));
        let refused = Prices::init(r#"{"currency": "euro"}"#).map(drop);
        assert!(refused.is_err_and(|why| why.contains("currency")));
    }
}
