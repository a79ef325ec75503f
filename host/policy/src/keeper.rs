//! Who is told of every set of policies that comes into force, so that what it decided can be
//! decided again when it no longer is.

use crate::gate::Revision;
use crate::source::Source;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Keeps a set: its name, and its files by their names.
type Keep = dyn Fn(&Revision, BTreeMap<String, String>) + Send + Sync;

/// Who is told of sets that come into force.
pub struct Keeper(Box<Keep>);

impl Keeper {
    /// Tells `keep` of every set, before it decides anything.
    pub fn new(keep: impl Fn(&Revision, BTreeMap<String, String>) + Send + Sync + 'static) -> Self {
        Self(Box::new(keep))
    }

    pub(crate) fn keep(&self, source: &Source) {
        let files = std::iter::once(&source.schema).chain(&source.policies);
        let files = files.map(|file| {
            let name = Path::new(&file.name).file_name().unwrap_or_default();
            (name.to_string_lossy().into_owned(), file.text.clone())
        });
        self.0(&source.revision(), files.collect());
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}
