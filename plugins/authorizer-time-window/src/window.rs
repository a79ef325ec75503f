//! Windows of time: how they are written, and whether one is open.

use holdfast_plugin::date::{DAY_MILLIS, Weekday};
use std::fmt;

/// Windows of one tenant, and letters of them: what is longer is a mistake.
const WINDOWS_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 512;

const DAY_MINUTES: u64 = 24 * 60;
const MINUTE_MILLIS: u64 = 60_000;

/// No place on earth is further from UTC (Kiritimati).
const OFFSET_MINUTES_MAX: i64 = 14 * 60;

/// Some windows; open when one of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Windows(Vec<Window>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// As it was written, on one line.
    text: String,
    /// From Monday on.
    days: [bool; 7],
    /// Minutes of the day; an end that is not after the begin lies on the day after.
    from: u64,
    to: u64,
    offset_minutes: i64,
}

impl Windows {
    /// Reads `mon-fri 08:00-18:00 +01:00; sat 09:00-12:00 +01:00`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!(
                "has {} bytes; write at most {TEXT_BYTES_MAX}",
                text.len()
            ));
        }
        let windows: Vec<Window> = text
            .split(';')
            .filter(|part| !part.trim().is_empty())
            .map(Window::parse)
            .collect::<Result<_, _>>()?;
        match windows.len() {
            1..=WINDOWS_MAX => Ok(Self(windows)),
            0 => Err(format!("names no window; {EXAMPLE}")),
            _ => Err(format!("names more than {WINDOWS_MAX} windows")),
        }
    }

    /// Whether it is open at a time in unix milliseconds.
    pub(crate) fn is_open(&self, time: u64) -> bool {
        self.0.iter().any(|window| window.is_open(time))
    }

    /// `sat 09:30`, as the first window's offset has it.
    pub(crate) fn local(&self, time: u64) -> String {
        let offset = self.0.first().map_or(0, |window| window.offset_minutes);
        let (weekday, minute) = local(time, offset);
        format!("{} {:02}:{:02}", weekday.short(), minute / 60, minute % 60)
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, window) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{}", window.text)?;
        }
        Ok(())
    }
}

const EXAMPLE: &str =
    "write days, hours and the offset from UTC, such as mon-fri 08:00-18:00 +01:00";

impl Window {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no window; {EXAMPLE}");
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [days, hours, offset] = words[..] else {
            return Err(wrong());
        };
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let window = Self {
            text: words.join(" "),
            days: days_of(days).ok_or_else(wrong)?,
            from: minute_of(from).ok_or_else(wrong)?,
            to: minute_of(to).ok_or_else(wrong)?,
            offset_minutes: offset_of(offset).ok_or_else(wrong)?,
        };
        // An empty window, or the whole day? Nobody knows, so it must be written as either.
        match window.from == window.to || window.from == DAY_MINUTES {
            true => Err(format!(
                "{text:?} begins when it ends; write 00:00-24:00 for the whole day"
            )),
            false => Ok(window),
        }
    }

    fn is_open(&self, time: u64) -> bool {
        let (weekday, minute) = local(time, self.offset_minutes);
        let on = |day: Weekday| {
            let pairs = Weekday::ALL.iter().zip(self.days);
            pairs.into_iter().any(|(one, is_on)| is_on && *one == day)
        };
        if self.from < self.to {
            return on(weekday) && (self.from..self.to).contains(&minute);
        }
        // Over midnight: it belongs to the day on which it begins.
        (on(weekday) && minute >= self.from) || (on(weekday.before()) && minute < self.to)
    }
}

/// The weekday and the minute of the day, so many minutes from UTC.
fn local(time: u64, offset_minutes: i64) -> (Weekday, u64) {
    let offset = offset_minutes.unsigned_abs() * MINUTE_MILLIS;
    let local = match offset_minutes < 0 {
        true => time.saturating_sub(offset),
        false => time.saturating_add(offset),
    };
    let minute = (local % DAY_MILLIS) / MINUTE_MILLIS;
    (Weekday::of_millis(local), minute)
}

/// `daily`, or days and stretches of them with commas between: `mon,wed-fri`, `fri-mon`.
fn days_of(text: &str) -> Option<[bool; 7]> {
    if text == "daily" {
        return Some([true; 7]);
    }
    let index = |name: &str| Weekday::ALL.iter().position(|day| day.short() == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (index(first)?, index(last)?);
        loop {
            *days.get_mut(day)? = true;
            if day == last {
                break;
            }
            day = (day + 1) % days.len();
        }
    }
    Some(days)
}

