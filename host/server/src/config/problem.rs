//! What is wrong with a configuration, and where.

use serde::Serialize;
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// A file, and the place in it if it is known.
    File {
        /// The file.
        path: String,
        /// The line, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    /// A config plugin.
    Plugin {
        /// Its name.
        name: String,
    },
    /// The environment.
    Environment {
        /// The variable.
        name: String,
    },
    /// The command line.
    Flag {
        /// The flag.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{path}:{line}"),
            Self::File { path, line: None } => f.write_str(path),
            Self::Plugin { name } => write!(f, "plugin {name}"),
            Self::Environment { name } => write!(f, "${name}"),
            Self::Flag { name } => f.write_str(name),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The key, as `section.key`; empty if the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to write instead.
    pub write: String,
}

/// That the value of a key is wrong, from somebody who does not know where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The key, as `section.key`.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to write instead.
    pub write: String,
}

impl Complaint {
    /// Names a key, what is wrong with its value and what to write instead.
    pub fn new(key: impl Into<String>, wrong: impl Into<String>, write: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            wrong: wrong.into(),
            write: write.into(),
        }
    }
}

/// Everything that is wrong with a configuration: never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The problems, by where they stand.
    pub problems: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { problems }
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    /// One problem a line, in columns, with what to write below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.problems.iter().map(|p| p.origin.to_string()).collect();
        let place_width = places.iter().map(|p| p.chars().count()).max().unwrap_or(0);
        let key_width = self
            .problems
            .iter()
            .map(|p| p.key.chars().count())
            .max()
            .unwrap_or(0);
        for (problem, place) in self.problems.iter().zip(&places) {
            let Problem {
                key, wrong, write, ..
            } = problem;
            writeln!(f, "{place:place_width$}  {key:key_width$}  {wrong}")?;
            writeln!(f, "{:place_width$}  {:key_width$}  → {write}", "", "")?;
        }
        let count = self.problems.len();
        write!(f, "{count} problem{}", if count == 1 { "" } else { "s" })
    }
}
