//! Money: whole millionths of a currency's unit, rounded once.

pub use crate::bindings::shared::holdfast::plugin::types::{Money, U128};
use std::fmt;

/// Millionths of a unit.
pub const MICROS_PER_UNIT: u64 = 1_000_000;

impl Money {
    /// An amount.
    #[must_use]
    pub fn new(micros: i64, currency: &str) -> Self {
        Self {
            micros,
            currency: currency.into(),
        }
    }
}

/// `-0.000007 EUR`: all six digits, so that nothing is rounded in the reading.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let micros = self.micros.unsigned_abs();
        write!(
            f,
            "{sign}{}.{:06} {}",
            micros / MICROS_PER_UNIT,
            micros % MICROS_PER_UNIT,
            self.currency
        )
    }
}

/// A price that settings wrote, as people read it: [`Money`] with no sign and the whole range.
#[must_use]
pub fn price_text(micros: u64, currency: &str) -> String {
    format!(
        "{}.{:06} {currency}",
        micros / MICROS_PER_UNIT,
        micros % MICROS_PER_UNIT
    )
}

/// `quantity * price / per`, rounded once, half away from zero; `None` if it does not fit, or if
/// `per` is nought.
///
/// The whole multiples of `per` are taken apart first, which changes nothing in the result and
/// keeps every product within 128 bits as long as `per` is below 2^64.
#[must_use]
pub fn amount(quantity: u128, price: u64, per: u128) -> Option<i64> {
    let price = u128::from(price);
    let whole = quantity.checked_div(per)?.checked_mul(price)?;
    let product = quantity.checked_rem(per)?.checked_mul(price)?;
    let rest = product.checked_div(per)?;
    let remainder = product.checked_rem(per)?;
    let rounded = u128::from(remainder >= per.div_ceil(2));
    let sum = whole.checked_add(rest)?.checked_add(rounded)?;
    i64::try_from(sum).ok()
}

/// Whether a text is a currency's code: three capital letters.
///
/// # Errors
/// What to write, for the operator.
pub fn check_currency(key: &str, code: &str) -> Result<(), String> {
    match code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        true => Ok(()),
        false => Err(format!(
            "{key}: {code:?} is no currency; write a code such as EUR"
        )),
    }
}

impl From<U128> for u128 {
    fn from(number: U128) -> Self {
        Self::from(number.high) << 64 | Self::from(number.low)
    }
}

impl From<u128> for U128 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are what is meant"
    )]
    fn from(number: u128) -> Self {
        Self {
            high: (number >> 64) as u64,
            low: number as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (1, 1, 0, None),
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
        let per = 1_000_000_000 * 30 * 86_400;
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
    fn money_is_read_with_all_its_digits() {
        assert_eq!(Money::new(-7, "EUR").to_string(), "-0.000007 EUR");
        assert_eq!(
            Money::new(i64::MIN, "USD").to_string(),
            "-9223372036854.775808 USD"
        );
        assert_eq!(price_text(u64::MAX, "EUR"), "18446744073709.551615 EUR");
    }

    #[test]
    fn a_number_is_its_two_halves() {
        for number in [0, 1, u128::from(u64::MAX), u128::MAX, 1 << 64] {
            assert_eq!(u128::from(U128::from(number)), number);
        }
    }
}
