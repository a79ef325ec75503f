//! The layers, read into one flat map of values that still know where they came from.

use super::problem::{Origin, Problem};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml_edit::{Document, Item, TableLike, Value};

/// Bytes of one configuration file: a hundred times what a full one has.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The file that is read when none is named, if it is there.
const FILE_DEFAULT: &str = "holdfast.toml";

/// What every variable of ours begins with.
const PREFIX: &str = "HOLDFAST_";

/// What config plugins are to lay over the files: theirs to read, however it goes on.
const OVERLAY: &str = "OVERLAY_";

/// The first administrator's key has a variable of its own, as scripts know it.
const BOOTSTRAP_VARIABLE: &str = "HOLDFAST_BOOTSTRAP_ADMIN_KEY";

/// The environment as the program found it.
pub type Environment = BTreeMap<String, String>;

/// Where the layers are.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that was named; `./holdfast.toml` if none was and it is there.
    pub file: Option<PathBuf>,
    /// A directory of files: `section.key` or `section__key` holds one value, `*.toml` a part.
    pub dir: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// Flags, as key, value and the flag's name: `server.listen`, `0.0.0.0:80`, `--listen`.
    pub flags: Vec<(String, String, String)>,
}

impl Sources {
    /// The file to be read.
    fn main_file(&self) -> Option<&Path> {
        let default = Path::new(FILE_DEFAULT);
        self.file
            .as_deref()
            .or_else(|| default.exists().then_some(default))
    }

    /// Files in which a secret may stand literally.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.main_file()
            .map(Path::to_path_buf)
            .into_iter()
            .collect()
    }
}

/// A key: section by section.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(pub(super) Vec<String>);

impl KeyPath {
    pub(super) fn child(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        Self(parts)
    }

    pub(super) fn dotted(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }

    pub(super) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From the environment, a flag or a one-value file: text that may mean anything.
    Text(String),
    /// A TOML string.
    Str(String),
    /// A TOML integer.
    Int(i64),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML array.
    List(Vec<Raw>),
    /// Something that no key takes: what TOML calls it.
    Other(&'static str),
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// All layers.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) entries: BTreeMap<KeyPath, Entry>,
    /// Sections that were opened, with or without anything in them.
    pub(super) tables: BTreeMap<KeyPath, Origin>,
    pub(super) files: Vec<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// An entry that a config plugin lays over the files.
#[derive(Debug, Clone)]
pub(super) struct Supplied {
    pub(super) plugin: String,
    pub(super) key: String,
    pub(super) raw: Raw,
}

pub(super) fn gather(sources: &Sources, supplied: &[Supplied]) -> Gathered {
    let mut all = Gathered::default();
    if let Some(file) = sources.main_file() {
        all.toml_file(file);
    }
    if let Some(dir) = &sources.dir {
        all.directory(dir);
    }
    for Supplied { plugin, key, raw } in supplied {
        let name = plugin.clone();
        all.put(KeyPath::dotted(key), raw.clone(), Origin::Plugin { name });
    }
    for (name, value) in &sources.environment {
        all.variable(name, value);
    }
    for (key, value, flag) in &sources.flags {
        let origin = Origin::Flag { name: flag.clone() };
        all.put(KeyPath::dotted(key), Raw::Text(value.clone()), origin);
    }
    all
}

impl Gathered {
    fn put(&mut self, path: KeyPath, raw: Raw, origin: Origin) {
        self.entries.insert(path, Entry { raw, origin });
    }

    fn broken(&mut self, path: &Path, line: Option<usize>, wrong: String, write: &str) {
        let origin = Origin::File {
            path: path.display().to_string(),
            line,
        };
        let write = write.to_owned();
        self.problems.push(Problem {
            origin,
            key: String::new(),
            wrong,
            write,
        });
    }

    fn read(&mut self, path: &Path) -> Option<String> {
        self.files.push(path.to_path_buf());
        let text = std::fs::metadata(path).and_then(|meta| {
            if meta.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other("it is over 1 MiB"));
            }
            std::fs::read_to_string(path)
        });
        text.map_err(|e| {
            let mend = "name a text file that this user can read";
            self.broken(path, None, format!("cannot be read: {e}"), mend);
        })
        .ok()
    }

