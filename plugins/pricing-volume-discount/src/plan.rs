//! The price plan, as settings write it.

use holdfast_plugin::date::Date;
use holdfast_plugin::money::check_currency;
use holdfast_plugin::settings;
use holdfast_plugin::storage::Gigabyte;
use serde::Deserialize;
use std::collections::BTreeMap;

/// All of it: basis points are hundredths of a percent.
pub(crate) const BASIS_POINTS: u64 = 10_000;

/// A quote has room for a thousand lines; more codes than this are a mistake.
const PROMO_CODES_MAX: usize = 1_000;

/// Letters of a code.
const CODE_BYTES_MAX: usize = 32;

/// Prices, in millionths of the currency's unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// Three capital letters.
    pub(crate) currency: String,
    /// What a gigabyte is.
    pub(crate) gigabyte: Gigabyte,
    /// The price of a gigabyte-month.
    pub(crate) price_micros: u64,
    /// Prices per operation.
    pub(crate) operations: OperationPrices,
    /// By volume, rising.
    pub(crate) discounts: Vec<Discount>,
    /// By name.
    pub(crate) promo_codes: BTreeMap<String, PromoCode>,
    /// The tenant's attribute that names the codes, with commas between.
    pub(crate) promo_attribute: String,
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

/// What a volume takes off the storage charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discount {
    /// The volume from which on it is given.
    pub(crate) from_gb_months: u64,
    /// Hundredths of a percent.
    pub(crate) basis_points: u64,
}

/// What a code takes off: a share or an amount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromoCode {
    /// Hundredths of a percent of what is left to pay.
    pub(crate) basis_points: Option<u64>,
    /// Or an amount.
    pub(crate) amount_micros: Option<u64>,
    /// At most so much in a period.
    pub(crate) cap_micros: Option<u64>,
    /// The first day; none: since ever.
    from: Option<String>,
    /// The first day on which it holds no more; none: for ever.
    until: Option<String>,
}

impl Plan {
    /// Reads settings.
    pub(crate) fn parse(settings: &str) -> Result<Self, String> {
        let plan: Self = settings::parse(settings)?;
        check_currency("currency", &plan.currency)?;
        let mut before = None;
        for (index, discount) in plan.discounts.iter().enumerate() {
            if before.is_some_and(|before| discount.from_gb_months <= before) {
                return Err(format!(
                    "discounts[{index}].from_gb_months: {} is not above the one before",
                    discount.from_gb_months
                ));
            }
            check_share(&format!("discounts[{index}]"), discount.basis_points)?;
            before = Some(discount.from_gb_months);
        }
        if plan.promo_codes.len() > PROMO_CODES_MAX {
            return Err(format!("promo_codes: write at most {PROMO_CODES_MAX}"));
        }
        for (name, code) in &plan.promo_codes {
            code.check(name)?;
        }
        Ok(plan)
    }

    /// The discount that a volume has reached.
    pub(crate) fn discount(&self, byte_seconds: u128) -> Option<Discount> {
        let is_reached =
            |discount: &&Discount| byte_seconds >= self.gigabyte.months(discount.from_gb_months);
        self.discounts.iter().rev().find(is_reached).copied()
    }
}

impl PromoCode {
    /// The days on which it holds: from the first, and before the second.
    pub(crate) fn days(&self) -> Result<(Option<Date>, Option<Date>), String> {
        let day = |name: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(Date::parse).transpose();
            parsed.map_err(|e| format!("{name}: {e}"))
        };
        Ok((day("from", &self.from)?, day("until", &self.until)?))
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let key = format!("promo_codes.{name}");
        if !is_code(name) {
            return Err(format!(
                "{key}: write a code as 1 to {CODE_BYTES_MAX} capital letters, digits, - and _"
            ));
        }
        match (self.basis_points, self.amount_micros) {
            (Some(share), None) => check_share(&key, share)?,
            (None, Some(1..)) => {}
            _ => {
                return Err(format!(
                    "{key}: write either basis_points or an amount_micros above 0"
                ));
            }
        }
        match self.days().map_err(|e| format!("{key}.{e}"))? {
            (Some(from), Some(until)) if until <= from => Err(format!(
                "{key}.until: {until} is not after {from}; it is the first day on which the code \
                 holds no more"
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a text can be a code's name.
pub(crate) fn is_code(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= CODE_BYTES_MAX && name.bytes().all(is_letter)
}

fn check_share(key: &str, basis_points: u64) -> Result<(), String> {
    match (1..=BASIS_POINTS).contains(&basis_points) {
        true => Ok(()),
        false => Err(format!(
            "{key}.basis_points: write 1 to {BASIS_POINTS}; they are hundredths of a percent"
        )),
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            currency: "EUR".into(),
            gigabyte: Gigabyte::Decimal,
            price_micros: 20_000,
            operations: OperationPrices::default(),
            discounts: Vec::new(),
            promo_codes: BTreeMap::new(),
            promo_attribute: "promo_codes".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        for (settings, named) in [
            (r#"{"currency": ""}"#, "currency"),
            (
                r#"{"discounts": [{"from_gb_months": 1, "basis_points": 0}]}"#,
                "discounts[0].basis",
            ),
            (
                r#"{"discounts": [{"from_gb_months": 1, "basis_points": 10001}]}"#,
                "discounts[0]",
            ),
            (
                r#"{"discounts": [{"from_gb_months": 5, "basis_points": 1},
                    {"from_gb_months": 5, "basis_points": 2}]}"#,
                "discounts[1].from_gb_months",
            ),
            (
                r#"{"promo_codes": {"welcome": {"basis_points": 1}}}"#,
                "promo_codes.welcome",
            ),
            (r#"{"promo_codes": {"A": {}}}"#, "promo_codes.A"),
            (
                r#"{"promo_codes": {"A": {"basis_points": 1, "amount_micros": 1}}}"#,
                "either",
            ),
            (
                r#"{"promo_codes": {"A": {"amount_micros": 0}}}"#,
                "promo_codes.A",
            ),
            (
                r#"{"promo_codes": {"A": {"basis_points": 1, "from": "soon"}}}"#,
                "A.from",
            ),
            (
                r#"{"promo_codes": {"A": {"basis_points": 1, "from": "2026-02-01", "until": "2026-02-01"}}}"#,
                "A.until",
            ),
            (r#"{"promo": {}}"#, "promo"),
        ] {
            let refused = Plan::parse(settings).unwrap_err();
            assert!(refused.contains(named), "{settings}: {refused}");
        }
        assert_eq!(Plan::parse("{}").unwrap(), Plan::default());
    }

    #[test]
    fn the_last_discount_that_is_reached_is_given() {
        let settings = r#"{"discounts": [{"from_gb_months": 1, "basis_points": 1},
            {"from_gb_months": 2, "basis_points": 2}]}"#;
        let plan = Plan::parse(settings).unwrap();
        let month = plan.gigabyte.month();
        let reached = |byte_seconds| plan.discount(byte_seconds).map(|found| found.basis_points);
        assert_eq!(reached(month - 1), None);
        assert_eq!(reached(month), Some(1));
        assert_eq!(reached(2 * month - 1), Some(1));
        assert_eq!(reached(u128::MAX), Some(2));
    }
}
