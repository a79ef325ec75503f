//! How far it is, for who watches: a bar on a terminal, a line now and then elsewhere.

use super::place::Place;
use super::source::Piece;
use crate::commands::terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A count of pins, with its rate and, where the whole is known, what remains.
pub(super) struct Bar {
    bar: ProgressBar,
    what: String,
    began: Instant,
    said: Instant,
    pins: u64,
    whole: Whole,
    is_terminal: bool,
}

/// What the whole is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// By nothing: a pipe, or an IPFS Cluster, which does not tell how many pins it has.
    Unknown,
    /// Bytes of a file.
    Bytes(u64),
    Pins(u64),
    /// A store and a host tell how much of it is read.
    Millionths,
}

impl Whole {
    /// What the whole of a place is known by, before any of it is read.
    pub(super) fn of(place: &Place) -> Self {
        match place {
            Place::Store | Place::Host(_) => Self::Millionths,
            Place::Cluster(_) => Self::Unknown,
            Place::File(path) => match std::fs::metadata(path) {
                Ok(file) if file.is_file() => Self::Bytes(file.len()),
                _ => Self::Unknown,
            },
        }
    }

    /// Where in the whole a piece ends, after so many pins.
    pub(super) fn at(self, piece: &Piece, pins: u64) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Bytes(_) => piece.at.bytes,
            Self::Pins(_) => pins,
            Self::Millionths => u64::from(piece.done_millionths),
        }
    }

    const fn length(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Bytes(length) | Self::Pins(length) => Some(length),
            Self::Millionths => Some(1_000_000),
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Unknown => "{prefix} {msg} {elapsed}",
            _ => "{prefix} {wide_bar} {percent}% {msg}",
        }
    }
}

impl Bar {
    pub(super) fn begin(what: &str, whole: Whole) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(whole.length(), target);
        if let Ok(style) = ProgressStyle::with_template(whole.template()) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        let now = Instant::now();
        Self {
            bar,
            what: what.to_owned(),
            began: now,
            said: now,
            pins: 0,
            whole,
            is_terminal,
        }
    }

    /// What the whole is known by.
    pub(super) const fn whole(&self) -> Whole {
        self.whole
    }

    /// Some more pins; `at` is the place in the whole.
    pub(super) fn moved(&mut self, pins: usize, at: u64) {
        self.pins += u64::try_from(pins).unwrap_or(u64::MAX);
        let whole = self.whole.length().map(|length| (at, length));
        let words = words(self.pins, self.began.elapsed(), whole);
        self.bar.set_position(at);
        if !self.is_terminal && self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            terminal::note(&format!("{} {words}", self.what));
        }
        self.bar.set_message(words);
    }

    /// The end; what is left on the terminal is the caller's to say.
    pub(super) fn end(self) -> String {
        self.bar.finish_and_clear();
        words(self.pins, self.began.elapsed(), None)
    }
}

/// How many there are and come in a second, and what remains after a part of the whole, at the pace
/// so far.
fn words(pins: u64, elapsed: Duration, part: Option<(u64, u64)>) -> String {
    let millis = elapsed.as_millis().max(1);
    let rate = u128::from(pins) * 1_000 / millis;
    let rate = u64::try_from(rate).unwrap_or(u64::MAX);
    let told = format!(
        "{} pins, {} a second",
        terminal::grouped(pins),
        terminal::grouped(rate)
    );
    match part {
        Some((at, whole)) if at > 0 => {
            let left = u128::from(whole.saturating_sub(at)) * millis / u128::from(at);
            let seconds = u64::try_from(left.div_ceil(1_000)).unwrap_or(u64::MAX);
            format!("{told}, {} left", span(seconds))
        }
        _ => told,
    }
}

/// A time as people say it: no more exact than it can be known.
fn span(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_told_and_what_remains_if_it_is_known() {
        let words = |pins, seconds, part| words(pins, Duration::from_secs(seconds), part);
        assert_eq!(words(12_000, 4, None), "12,000 pins, 3,000 a second");
        let quarter = Some((250_000, 1_000_000));
        assert_eq!(
            words(12_000, 4, quarter),
            "12,000 pins, 3,000 a second, 12 s left"
        );
        assert_eq!(
            words(12_000, 400, quarter),
            "12,000 pins, 30 a second, 20 min left"
        );
        assert_eq!(
            words(1, 9_000, Some((1, 3))),
            "1 pins, 0 a second, 5 h left"
        );
        // Before anything is done, and where there is more than was thought.
        assert_eq!(words(0, 1, Some((0, 7))), "0 pins, 0 a second");
        assert_eq!(words(9, 1, Some((9, 7))), "9 pins, 9 a second, 0 s left");
    }

    #[test]
    fn places_are_known_by_what_they_tell_and_each_template_shows_the_words() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "seven..").unwrap();
        let path = file.path().to_str().unwrap();
        for (place, whole) in [
            ("store", Whole::Millionths),
            ("http://h:8420", Whole::Millionths),
            ("cluster+http://h:9094", Whole::Unknown),
            ("-", Whole::Unknown),
            (path, Whole::Bytes(7)),
        ] {
            assert_eq!(Whole::of(&place.parse().unwrap()), whole, "{place}");
            assert!(ProgressStyle::with_template(whole.template()).is_ok());
            assert!(whole.template().contains("{msg}"), "{place}");
            let has_bar = whole.template().contains("{wide_bar}");
            assert_eq!(has_bar, whole.length().is_some(), "{place}");
        }
    }
}
