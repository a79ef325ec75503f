//! Time as the whole program keeps it: milliseconds since the Unix epoch, UTC.
//!
//! The clock is not read here; whoever needs the time is given it.

use crate::error::Invalid;
use std::fmt;
use std::str::FromStr;

/// Milliseconds of a UTC day.
pub const DAY_MILLIS: u64 = 86_400_000;

/// 9999-12-30T21:59:59.999Z: the last instant that can be written with any offset (`jiff`).
const MILLIS_MAX: u64 = 253_402_207_199_999;

/// An instant: unix milliseconds, UTC, between 1970 and 9999. RFC 3339 outside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The epoch itself.
    pub const EPOCH: Self = Self(0);
    /// The last instant there is.
    pub const MAX: Self = Self(MILLIS_MAX);

    /// An instant from milliseconds; later ones than the year 9999 become its last millisecond.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(if millis > MILLIS_MAX {
            MILLIS_MAX
        } else {
            millis
        })
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// An instant from whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self::new(seconds.saturating_mul(1_000))
    }

    /// The instant so many milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self::new(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant, 0 if it is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 with as many digits of a second as are not zero, as Go's `RFC3339Nano` writes it.
    #[must_use]
    pub fn shortest(self) -> impl fmt::Display {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
    }

    /// Parses RFC 3339 with an offset; finer digits than milliseconds are cut.
    ///
    /// # Errors
    /// Text that is no RFC 3339 time or lies before 1970.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = |why: String| {
            Invalid::new(
                "time",
                format!("{why}; write RFC 3339 such as 2026-01-31T23:59:59.123Z"),
            )
        };
        let timestamp: jiff::Timestamp = text
            .parse()
            .map_err(|e: jiff::Error| wrong(format!("{text:?} is no time ({e})")))?;
        let millis = u64::try_from(timestamp.as_millisecond())
            .map_err(|_| wrong(format!("{text:?} lies before 1970")))?;
        Ok(Self::new(millis))
    }
}

impl FromStr for UnixMillis {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 with exactly three digits of a second, so that texts sort as instants do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{millis}ms"),
        }
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for UnixMillis {
    /// Text for people's formats, the number for the store's.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> serde::Deserialize<'de> for UnixMillis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self::new);
        }
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_three_digits_and_round_trips() {
        let instant = UnixMillis::new(1_700_000_000_007);
        assert_eq!(instant.to_string(), "2023-11-14T22:13:20.007Z");
        assert_eq!(UnixMillis::parse(&instant.to_string()).unwrap(), instant);
        assert_eq!(
            UnixMillis::new(1_700_000_000_000).to_string(),
            "2023-11-14T22:13:20.000Z"
        );
    }

    #[test]
    fn offsets_and_nanoseconds_are_understood() {
        let parsed = UnixMillis::parse("2023-11-14T23:13:20.007999999+01:00").unwrap();
        assert_eq!(parsed, UnixMillis::new(1_700_000_000_007));
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in [
            "",
            "yesterday",
            "1700000000",
            "2023-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(
                UnixMillis::parse(text)
                    .unwrap_err()
                    .why
                    .contains("RFC 3339"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_last_instant_can_be_written() {
        assert_eq!(UnixMillis::MAX.to_string(), "9999-12-30T21:59:59.999Z");
    }
}
