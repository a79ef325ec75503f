//! The price plan, as settings write it.

use holdfast_plugin::money::check_currency;
use holdfast_plugin::settings;
use holdfast_plugin::storage::Gigabyte;
use serde::Deserialize;

/// Tiers of one plan: each may make a line, and a quote has room for a thousand.
const TIERS_MAX: usize = 100;

/// Prices, in millionths of the currency's unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// Three capital letters.
    pub(crate) currency: String,
    /// What a gigabyte is.
    pub(crate) gigabyte: Gigabyte,
    /// Gigabyte-months that cost nothing.
    pub(crate) free_gb_months: u64,
    /// From the cheapest to reach to the last, which alone has no bound.
    pub(crate) tiers: Vec<Tier>,
    /// Prices per operation.
    pub(crate) operations: OperationPrices,
}

/// One tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tier {
    /// Where it ends, counted from nought and beyond the allowance; `None` never.
    #[serde(default)]
    pub(crate) up_to_gb_months: Option<u64>,
    /// The price of a gigabyte-month.
    pub(crate) price_micros: u64,
}

/// Prices per operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OperationPrices {
    /// Of a pin request.
    pub(crate) pin_micros: u64,
    /// Of a replacement.
    pub(crate) replace_micros: u64,
    /// Of giving up.
    pub(crate) unpin_micros: u64,
}

impl Plan {
    /// Reads settings; what they leave out is as in the default plan.
    pub(crate) fn parse(settings: &str) -> Result<Self, String> {
        let plan: Self = settings::parse(settings)?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        check_currency("currency", &self.currency)?;
        if self.tiers.is_empty() || self.tiers.len() > TIERS_MAX {
            return Err(format!("tiers: write 1 to {TIERS_MAX} of them"));
        }
        let mut reached = 0;
        for (index, tier) in self.tiers.iter().enumerate() {
            let is_last = index + 1 == self.tiers.len();
            match tier.up_to_gb_months {
                None if is_last => {}
                None => {
                    return Err(format!(
                        "tiers[{index}]: only the last has no up_to_gb_months"
                    ));
                }
                Some(_) if is_last => {
                    return Err(format!(
                        "tiers[{index}]: the last must have no up_to_gb_months, or storage beyond it had no price"
                    ));
                }
                Some(bound) if bound <= reached => {
                    return Err(format!(
                        "tiers[{index}].up_to_gb_months: {bound} is not above {reached}, where the tier before ends"
                    ));
                }
                Some(bound) => reached = bound,
            }
        }
        Ok(())
    }
}

impl Default for Plan {
    fn default() -> Self {
        let tier = |up_to_gb_months, price_micros| Tier {
            up_to_gb_months,
            price_micros,
        };
        Self {
            currency: "EUR".into(),
            gigabyte: Gigabyte::Decimal,
            free_gb_months: 1,
            tiers: vec![
                tier(Some(1_000), 20_000),
                tier(Some(50_000), 15_000),
                tier(None, 10_000),
            ],
            operations: OperationPrices {
                pin_micros: 100,
                replace_micros: 100,
                unpin_micros: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_in_the_default_plan() {
        assert_eq!(Plan::parse("{}").unwrap(), Plan::default());
        let plan = Plan::parse(r#"{"currency": "USD", "gigabyte": "GiB"}"#).unwrap();
        assert_eq!(plan.gigabyte, Gigabyte::Binary);
        assert_eq!(plan.tiers, Plan::default().tiers);
    }

    #[test]
    fn wrong_settings_are_named() {
        for (settings, named) in [
            (r#"{"price": 1}"#, "price"),
            (r#"{"currency": "euro"}"#, "currency"),
            (r#"{"gigabyte": "TB"}"#, "TB"),
            (r#"{"free_gb_months": -1}"#, "settings"),
            (r#"{"tiers": []}"#, "tiers"),
            (
                r#"{"tiers": [{"price_micros": 1}, {"price_micros": 1}]}"#,
                "tiers[0]",
            ),
            (
                r#"{"tiers": [{"price_micros": 1, "up_to_gb_months": 5}]}"#,
                "tiers[0]",
            ),
            (
                r#"{"tiers": [{"price_micros": 1, "up_to_gb_months": 5},
                    {"price_micros": 1, "up_to_gb_months": 5}, {"price_micros": 1}]}"#,
                "tiers[1].up_to_gb_months",
            ),
        ] {
            let refused = Plan::parse(settings).unwrap_err();
            assert!(refused.contains(named), "{settings}: {refused}");
        }
    }
}
