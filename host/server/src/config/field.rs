//! What stands behind a name in a section: one value, or more sections.

use super::layers::KeyPath;
use super::reader::Reader;
use super::reference::Reference;
use super::setting::Setting;
use std::collections::BTreeMap;

/// What it takes for a changed value to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It counts at once.
    Live,
    /// It counts after a restart.
    Restart,
}

/// A value that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// What it takes for it to count.
    pub reload: Reload,
}

pub(super) trait Field: Sized {
    fn read(reader: &mut Reader<'_>, path: &KeyPath, default: Self) -> Self;
    fn describe(&self, path: &KeyPath, docs: &[&str], reload: Reload, out: &mut Reference);
    fn changes(&self, other: &Self, path: &KeyPath, reload: Reload, out: &mut Vec<Change>);
    /// Adds every value that is set, as TOML and without secrets.
    fn values(&self, path: &KeyPath, out: &mut Values);
}

/// Keys and their values as TOML.
pub(super) type Values = BTreeMap<String, String>;

impl<T: Setting> Field for T {
    fn read(reader: &mut Reader<'_>, path: &KeyPath, default: Self) -> Self {
        reader.leaf(path).unwrap_or(default)
    }

    fn describe(&self, path: &KeyPath, docs: &[&str], reload: Reload, out: &mut Reference) {
        let name = path.0.last().map_or("", String::as_str);
        out.key(name, docs, reload, self.toml(), T::EXAMPLE);
    }

    fn changes(&self, other: &Self, path: &KeyPath, reload: Reload, out: &mut Vec<Change>) {
        if self != other {
            out.push(Change {
                key: path.to_string(),
                reload,
            });
        }
    }

    fn values(&self, path: &KeyPath, out: &mut Values) {
        out.extend(self.shown().map(|value| (path.to_string(), value)));
    }
}
