//! What was promoted and what was rolled back, kept beyond a restart.
//!
//! The folder says what there is; this says which of it serves. Without it a restart would take the
//! folder's newest file, and forget that it was rolled back or never promoted. What serves is kept
//! here as files too, because the folder may hold only its successor by then.
//!
//! ```text
//! plugins-state/             only the host's own (0700)
//!   state.json               {"version": 1, "plugins": {"NAME": {"live": …, "previous": …}}}
//!   packages/FINGERPRINT/    plugin.wasm, plugin.toml, plugin.sig, plugin.vectors.json
//! ```
//!
//! Nothing here is believed: a package must still have the fingerprint that its folder is named
//! after, and goes through the same stages as one from the folder, signature included.

use crate::folder::{self, Unread};
use crate::kind::Kind;
use crate::package::{Fingerprint, Package};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file's format. Another one is not read: better to take the folder as it is, and to say so,
/// than to guess.
const VERSION: u32 = 1;

/// Largest state file: some hundred bytes for each plugin.
const STATE_BYTES_MAX: u64 = 1 << 20;

/// The name that a kept package's files have.
const STEM: &str = "plugin";

/// What is kept of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// The fingerprint of what serves.
    pub(crate) live: Option<String>,
    /// Of what it can be rolled back to.
    pub(crate) previous: Option<String>,
    /// Of what waits for its promotion. A restart takes it from the folder again.
    pub(crate) candidate: Option<String>,
    /// Of what was rolled back, or did not pass its shadow, and why: it is not tried again by
    /// itself.
    pub(crate) rejected: Option<Rejected>,
    /// As what it serves, if calls must not be answered without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duty: Option<Kind>,
}

/// What must not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rejected {
    /// Its fingerprint.
    pub(crate) fingerprint: String,
    /// Why.
    pub(crate) why: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    plugins: BTreeMap<String, Kept>,
}

/// Where it is kept; nowhere if the host was given no place.
#[derive(Debug)]
pub(crate) struct Keep {
    dir: Option<PathBuf>,
    /// What was last written, so that nothing is written twice.
    written: Mutex<BTreeMap<String, Kept>>,
}

impl Keep {
    /// Opens a folder, and makes it if it is not there.
    pub(crate) fn open(dir: Option<&Path>) -> io::Result<Self> {
        let mut written = BTreeMap::new();
        if let Some(dir) = dir {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir.join("packages"))?;
            match read(&dir.join("state.json")) {
                Ok(plugins) => written = plugins,
                Err(why) => {
                    tracing::error!(dir = %dir.display(), why, "what was promoted and rolled back is not known any more: the plugins folder is taken as it is");
                }
            }
            // What a host that was killed had put there and never came to use.
            let used = used(&written);
            for entry in fs::read_dir(dir.join("packages"))? {
                let entry = entry?;
                if !used.contains(&*entry.file_name().to_string_lossy()) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
        }
        Ok(Self {
            dir: dir.map(Path::to_owned),
            written: Mutex::new(written),
        })
    }

    /// What was kept of a plugin.
    pub(crate) fn of(&self, name: &str) -> Kept {
        self.written.lock().get(name).cloned().unwrap_or_default()
    }

    /// What was kept of all.
    pub(crate) fn all(&self) -> BTreeMap<String, Kept> {
        self.written.lock().clone()
    }

    /// Keeps a package's files, under its fingerprint.
    pub(crate) fn put(&self, package: &Package) -> io::Result<()> {
        let Some(place) = self.place(&package.fingerprint.hex()) else {
            return Ok(());
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&place)?;
        folder::write(&place, STEM, package)
    }

    /// The files that were kept under a fingerprint.
    pub(crate) fn get(&self, fingerprint: &str) -> Result<Package, String> {
        let place = self
            .place(fingerprint)
            .ok_or("nothing is kept: the host has no folder for it")?;
        let found = folder::read(&place, STEM).map_err(|unread| match unread {
            Unread::Wrong(why) => why,
            Unread::Gone => "it is not there any more".into(),
            Unread::Unsettled => "somebody writes to it".into(),
        })?;
        match found.package.fingerprint.hex() == fingerprint {
            true => Ok(found.package),
            false => Err("somebody has changed it".into()),
        }
    }

