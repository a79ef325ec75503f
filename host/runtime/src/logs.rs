//! The last lines that each plugin wrote, for `holdfast plugin logs`.

use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Lines kept per plugin: what an operator reads, not an archive; the host's own log has them all.
/// With the longest lines they take some 500 KiB.
const LINES_MAX: usize = 500;

/// Plugins whose lines are kept: more than fit the memory budget, so a guard against names that
/// come and go.
const PLUGINS_MAX: usize = 256;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The plugin, which may write what it likes.
    Plugin,
    /// The host, about the plugin.
    Host,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The generation that wrote it, or that it is about.
    pub generation: u64,
    /// Who wrote it.
    pub by: Speaker,
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// What it wrote: cut, and without control characters.
    pub line: String,
    /// How long ago.
    pub age_ms: u64,
}

/// The last lines of one plugin, all its generations together: why a candidate was refused is often
/// in what it wrote before.
#[derive(Debug, Default)]
pub(crate) struct Ring(Mutex<VecDeque<Line>>);

#[derive(Debug)]
struct Line {
    generation: u64,
    by: Speaker,
    level: &'static str,
    line: String,
    at: Instant,
}

impl Ring {
    /// Keeps a line; the oldest goes when it is full.
    pub(crate) fn push(&self, generation: u64, by: Speaker, level: &'static str, line: String) {
        let mut lines = self.0.lock();
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(Line {
            generation,
            by,
            level,
            line,
            at: Instant::now(),
        });
    }

    /// The last so many, the oldest first.
    pub(crate) fn last(&self, most: usize) -> Vec<LogLine> {
        let lines = self.0.lock();
        let skipped = lines.len().saturating_sub(most);
        lines
            .iter()
            .skip(skipped)
            .map(|line| LogLine {
                generation: line.generation,
                by: line.by,
                level: line.level,
                line: line.line.clone(),
                age_ms: u64::try_from(line.at.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

/// The rings of all plugins.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<BTreeMap<String, Arc<Ring>>>);

impl Logs {
    /// The ring of a name, made if there is none. It outlives the plugin, until the names are too
    /// many.
    pub(crate) fn of(&self, name: &str) -> Arc<Ring> {
        let mut rings = self.0.lock();
        if !rings.contains_key(name) && rings.len() >= PLUGINS_MAX {
            rings.retain(|_, ring| Arc::strong_count(ring) > 1);
        }
        Arc::clone(rings.entry(name.to_owned()).or_default())
    }

    /// The last lines of a plugin; none if there never was one of that name.
    pub(crate) fn last(&self, name: &str, most: usize) -> Vec<LogLine> {
        let ring = self.0.lock().get(name).cloned();
        ring.map_or_else(Vec::new, |ring| ring.last(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let logs = Logs::default();
        let ring = logs.of("a");
        for n in 0..LINES_MAX + 2 {
            ring.push(1, Speaker::Plugin, "info", n.to_string());
        }
        let all = logs.last("a", usize::MAX);
        assert_eq!(all.len(), LINES_MAX);
        assert_eq!(all.first().unwrap().line, "2");
        let last = logs.last("a", 1);
        assert_eq!(last.first().unwrap().line, (LINES_MAX + 1).to_string());
        assert!(logs.last("b", 9).is_empty());
    }

    #[test]
    fn rings_that_nobody_writes_to_go_when_there_are_too_many() {
        let logs = Logs::default();
        let held = logs.of("held");
        held.push(1, Speaker::Host, "warn", "x".into());
        for n in 0..PLUGINS_MAX * 2 {
            logs.of(&n.to_string());
        }
        assert!(logs.0.lock().len() <= PLUGINS_MAX);
        assert_eq!(logs.last("held", 9).len(), 1);
    }
}
