//! Periods as people write them: `2026-11`, `2026-11-20`, `START..END`, `current`.
//!
//! Days and months are UTC's. The start belongs to a period, the end does not, so periods that
//! follow one another share no instant.

use holdfast_model::{Invalid, Period, UnixMillis};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

/// Characters of a period: two times with nanoseconds and offsets are below 80.
const PERIOD_CHARS_MAX: usize = 100;

/// Parses a period; `current` is the calendar month that `now` lies in.
///
/// # Errors
/// Text that is no period, and what to write.
pub fn parse(text: &str, now: UnixMillis) -> Result<Period, Invalid> {
    if text.len() > PERIOD_CHARS_MAX {
        return Err(wrong(format!("is longer than {PERIOD_CHARS_MAX} bytes")));
    }
    if text == "current" {
        let today = date_of(now)?;
        return stretch(today.first_of_month(), 1.month());
    }
    if let Some((start, end)) = text.split_once("..") {
        return between(start, end);
    }
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year, month] if digits(year, 4) && digits(month, 2) => {
            stretch(civil(text, &format!("{text}-01"))?, 1.month())
        }
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            stretch(civil(text, text)?, 1.day())
        }
        _ => Err(wrong(format!("{text:?} is none"))),
    }
}

/// The period between two RFC 3339 times.
///
/// # Errors
/// Text that is no time, or an end that is not after its start.
pub fn between(start: &str, end: &str) -> Result<Period, Invalid> {
    let time = |what: &str, text: &str| {
        UnixMillis::parse(text).map_err(|invalid| Invalid::new(what, invalid.why))
    };
    let period = Period {
        start: time("from", start)?,
        end: time("to", end)?,
    };
    if period.start >= period.end {
        return Err(wrong("ends before it begins".to_owned()));
    }
    Ok(period)
}

fn civil(shown: &str, text: &str) -> Result<Date, Invalid> {
    text.parse()
        .map_err(|e: jiff::Error| wrong(format!("{shown:?} is none ({e})")))
}

fn date_of(now: UnixMillis) -> Result<Date, Invalid> {
    let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(millis).map_err(|e| wrong(e.to_string()))?;
    Ok(timestamp.to_zoned(TimeZone::UTC).date())
}

fn stretch(start: Date, length: Span) -> Result<Period, Invalid> {
    let end = start
        .checked_add(length)
        .map_err(|_| wrong(format!("that begins {start} ends after the year 9999")))?;
    Ok(Period {
        start: midnight(start)?,
        end: midnight(end)?,
    })
}

fn midnight(date: Date) -> Result<UnixMillis, Invalid> {
    let zoned = date
        .to_zoned(TimeZone::UTC)
        .map_err(|e| wrong(e.to_string()))?;
    let millis = u64::try_from(zoned.timestamp().as_millisecond())
        .map_err(|_| wrong(format!("{date} lies before 1970")))?;
    Ok(UnixMillis::new(millis))
}

fn wrong(why: String) -> Invalid {
    Invalid::new(
        "period",
        format!(
            "{why}; write a month (2026-11), a day (2026-11-20), \
             2026-11-01T00:00:00Z..2026-11-08T00:00:00Z, or current"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let now = UnixMillis::parse("2026-11-20T23:33:00Z").unwrap();
        match parse(text, now) {
            Ok(period) => format!("{} {}", period.start, period.end),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn months_days_and_stretches_are_understood() {
        let month = "2026-11-01T00:00:00.000Z 2026-12-01T00:00:00.000Z";
        assert_eq!(shown("2026-11"), month);
        assert_eq!(shown("current"), month);
        assert_eq!(
            shown("2026-12"),
            "2026-12-01T00:00:00.000Z 2027-01-01T00:00:00.000Z"
        );
        assert_eq!(
            shown("2024-02-29"),
            "2024-02-29T00:00:00.000Z 2024-03-01T00:00:00.000Z"
        );
        assert_eq!(
            shown("2026-11-01T01:00:00+01:00..2026-11-01T00:00:00.001Z"),
            "2026-11-01T00:00:00.000Z 2026-11-01T00:00:00.001Z"
        );
    }

    #[test]
    fn what_is_no_period_is_refused_with_examples() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-1",
            "26-11",
            "2026-02-30",
            "a..b",
            "last",
            "9999-12",
            "1969-12",
            "2026-11-02T00:00:00Z..2026-11-01T00:00:00Z",
            "2026-11-20..2026-11-21",
        ] {
            let complaint = shown(text);
            assert!(
                complaint.contains("; write "),
                "{text:?} gave {complaint:?}"
            );
        }
    }
}
