//! Notices that files have changed, by looking.
//!
//! Notifications of the file system are no help here: a mounted config map changes by swapping a
//! link two levels up, and network file systems send none. There are a handful of files, so a look
//! each second costs nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often to look.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files of one directory that are looked at; a folder with more is no configuration.
const DIR_FILES_MAX: usize = 10_000;

/// What files looked like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look(Vec<(PathBuf, Option<(u64, SystemTime)>)>);

impl Look {
    /// How these files, and the files in these directories, look now.
    #[must_use]
    pub fn at(paths: &[PathBuf]) -> Self {
        let mut seen = Vec::new();
        for path in paths {
            seen.push(one(path));
            if let Ok(entries) = std::fs::read_dir(path) {
                let inner = entries
                    .filter_map(Result::ok)
                    .map(|entry| one(&entry.path()));
                seen.extend(inner.take(DIR_FILES_MAX));
            }
        }
        seen.sort();
        seen.dedup();
        Self(seen)
    }
}

fn one(path: &Path) -> (PathBuf, Option<(u64, SystemTime)>) {
    let meta = std::fs::metadata(path).ok();
    (
        path.to_path_buf(),
        meta.and_then(|meta| Some((meta.len(), meta.modified().ok()?))),
    )
}

/// Calls `changed` after each change of what `paths` names then; `first` is how it looked when it
/// was read. A change is told once the files have looked the same twice, so that a file that is
/// being written is not read half. Never ends.
pub async fn watch(first: Look, paths: impl Fn() -> Vec<PathBuf>, changed: impl Fn()) {
    let mut told = first;
    let mut last = told.clone();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = Look::at(&paths());
        if now != told && now == last {
            told = now.clone();
            changed();
        }
        last = now;
    }
}
