//! `Retry-After` (RFC 9110, 10.2.3): seconds, or a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.

use holdfast_plugin::date::Date;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How long to wait from `now`, in milliseconds; `None` if the text says neither.
pub(crate) fn millis(text: &str, now: u64) -> Option<u64> {
    let text = text.trim();
    if let Some(seconds) = digits(text) {
        return seconds.checked_mul(1_000);
    }
    Some(date(text)?.saturating_sub(now))
}

fn date(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.strip_suffix(" GMT")?.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS
        .iter()
        .zip(1_u64..)
        .find(|(name, _)| **name == month)?
        .1;
    let date = Date::parse(&format!("{year}-{month:02}-{day}")).ok()?;
    let mut clock = time.splitn(3, ':').map(digits);
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    // A leap second is 60.
    if words.next().is_some() || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let of_day = hours * 3_600 + minutes * 60 + seconds;
    date.start_millis().checked_add(of_day * 1_000)
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600_000; // 2026-01-01

    #[test]
    fn both_forms_are_read() {
        for (text, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120_000)),
            ("Thu, 01 Jan 2026 00:00:07 GMT", Some(7_000)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", Some(0)),
            ("Fri, 02 Jan 2026 00:00:00 GMT", Some(86_400_000)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999", None),
            ("Thu, 01 Jan 2026 24:00:00 GMT", None),
            ("Thu, 32 Jan 2026 00:00:00 GMT", None),
            ("Thu, 01 Jan 2026 00:00:00 CET", None),
            ("Thu, 01 Jan 2026 00:00 GMT", None),
        ] {
            assert_eq!(millis(text, NOW), expected, "{text}");
        }
    }
}
