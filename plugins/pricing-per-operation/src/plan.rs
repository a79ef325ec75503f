//! The price plan, as settings write it.

use holdfast_plugin::money::check_currency;
use holdfast_plugin::settings;
use serde::Deserialize;

/// Prices, in millionths of the currency's unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// Three capital letters.
    pub(crate) currency: String,
    /// What the period costs before anything is done.
    pub(crate) fee_micros: u64,
    /// Of pin requests.
    pub(crate) pin: Price,
    /// Of replacements.
    pub(crate) replace: Price,
    /// Of giving up.
    pub(crate) unpin: Price,
}

/// The price of one kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Price {
    /// So many in the period cost nothing.
    pub(crate) free: u64,
    /// What `per` of them cost.
    pub(crate) price_micros: u64,
    /// How many the price is for.
    pub(crate) per: u64,
}

impl Plan {
    /// Reads settings; what they leave out costs nothing.
    pub(crate) fn parse(settings: &str) -> Result<Self, String> {
        let plan: Self = settings::parse(settings)?;
        check_currency("currency", &plan.currency)?;
        for (name, price) in [
            ("pin", plan.pin),
            ("replace", plan.replace),
            ("unpin", plan.unpin),
        ] {
            if price.per == 0 {
                return Err(format!(
                    "{name}.per: write how many the price is for, 1 or more"
                ));
            }
        }
        Ok(plan)
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            currency: "EUR".into(),
            fee_micros: 0,
            pin: Price::default(),
            replace: Price::default(),
            unpin: Price::default(),
        }
    }
}

impl Default for Price {
    fn default() -> Self {
        Self {
            free: 0,
            price_micros: 0,
            per: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        for (settings, named) in [
            (r#"{"currency": "eur"}"#, "currency"),
            (r#"{"pin": {"per": 0}}"#, "pin.per"),
            (r#"{"pin": {"price": 1}}"#, "price"),
            (r#"{"pins": {}}"#, "pins"),
            (r#"{"fee_micros": -1}"#, "settings"),
            ("[]", "settings"),
        ] {
            let refused = Plan::parse(settings).unwrap_err();
            assert!(refused.contains(named), "{settings}: {refused}");
        }
        assert_eq!(Plan::parse("{}").unwrap(), Plan::default());
    }
}
