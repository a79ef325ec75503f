//! Storage: gigabytes, and months of them.

/// Seconds of a month of 30 days.
pub const MONTH_SECONDS: u128 = 30 * 24 * 60 * 60;

/// What a gigabyte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Gigabyte {
    /// 10^9 bytes.
    #[serde(rename = "GB")]
    Decimal,
    /// 2^30 bytes.
    #[serde(rename = "GiB")]
    Binary,
}

impl Gigabyte {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> u128 {
        match self {
            Self::Decimal => 1_000_000_000,
            Self::Binary => 1 << 30,
        }
    }

    /// How people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decimal => "GB",
            Self::Binary => "GiB",
        }
    }

    /// Byte-seconds of one gigabyte-month: below 2^52.
    #[must_use]
    pub const fn month(self) -> u128 {
        self.bytes() * MONTH_SECONDS
    }

    /// So many gigabyte-months in byte-seconds: below 2^116, so it cannot overflow.
    #[must_use]
    pub const fn months(self, count: u64) -> u128 {
        (count as u128).saturating_mul(self.month())
    }

    /// `12.345678 GB-months`, cut after six digits: it is for reading, the exact number stands
    /// beside.
    #[must_use]
    pub fn text(self, byte_seconds: u128) -> String {
        let per = self.month();
        let millionths = (byte_seconds % per) * 1_000_000 / per;
        format!(
            "{}.{millionths:06} {}-months",
            byte_seconds / per,
            self.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_thirty_days_of_gigabytes() {
        assert_eq!(Gigabyte::Decimal.month(), 2_592_000_000_000_000);
        assert_eq!(Gigabyte::Binary.months(2), 2 * (1 << 30) * 2_592_000);
        assert_eq!(
            Gigabyte::Decimal.text(Gigabyte::Decimal.month() * 5 / 2),
            "2.500000 GB-months"
        );
        assert!(Gigabyte::Binary.months(u64::MAX) < 1 << 116);
    }
}
