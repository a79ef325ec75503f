//! A folder of a command's own, which goes with it.

use crate::commands::Failure;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// The folder.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one among the system's temporary ones.
    pub(super) fn make(what: &str) -> Result<Self, Failure> {
        let id = uuid::Uuid::now_v7().simple();
        let path = std::env::temp_dir().join(format!("holdfast-{what}-{id}"));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays of it lies where the system clears up.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
