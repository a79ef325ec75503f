//! What the host keeps beside each instance, and the log that guests write.

use crate::bindings::authorizer::holdfast::plugin::{calls, log, types};
use crate::deadline::Deadline;
use crate::error::Fault;
use crate::facts::Facts;
use crate::limits::{Held, LOG_LINE_BYTES_MAX, LOG_LINES_PER_CALL};
use crate::logs::{Ring, Speaker};
use crate::workbench::Asked;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The data of an instance's store.
#[derive(Debug)]
pub(crate) struct Guest {
    /// What it holds.
    pub(crate) held: Held,
    /// When the call that runs must end.
    pub(crate) deadline: Deadline,
    /// What the call that runs is about.
    pub(crate) facts: Facts,
    /// How often it has called the host, ever.
    pub(crate) host_calls: u64,
    /// What it asks, where somebody wants to know: on the workbench.
    pub(crate) noted: Option<Vec<Asked>>,
    lines: u32,
    last_words: Vec<u8>,
    journal: Arc<Journal>,
}

impl Guest {
    /// The data of a new instance.
    pub(crate) fn new(memory_bytes_max: usize, journal: Arc<Journal>) -> Self {
        Self {
            held: Held::new(memory_bytes_max),
            deadline: Deadline::default(),
            facts: Facts::default(),
            host_calls: 0,
            noted: None,
            lines: 0,
            last_words: Vec::new(),
            journal,
        }
    }

    /// Forgets the call before.
    pub(crate) fn begin(&mut self) {
        self.lines = 0;
        self.last_words.clear();
    }

    /// The facts, of which the guest asks one, about a name or none: a call into the host.
    pub(crate) fn asked(&mut self, what: &'static str, about: &str) -> &Facts {
        self.host_calls = self.host_calls.saturating_add(1);
        if let Some(noted) = &mut self.noted {
            note(noted, what, about);
        }
        &self.facts
    }

    /// Takes what the guest writes to standard error.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        let room = LOG_LINE_BYTES_MAX.saturating_sub(self.last_words.len());
        self.last_words.extend(bytes.iter().take(room));
    }

    /// The fault, and if it is a trap what the guest said before: a panic's message, mostly.
    pub(crate) fn with_last_words(&mut self, fault: Fault) -> Fault {
        match fault {
            Fault::Trap(what) if !self.last_words.is_empty() => {
                let words = String::from_utf8_lossy(&self.last_words);
                Fault::Trap(format!("{what}: {}", printable(words.trim())))
            }
            other => other,
        }
    }
}

/// Notes a question. No host does that while it serves.
#[cold]
fn note(noted: &mut Vec<Asked>, what: &'static str, about: &str) {
    /// Questions that are kept of one call.
    const ASKED_MAX: usize = 10_000;
    if noted.len() < ASKED_MAX {
        noted.push(Asked {
            what,
            about: about.to_owned(),
        });
    }
}

impl calls::Host for Guest {}
impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        self.host_calls = self.host_calls.saturating_add(1);
        self.lines = self.lines.saturating_add(1);
        if self.lines <= LOG_LINES_PER_CALL {
            self.journal.write(level, &message);
        } else {
            self.journal.dropped.inc();
        }
    }
}

/// Where the lines of one plugin go, all its instances together.
#[derive(Debug)]
pub(crate) struct Journal {
    plugin: String,
    generation: u64,
    lines_per_second: u32,
    ring: Arc<Ring>,
    dropped: prometheus::IntCounter,
    second: Mutex<(Instant, u32)>,
}

impl Journal {
    /// The journal of one generation of a plugin.
    pub(crate) fn new(
        plugin: &str,
        generation: u64,
        lines_per_second: u32,
        ring: Arc<Ring>,
        dropped: prometheus::IntCounter,
    ) -> Self {
        Self {
            plugin: plugin.to_owned(),
            generation,
            lines_per_second,
            ring,
            dropped,
            second: Mutex::new((Instant::now(), 0)),
        }
    }

    /// Counts a line that is not written.
    pub(crate) fn drop_line(&self) {
        self.dropped.inc();
    }

    /// Writes a line, if there is room for it.
    pub(crate) fn write(&self, level: log::Level, message: &str) {
        if !self.has_room(Instant::now()) {
            self.dropped.inc();
            return;
        }
        let (plugin, line) = (&self.plugin, printable(message));
        let level = match level {
            log::Level::Debug => {
                tracing::debug!(plugin, line, "plugin says");
                "debug"
            }
            log::Level::Info => {
                tracing::info!(plugin, line, "plugin says");
                "info"
            }
            log::Level::Warn => {
                tracing::warn!(plugin, line, "plugin says");
                "warn"
            }
            log::Level::Error => {
                tracing::error!(plugin, line, "plugin says");
                "error"
            }
        };
        self.ring
            .push(self.generation, Speaker::Plugin, level, line);
    }

    fn has_room(&self, now: Instant) -> bool {
        let mut second = self.second.lock();
        if now.duration_since(second.0) >= Duration::from_secs(1) {
            *second = (now, 0);
        }
        second.1 = second.1.saturating_add(1);
        second.1 <= self.lines_per_second
    }
}

/// The text on one line and cut: a guest cannot forge a line of the host's log.
pub(crate) fn printable(message: &str) -> String {
    let mut line = String::new();
    for c in message.chars() {
        if line.len() >= LOG_LINE_BYTES_MAX {
            line.push('…');
            break;
        }
        if is_misleading(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// What moves the cursor, begins a line, turns the direction of reading, or is not seen at all:
/// with any of it, a line would read as another.
fn is_misleading(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    );
    c.is_control() || is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(printable("a\u{202e}b\u{2028}"), "a\\u{202e}b\\u{2028}");
        let long = printable(&"ü".repeat(LOG_LINE_BYTES_MAX));
        assert!(long.len() < LOG_LINE_BYTES_MAX + 8 && long.ends_with('…'));
    }

    #[test]
    fn a_flood_is_cut_off_until_the_next_second() {
        let dropped = prometheus::IntCounter::new("dropped", "dropped").unwrap();
        let journal = Journal::new("p", 1, 50, Arc::default(), dropped);
        let now = Instant::now();
        let written = (0..1_000).filter(|_| journal.has_room(now)).count();
        assert_eq!(written, 50);
        assert!(journal.has_room(now + Duration::from_secs(2)));
    }
}
