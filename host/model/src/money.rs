//! Money: whole micro-units of a currency, never a float.

use crate::error::Invalid;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Micro-units in one unit of a currency.
pub const MICROS_PER_UNIT: i64 = 1_000_000;

/// A currency by its ISO 4217 code, or a token's ticker of the same shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses three capital letters.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(code: &str) -> Result<Self, Invalid> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(Invalid::new(
                "currency",
                format!("{code:?} is no currency; write a code such as EUR or USD"),
            )),
        }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Currency {
    type Error = Invalid;

    fn try_from(code: String) -> Result<Self, Invalid> {
        Self::parse(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// An amount: micro-units with their currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Millionths of a unit; negative for a credit.
    pub micros: i64,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// Adds an amount of the same currency.
    ///
    /// Returns `None` if the currencies differ or the sum does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let micros = self.micros.checked_add(other.micros)?;
        Some(Self {
            micros,
            currency: self.currency,
        })
    }
}

impl fmt::Display for Money {
    /// `12.345678 EUR`, with all six digits: nothing is rounded for show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let micros = self.micros.unsigned_abs();
        let per_unit = MICROS_PER_UNIT.unsigned_abs();
        write!(
            f,
            "{sign}{}.{:06} {}",
            micros / per_unit,
            micros % per_unit,
            self.currency
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_print_whole() {
        let eur = Currency::parse("EUR").unwrap();
        assert_eq!(
            Money {
                micros: -1_500_000,
                currency: eur
            }
            .to_string(),
            "-1.500000 EUR"
        );
        assert_eq!(
            Money {
                micros: 7,
                currency: eur
            }
            .to_string(),
            "0.000007 EUR"
        );
        assert_eq!(
            Money {
                micros: i64::MIN,
                currency: eur
            }
            .to_string(),
            "-9223372036854.775808 EUR"
        );
    }

    #[test]
    fn sums_refuse_what_does_not_fit() {
        let eur = |micros| Money {
            micros,
            currency: Currency::parse("EUR").unwrap(),
        };
        let usd = Money {
            micros: 1,
            currency: Currency::parse("USD").unwrap(),
        };
        assert_eq!(eur(1).checked_add(eur(2)), Some(eur(3)));
        assert_eq!(eur(i64::MAX).checked_add(eur(1)), None);
        assert_eq!(eur(1).checked_add(usd), None);
    }

    #[test]
    fn a_currency_is_three_capitals() {
        for code in ["", "eur", "EURO", "E1R", "€"] {
            assert!(Currency::parse(code).is_err(), "{code:?}");
        }
    }
}