/// `08:00` to `24:00`.
fn minute_of(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

/// `Z`, `+01:00`, `-03:30`.
fn offset_of(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let minutes = i64::try_from(minute_of(rest)?).ok()?;
    (minutes <= OFFSET_MINUTES_MAX).then_some(sign * minutes)
}

fn two_digits(text: &str) -> Option<u64> {
    let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_plugin::date::Date;

    /// 2026-06-01 is a Monday.
    fn at(day: u64, hours: u64, minutes: u64) -> u64 {
        let date = Date {
            year: 2026,
            month: 6,
            day,
        };
        date.start_millis() + (hours * 60 + minutes) * MINUTE_MILLIS
    }

    fn is_open(text: &str, time: u64) -> bool {
        Windows::parse(text).unwrap().is_open(time)
    }

    #[test]
    fn a_window_is_open_from_its_begin_and_before_its_end() {
        let office = "mon-fri 08:00-18:00 Z";
        assert!(!is_open(office, at(1, 7, 59)));
        assert!(is_open(office, at(1, 8, 0)));
        assert!(is_open(office, at(5, 17, 59)));
        assert!(!is_open(office, at(5, 18, 0)));
        assert!(!is_open(office, at(6, 12, 0)));
    }

    #[test]
    fn offsets_move_the_hours_and_the_day() {
        assert!(is_open("mon 08:00-09:00 +02:00", at(1, 6, 30)));
        assert!(!is_open("mon 08:00-09:00 +02:00", at(1, 8, 30)));
        assert!(is_open("mon 00:00-01:00 +14:00", at(7, 10, 30)));
        assert!(is_open("sun 22:00-24:00 -03:30", at(1, 2, 0)));
        assert_eq!(
            Windows::parse("mon 08:00-09:00 -03:30")
                .unwrap()
                .local(at(1, 2, 0)),
            "sun 22:30"
        );
    }

    #[test]
    fn over_midnight_it_belongs_to_the_day_on_which_it_begins() {
        let night = "fri 22:00-06:00 Z";
        assert!(!is_open(night, at(5, 5, 0)));
        assert!(is_open(night, at(5, 22, 0)));
        assert!(is_open(night, at(6, 5, 59)));
        assert!(!is_open(night, at(6, 6, 0)));
        assert!(!is_open(night, at(6, 22, 0)));
    }

    #[test]
    fn days_can_be_listed_and_wrap_around_the_week() {
        for (days, open) in [
            ("daily", [true; 7]),
            (
                "mon,wed-thu",
                [true, false, true, true, false, false, false],
            ),
            ("sat-mon", [true, false, false, false, false, true, true]),
        ] {
            let window = format!("{days} 00:00-24:00 Z");
            for (day, is_on) in (1..).zip(open) {
                assert_eq!(is_open(&window, at(day, 12, 0)), is_on, "{days} on {day}");
            }
        }
    }

    #[test]
    fn several_windows_add_up() {
        let both = "mon-fri 08:00-18:00 Z;  sat  09:00-12:00 Z ;";
        assert!(is_open(both, at(1, 9, 0)) && is_open(both, at(6, 9, 0)));
        assert!(!is_open(both, at(6, 12, 0)));
        assert_eq!(
            Windows::parse(both).unwrap().to_string(),
            "mon-fri 08:00-18:00 Z; sat 09:00-12:00 Z"
        );
    }

    #[test]
    fn what_is_no_window_is_told() {
        let many = "mon 08:00-09:00 Z;".repeat(17);
        let long = " ".repeat(513);
        for text in [
            "",
            ";",
            "mon",
            "mon 08:00-18:00",
            "mon 8:00-18:00 Z",
            "mon 08:00 18:00 Z",
            "mon 08:60-18:00 Z",
            "mon 08:00-24:01 Z",
            "mon 08:00-08:00 Z",
            "mon 24:00-08:00 Z",
            "Mon 08:00-18:00 Z",
            "mon- 08:00-18:00 Z",
            "mon 08:00-18:00 +15:00",
            "mon 08:00-18:00 CET",
            "mon 08:00-18:00 Z Z",
            many.as_str(),
            long.as_str(),
        ] {
            assert!(Windows::parse(text).is_err(), "{text:?}");
        }
    }
}