    fn toml_file(&mut self, path: &Path) {
        let Some(text) = self.read(path) else {
            return;
        };
        match Document::parse(text.as_str()) {
            Ok(document) => {
                let source = Source { path, text: &text };
                self.table(&KeyPath::default(), document.as_table(), &source);
            }
            Err(e) => {
                let line = e.span().map(|span| line_of(&text, span.start));
                let wrong = e.message().trim().replace('\n', "; ");
                self.broken(path, line, wrong, "mend the TOML; see https://toml.io");
            }
        }
    }

    fn table(&mut self, prefix: &KeyPath, table: &dyn TableLike, source: &Source<'_>) {
        for (name, item) in table.iter() {
            let path = prefix.child(name);
            let key = table.get_key_value(name).and_then(|(key, _)| key.span());
            let origin = source.origin(key.or_else(|| item.span()));
            if let Some(inner) = item.as_table_like() {
                self.tables.insert(path.clone(), origin);
                self.table(&path, inner, source);
                continue;
            }
            let raw = match item {
                Item::Value(value) => raw_of(value),
                _ => Raw::Other("array of tables"),
            };
            self.put(path, raw, origin);
        }
    }

    /// A mounted config map: one file per value, or TOML parts. Names with a dot in front are the
    /// machinery of the mount.
    fn directory(&mut self, dir: &Path) {
        self.files.push(dir.to_path_buf());
        let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.iter().map(std::fs::DirEntry::path).collect(),
            Err(e) => {
                let mend = "name a directory that this user can read";
                return self.broken(dir, None, format!("cannot be read: {e}"), mend);
            }
        };
        paths.sort();
        for path in paths {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.starts_with('.') || path.is_dir() {
                continue;
            }
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                self.toml_file(&path);
            } else {
                self.value_file(&path, name);
            }
        }
    }

    fn value_file(&mut self, path: &Path, name: &str) {
        let Some(text) = self.read(path) else {
            return;
        };
        let key = KeyPath::dotted(&name.replace("__", "."));
        let origin = Origin::File {
            path: path.display().to_string(),
            line: None,
        };
        self.put(key, Raw::Text(text.trim().to_owned()), origin);
    }

    fn variable(&mut self, name: &str, value: &str) {
        let origin = Origin::Environment {
            name: name.to_owned(),
        };
        if name == BOOTSTRAP_VARIABLE {
            let key = KeyPath::dotted("auth.bootstrap_admin_key");
            return self.put(key, Raw::Text(value.to_owned()), origin);
        }
        // Others of our variables are no settings: HOLDFAST_URL, or what Kubernetes sets for a
        // service called `holdfast`.
        let Some(rest) = name.strip_prefix(PREFIX) else {
            return;
        };
        if rest.starts_with(OVERLAY) {
            return;
        }
        if rest.contains("__") || matches!(rest, "PRODUCTION" | "DATA") {
            let key = KeyPath::dotted(&rest.to_ascii_lowercase().replace("__", "."));
            self.put(key, Raw::Text(value.to_owned()), origin);
        }
    }
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn origin(&self, span: Option<std::ops::Range<usize>>) -> Origin {
        let line = span.map(|span| line_of(self.text, span.start));
        Origin::File {
            path: self.path.display().to_string(),
            line,
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count()
}

fn raw_of(value: &Value) -> Raw {
    match value {
        Value::String(text) => Raw::Str(text.value().clone()),
        Value::Integer(number) => Raw::Int(*number.value()),
        Value::Boolean(truth) => Raw::Bool(*truth.value()),
        Value::Array(list) => Raw::List(list.iter().map(raw_of).collect()),
        Value::Float(_) => Raw::Other("number with a point"),
        Value::Datetime(_) => Raw::Other("date"),
        Value::InlineTable(_) => Raw::Other("table"),
    }
}
