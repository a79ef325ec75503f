//! Amounts: whole numbers, sizes (`"64MiB"`) and spans of time (`"10s"`).

use serde_json::Value;
use std::fmt;

/// Sizes in bytes and spans in milliseconds, as the configuration writes them. `ms` before `s`.
const UNITS: [(&str, i128, bool); 10] = [
    ("TiB", 1 << 40, false),
    ("GiB", 1 << 30, false),
    ("MiB", 1 << 20, false),
    ("KiB", 1 << 10, false),
    ("B", 1, false),
    ("ms", 1, true),
    ("d", 86_400_000, true),
    ("h", 3_600_000, true),
    ("m", 60_000, true),
    ("s", 1_000, true),
];

/// An amount, and how it was written. A number without a unit is one of bytes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantity {
    amount: i128,
    is_time: bool,
    text: String,
}

impl Quantity {
    /// Reads an amount; `None` if it is none.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let (amount, is_time) = match value {
            Value::Number(number) => (number.as_i128()?, false),
            Value::String(text) => with_unit(text)?,
            _ => return None,
        };
        Some(Self {
            amount,
            is_time,
            text: value.to_string(),
        })
    }

    /// How the two compare; `None` if one is a span of time and the other is not.
    pub(crate) fn compare(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self.is_time == other.is_time).then(|| self.amount.cmp(&other.amount))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn with_unit(text: &str) -> Option<(i128, bool)> {
    let (digits, factor, is_time) = UNITS
        .iter()
        .find_map(|(unit, factor, is_time)| Some((text.strip_suffix(unit)?, factor, *is_time)))?;
    let digits: u64 = digits.trim_end().parse().ok()?;
    Some((i128::from(digits).checked_mul(*factor)?, is_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cmp::Ordering;

    fn quantity(value: Value) -> Quantity {
        Quantity::of(&value).unwrap()
    }

    #[test]
    fn amounts_are_compared_across_units() {
        for (one, other, expected) in [
            (json!(1024), json!("1KiB"), Some(Ordering::Equal)),
            (json!("2MiB"), json!("1GiB"), Some(Ordering::Less)),
            (json!("90s"), json!("1m"), Some(Ordering::Greater)),
            (json!("1000ms"), json!("1s"), Some(Ordering::Equal)),
            (json!("1d"), json!("24h"), Some(Ordering::Equal)),
            (json!(-1), json!(0), Some(Ordering::Less)),
            (json!(u64::MAX), json!("16777216TiB"), Some(Ordering::Less)),
            (json!(1), json!("1s"), None),
        ] {
            assert_eq!(
                quantity(one.clone()).compare(&quantity(other.clone())),
                expected,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for value in [
            json!(1.5),
            json!("much"),
            json!("s"),
            json!("1 parsec"),
            json!("-1s"),
            json!(true),
            json!(null),
        ] {
            assert_eq!(Quantity::of(&value), None, "{value}");
        }
    }
}
