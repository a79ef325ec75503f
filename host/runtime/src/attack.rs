//! The hostile kit: plugins that misbehave in every way that we know of, and what the host must say
//! to each. The tests run it, and so does `holdfast plugin attack`.
//!
//! `kit.json` lists the cases. A case makes a file (mostly a hostile component with settings that
//! say what to do), lets an [`Arena`] take it in beside well-behaved plugins, calls it, and
//! compares what the host says, to the caller and in the plugin's log, with what is written. After
//! each, the well-behaved ones must still answer, and nothing of the hostile one may be left. Those
//! that call somebody call a hostile server of the arena's own, by names that lead astray.

mod arena;
mod calls;
mod case;
mod laying;
mod outside;
pub(crate) mod questions;
mod siege;

pub use arena::Arena;
pub use case::{Case, Isolation};
pub use outside::Outside;
pub use siege::Siege;

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The kit's list of cases, beside the components.
const LIST: &str = "kit.json";

/// The kit cannot be used. What a plugin does is never an error here.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// A file that cannot be read or written.
    #[error("{}: {source}; build the kit with plugins/build", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The list or a case makes no sense.
    #[error("{LIST}: {0}")]
    List(String),
    /// The server that hostile plugins call cannot be started.
    #[error("no server for hostile plugins to call can be started ({0})")]
    Outside(io::Error),
    /// The plugins cannot be opened, or a well-behaved one does not work from the start.
    #[error("the arena cannot be opened: {0}")]
    Arena(String),
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attacked {
    /// Which.
    pub case: String,
    /// What the host must say.
    pub expected: String,
    /// What it says.
    pub said: String,
    /// Whether that is the same and nobody else was hurt.
    pub is_held: bool,
    /// How long it took in all, loading included.
    pub millis: u64,
}

/// The cases and the components that they are made of.
#[derive(Debug)]
pub struct Kit {
    dir: PathBuf,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Case>,
}

impl Kit {
    /// Reads `kit.json` in a folder that has the hostile components too.
    ///
    /// # Errors
    /// A file that is not there, or a list that makes no sense.
    pub fn read(dir: &Path) -> Result<Self, KitError> {
        let path = dir.join(LIST);
        let text = fs::read_to_string(&path).map_err(|source| KitError::File { path, source })?;
        let list: List =
            serde_json::from_str(&text).map_err(|error| KitError::List(error.to_string()))?;
        Ok(Self {
            dir: dir.to_owned(),
            cases: list.cases,
        })
    }

    /// The cases, in the order of the list.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    fn component(&self, name: &str) -> Result<Vec<u8>, KitError> {
        let path = self.dir.join(format!("{name}.wasm"));
        fs::read(&path).map_err(|source| KitError::File { path, source })
    }
}
