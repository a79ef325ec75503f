//! How far it is, for who watches: a bar on a terminal, a line now and then elsewhere.

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
    is_terminal: bool,
}

/// What the whole is known by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whole {
    Unknown,
    /// Bytes of a file.
    Bytes(u64),
    Pins(u64),
}

impl Bar {
    pub(super) fn begin(what: &str, whole: Whole) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let (length, template) = match whole {
            Whole::Unknown => (None, "{prefix} {msg} {elapsed}"),
            Whole::Bytes(bytes) => (
                Some(bytes),
                "{prefix} {wide_bar} {percent}% {msg}, {eta} left",
            ),
            Whole::Pins(pins) => (
                Some(pins),
                "{prefix} {wide_bar} {percent}% {msg}, {eta} left",
            ),
        };
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
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
            is_terminal,
        }
    }

    /// Some more pins; `at` is the place in the whole.
    pub(super) fn moved(&mut self, pins: usize, at: u64) {
        self.pins += u64::try_from(pins).unwrap_or(u64::MAX);
        self.bar.set_position(at);
        self.bar.set_message(self.words());
        if !self.is_terminal && self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            terminal::note(&format!("{} {}", self.what, self.words()));
        }
    }

    /// The end; what is left on the terminal is the caller's to say.
    pub(super) fn end(self) -> String {
        self.bar.finish_and_clear();
        self.words()
    }

    fn words(&self) -> String {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = self.pins.saturating_mul(1_000) / millis.max(1);
        format!(
            "{} pins, {} a second",
            terminal::grouped(self.pins),
            terminal::grouped(rate)
        )
    }
}