    /// Whether a package is kept.
    pub(crate) fn has(&self, fingerprint: &Fingerprint) -> bool {
        self.place(&fingerprint.hex())
            .is_some_and(|place| place.join(format!("{STEM}.wasm")).is_file())
    }

    /// Writes what is to be kept, and drops the packages that nobody can come back to.
    pub(crate) fn write(&self, plugins: BTreeMap<String, Kept>) -> io::Result<()> {
        let mut written = self.written.lock();
        if *written == plugins {
            return Ok(());
        }
        if let Some(dir) = &self.dir {
            let state = State {
                version: VERSION,
                plugins: plugins.clone(),
            };
            let text = serde_json::to_vec_pretty(&state)?;
            folder::write_whole(&dir.join("state.json"), &text)?;
            let is_used = used(&plugins);
            for fingerprint in used(&written).difference(&is_used) {
                if let Some(place) = self.place(fingerprint)
                    && place.is_dir()
                {
                    fs::remove_dir_all(place)?;
                }
            }
        }
        *written = plugins;
        Ok(())
    }

    fn place(&self, fingerprint: &str) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        // The name comes from a file: it must not lead anywhere else.
        let is_plain =
            fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
        is_plain.then(|| dir.join("packages").join(fingerprint))
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Kept>, String> {
    let length = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    if length > STATE_BYTES_MAX {
        return Err(format!(
            "state.json has {length} bytes, and may have {STATE_BYTES_MAX}"
        ));
    }
    let text = fs::read(path).map_err(|e| e.to_string())?;
    let state: State = serde_json::from_slice(&text).map_err(|e| format!("state.json: {e}"))?;
    match state.version == VERSION {
        true => Ok(state.plugins),
        false => Err(format!(
            "state.json has version {}, and this host knows {VERSION}",
            state.version
        )),
    }
}

/// The packages that somebody can come back to.
fn used(plugins: &BTreeMap<String, Kept>) -> BTreeSet<&str> {
    plugins.values().flat_map(Kept::packages).collect()
}

impl Kept {
    fn packages(&self) -> impl Iterator<Item = &str> {
        let all = [&self.live, &self.previous, &self.candidate];
        all.into_iter().filter_map(|one| one.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(text: &str) -> Package {
        Package::new(text.into(), String::new(), None, None)
    }

    fn live(package: &Package) -> BTreeMap<String, Kept> {
        let kept = Kept {
            live: Some(package.fingerprint.hex()),
            ..Kept::default()
        };
        BTreeMap::from([("a".to_owned(), kept)])
    }

    #[test]
    fn what_was_kept_is_there_again_and_the_rest_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (package("old"), package("new"));
        let keep = Keep::open(Some(dir.path())).unwrap();
        keep.put(&old).unwrap();
        keep.write(live(&old)).unwrap();
        keep.put(&new).unwrap();
        assert!(keep.has(&new.fingerprint) && keep.has(&old.fingerprint));
        let again = Keep::open(Some(dir.path())).unwrap();
        let kept = again.of("a").live.unwrap();
        assert_eq!(again.get(&kept).unwrap(), old);
        assert!(!again.has(&new.fingerprint) && again.has(&old.fingerprint));
        assert_eq!(again.of("b"), Kept::default());
    }

    #[test]
    fn what_was_tampered_with_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::open(Some(dir.path())).unwrap();
        let old = package("old");
        keep.put(&old).unwrap();
        let name = old.fingerprint.hex();
        fs::write(
            dir.path().join("packages").join(&name).join("plugin.wasm"),
            "x",
        )
        .unwrap();
        assert!(keep.get(&name).unwrap_err().contains("changed"));
        for name in ["../../etc", "", &"g".repeat(64)] {
            assert!(keep.get(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_state_that_cannot_be_read_is_left_and_the_host_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["{", "{\"version\": 2, \"plugins\": {}}", "[]"] {
            fs::write(dir.path().join("state.json"), text).unwrap();
            let keep = Keep::open(Some(dir.path())).unwrap();
            assert_eq!(keep.of("a"), Kept::default(), "{text}");
        }
        let nowhere = Keep::open(None).unwrap();
        nowhere.put(&package("x")).unwrap();
        nowhere.write(live(&package("x"))).unwrap();
        assert!(nowhere.get(&package("x").fingerprint.hex()).is_err());
    }
}
