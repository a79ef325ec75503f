//! Takes values out of the layers, and remembers what nobody asked for.

use super::layers::{Entry, Environment, Gathered, KeyPath};
use super::problem::{Complaint, Origin, Problem};
use super::setting::{Setting, Wrong};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many letters may be wrong in a key for it to be guessed.
const TYPO_LETTERS_MAX: usize = 3;

pub(super) struct Reader<'a> {
    gathered: Gathered,
    environment: &'a Environment,
    known: BTreeSet<KeyPath>,
    known_tables: BTreeSet<KeyPath>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(gathered: Gathered, environment: &'a Environment) -> Self {
        Self {
            gathered,
            environment,
            known: BTreeSet::new(),
            known_tables: BTreeSet::new(),
        }
    }

    /// The value of a key, if somebody wrote a good one.
    pub(super) fn leaf<T: Setting>(&mut self, path: &KeyPath) -> Option<T> {
        self.known.insert(path.clone());
        let entry = self.gathered.entries.get(path)?;
        match T::read(&entry.raw, self.environment) {
            Ok(value) => Some(value),
            Err(Wrong { wrong, write }) => {
                self.report(path, wrong, write);
                None
            }
        }
    }

    /// Declares a section.
    pub(super) fn section(&mut self, path: &KeyPath) {
        self.known_tables.insert(path.clone());
    }

    /// The names below a section whose names are free.
    pub(super) fn names(&mut self, path: &KeyPath) -> BTreeSet<String> {
        self.section(path);
        let depth = path.0.len();
        let Gathered {
            entries, tables, ..
        } = &self.gathered;
        entries
            .keys()
            .chain(tables.keys())
            .filter(|key| key.starts_with(path))
            .filter_map(|key| key.0.get(depth).cloned())
            .collect()
    }

    /// Notes that the value of a key is wrong.
    pub(super) fn report(
        &mut self,
        path: &KeyPath,
        wrong: impl Into<String>,
        write: impl Into<String>,
    ) {
        let origin = self.origin(path);
        let (wrong, write) = (wrong.into(), write.into());
        self.gathered.problems.push(Problem {
            origin,
            key: path.to_string(),
            wrong,
            write,
        });
    }

    /// As [`Reader::report`], for somebody who knows the key only.
    pub(super) fn complain(&mut self, complaint: Complaint) {
        let Complaint { key, wrong, write } = complaint;
        self.report(&KeyPath::dotted(&key), wrong, write);
    }

    /// Where the value of a key came from.
    fn origin(&self, path: &KeyPath) -> Origin {
        let Gathered {
            entries, tables, ..
        } = &self.gathered;
        let of_entry = entries.get(path).map(|entry: &Entry| &entry.origin);
        of_entry
            .or_else(|| tables.get(path))
            .cloned()
            .unwrap_or(Origin::Default)
    }

    /// Notes everything that no section declares.
    pub(super) fn report_unknown(&mut self) {
        let Gathered {
            entries, tables, ..
        } = &self.gathered;
        let keys: Vec<KeyPath> = entries
            .keys()
            .filter(|path| !self.known.contains(path))
            .cloned()
            .collect();
        let empty: Vec<KeyPath> = tables
            .keys()
            .filter(|path| !self.known_tables.contains(path))
            .filter(|path| !entries.keys().any(|key| key.starts_with(path)))
            .cloned()
            .collect();
        for path in keys {
            self.report_unknown_key(&path);
        }
        for path in empty {
            let write = self.guess(&path);
            self.report(&path, "there is no such section", write);
        }
    }

    fn report_unknown_key(&mut self, path: &KeyPath) {
        if self.known_tables.contains(path) {
            return self.report(
                path,
                "is a section, not a value",
                format!("write [{path}] and the keys below it"),
            );
        }
        let holder = self
            .known
            .iter()
            .find(|known| path.starts_with(known))
            .cloned();
        if let Some(holder) = holder {
            return self.report(
                path,
                format!("{holder} holds one value, not a table"),
                format!("write {holder} = …"),
            );
        }
        let write = self.guess(path);
        self.report(path, "there is no such key", write);
    }

    fn guess(&self, path: &KeyPath) -> String {
        let wanted = path.to_string();
        let near = self
            .known
            .iter()
            .chain(&self.known_tables)
            .map(|known| (distance(&wanted, &known.to_string()), known))
            .min_by_key(|(distance, _)| *distance);
        // The right name in the wrong section is a guess as good as a typing error.
        let same_name = self
            .known
            .iter()
            .find(|known| known.0.last() == path.0.last());
        match (near, same_name) {
            (Some((letters, known)), _) if letters <= TYPO_LETTERS_MAX => {
                format!("did you mean {known}? else take it out")
            }
            (_, Some(known)) => format!("did you mean {known}? else take it out"),
            _ => "take it out; `schema/config.toml` lists every key".to_owned(),
        }
    }

    pub(super) fn finish(self) -> (Vec<Problem>, Vec<PathBuf>) {
        (self.gathered.problems, self.gathered.files)
    }
}

/// The edits that make one text the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        for (to, pair) in b.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else {
                continue;
            };
            let change = diagonal + usize::from(from != *to);
            left = change.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in [
            ("", "abc", 3),
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
