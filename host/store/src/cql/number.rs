//! Our numbers as CQL keeps them: there are no unsigned ones.

use holdfast_model::UnixMillis;

/// An unsigned number as a bigint. What does not fit, no clock and no counter ever reaches.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A bigint that was an unsigned number.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// An instant as a bigint.
pub(crate) fn millis(instant: UnixMillis) -> i64 {
    bigint(instant.as_millis())
}

/// A bigint that was an instant.
pub(crate) fn instant(millis: i64) -> UnixMillis {
    UnixMillis::new(unsigned(millis))
}
