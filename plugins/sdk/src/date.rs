//! Days and hours out of unix milliseconds, in whole numbers and without a table of zones.
//!
//! The calendar's arithmetic is the one of Howard Hinnant's "chrono-compatible low-level date
//! algorithms": years begin in March, so that the leap day comes last.

use std::fmt;

/// Milliseconds of a day.
pub const DAY_MILLIS: u64 = 86_400_000;

/// The last day that is taken: 9999-12-31.
const DAYS_MAX: u64 = 2_932_896;

/// A day of the Gregorian calendar, from 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
}

impl Date {
    /// The day that an instant lies on, in UTC.
    #[must_use]
    pub const fn of_millis(millis: u64) -> Self {
        let days = millis / DAY_MILLIS;
        let days = if days > DAYS_MAX { DAYS_MAX } else { days };
        // Days since 0000-03-01, in eras of 400 years.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_of_year = (5 * of_year + 2) / 153;
        let is_past_december = month_of_year >= 10;
        Self {
            year: era * 400 + year_of_era + is_past_december as u64,
            month: if is_past_december {
                month_of_year - 9
            } else {
                month_of_year + 3
            },
            day: of_year - (153 * month_of_year + 2) / 5 + 1,
        }
    }

    /// Its first instant, in UTC.
    #[must_use]
    pub const fn start_millis(self) -> u64 {
        let (year, month) = match self.month > 2 {
            true => (self.year, self.month - 3),
            false => (self.year - 1, self.month + 9),
        };
        let (era, year_of_era) = (year / 400, year % 400);
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        (era * 146_097 + of_era - 719_468) * DAY_MILLIS
    }

    /// Reads `2026-01-31`.
    ///
    /// # Errors
    /// What to write instead, for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no day from 1970 to 9999; write one like 2026-01-31");
        let mut parts = text.splitn(3, '-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_number = part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| is_number)
        };
        let read = (|| {
            Some(Self {
                year: part(4).filter(|year| *year >= 1970)?,
                month: part(2).filter(|month| (1..=12).contains(month))?,
                day: part(2).filter(|day| (1..=31).contains(day))?,
            })
        })();
        // The 31st of a shorter month would be some day of the next.
        read.filter(|date| Self::of_millis(date.start_millis()) == *date)
            .ok_or_else(wrong)
    }
}

/// `2026-01-31`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "days need no words")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// All seven, from Monday on.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// The day that an instant lies on, in UTC.
    #[must_use]
    pub const fn of_millis(millis: u64) -> Self {
        // The epoch was a Thursday.
        match (millis / DAY_MILLIS) % 7 {
            0 => Self::Thursday,
            1 => Self::Friday,
            2 => Self::Saturday,
            3 => Self::Sunday,
            4 => Self::Monday,
            5 => Self::Tuesday,
            _ => Self::Wednesday,
        }
    }

    /// The day before.
    #[must_use]
    pub const fn before(self) -> Self {
        match self {
            Self::Monday => Self::Sunday,
            Self::Tuesday => Self::Monday,
            Self::Wednesday => Self::Tuesday,
            Self::Thursday => Self::Wednesday,
            Self::Friday => Self::Thursday,
            Self::Saturday => Self::Friday,
            Self::Sunday => Self::Saturday,
        }
    }

    /// `mon`.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Monday => "mon",
            Self::Tuesday => "tue",
            Self::Wednesday => "wed",
            Self::Thursday => "thu",
            Self::Friday => "fri",
            Self::Saturday => "sat",
            Self::Sunday => "sun",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_what_the_calendar_has() {
        for (text, seconds, weekday) in [
            ("1970-01-01", 0, Weekday::Thursday),
            ("2000-02-29", 951_782_400, Weekday::Tuesday),
            ("2026-01-01", 1_767_225_600, Weekday::Thursday),
            ("2026-11-21", 1_795_219_200, Weekday::Saturday),
            ("2100-03-01", 4_107_542_400, Weekday::Monday),
            ("9999-12-31", 253_402_214_400, Weekday::Friday),
        ] {
            let date = Date::parse(text).unwrap();
            assert_eq!(date.start_millis(), seconds * 1_000, "{text}");
            let last = date.start_millis() + DAY_MILLIS - 1;
            assert_eq!(Date::of_millis(last), date);
            assert_eq!(date.to_string(), text);
            assert_eq!(Weekday::of_millis(last), weekday, "{text}");
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..=DAYS_MAX {
            let millis = day * DAY_MILLIS;
            assert_eq!(Date::of_millis(millis).start_millis(), millis);
        }
    }

    #[test]
    fn what_is_no_day_is_told() {
        for text in [
            "",
            "2026",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "1969-12-31",
            "2026-04-31",
            "+026-01-01",
            "2026-01-01T",
            "10000-01-01",
        ] {
            assert!(
                Date::parse(text).unwrap_err().contains("2026-01-31"),
                "{text}"
            );
        }
    }
}
