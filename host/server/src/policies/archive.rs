//! Policies that have decided something, kept by their names, so that a decision of theirs can be
//! decided again. They are files in the data directory: a platform's set may be far larger than a
//! record of the store, and each process keeps what it decided by itself.

use super::record::OwnPolicies;
use holdfast_policy::{Revision, TenantSet};
use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Sets that are kept, the newest. Some kB each; a set that changes daily is kept for a decade.
const KEPT_MAX: usize = 4_096;

/// The ending of a file that is there.
const ENDING: &str = "json";

/// Where sets are kept.
#[derive(Debug, Clone)]
pub struct Archive {
    dir: PathBuf,
}

impl Archive {
    /// In a folder, which is made when something is kept.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Keeps the platform's set of a revision: files by their names. What cannot be kept is
    /// logged, and what it decides cannot be replayed.
    pub fn keep_platform(&self, revision: &Revision, files: &BTreeMap<String, String>) {
        self.keep(&revision.0, files);
    }

    /// Keeps what a tenant says for itself.
    pub(super) fn keep_own(&self, own: &OwnPolicies, set: &TenantSet) {
        self.keep(&own_name(own.tenant.as_str(), &set.revision().0), own);
    }

    /// The platform's set of a revision, if it is kept.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn platform(&self, revision: &str) -> io::Result<Option<BTreeMap<String, String>>> {
        self.find(revision)
    }

    /// What a tenant said for itself, by its revision, if it is kept.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn own(&self, tenant: &str, revision: &str) -> io::Result<Option<TenantSet>> {
        let own: Option<OwnPolicies> = self.find(&own_name(tenant, revision))?;
        Ok(own.map(|own| own.set()))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.{ENDING}"))
    }

    fn find<T: serde::de::DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.place(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(Some(serde_json::from_slice(&read?)?)),
        }
    }

    fn keep(&self, name: &str, what: &impl serde::Serialize) {
        if let Err(error) = self.try_keep(name, what) {
            tracing::error!(name, %error, "policies cannot be kept, so what they decide cannot be replayed; free space in the data directory");
        }
    }

    fn try_keep(&self, name: &str, what: &impl serde::Serialize) -> io::Result<()> {
        let place = self.place(name);
        if place.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.dir)?;
        let beside = place.with_extension("tmp");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(what)?)?;
        file.sync_data()?;
        fs::rename(&beside, place)?;
        self.let_go()
    }

    /// Lets go of the oldest that are too many.
    fn let_go(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            kept.extend(aged(&entry?));
        }
        let many = kept.len().saturating_sub(KEPT_MAX);
        kept.sort();
        for (_, path) in kept.iter().take(many) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn own_name(tenant: &str, revision: &str) -> String {
    format!("{tenant}+{revision}")
}

fn aged(entry: &DirEntry) -> Option<(std::time::SystemTime, PathBuf)> {
    let path = entry.path();
    let is_kept = |path: &Path| path.extension().is_some_and(|ending| ending == ENDING);
    let modified = entry.metadata().ok()?.modified().ok()?;
    is_kept(&path).then_some((modified, path))
}
