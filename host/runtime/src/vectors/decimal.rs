//! Numbers of 128 bits in JSON, whose own numbers are too small for them.

use crate::facts::{halves, whole};
use serde::{Deserialize, Serialize};

/// A number, written as decimal text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Decimal(pub(super) u128);

impl Decimal {
    /// Its upper and its lower half, as plugins get it.
    pub(super) const fn halves(self) -> (u64, u64) {
        halves(self.0)
    }

    /// A number from its halves.
    pub(super) const fn of(high: u64, low: u64) -> Self {
        Self(whole(high, low))
    }
}

impl TryFrom<String> for Decimal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        number.map(Self).ok_or_else(|| {
            format!("{text:?} is no decimal number of 128 bits; write digits in quotes")
        })
    }
}

impl From<Decimal> for String {
    fn from(number: Decimal) -> Self {
        number.0.to_string()
    }
}
