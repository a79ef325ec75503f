//! A plugin's files as they lie beside each other: `NAME.wasm`, and perhaps `NAME.toml`,
//! `NAME.vectors.json` and `NAME.sig`.

use crate::commands::Failure;
use anyhow::{Context, anyhow, bail};
use holdfast_runtime::workbench::{self, Piece, Workbench};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is read at all: above any host's bound, whose own words say more.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The files of one plugin.
pub(super) struct Draft {
    /// Where the component is.
    pub(super) path: PathBuf,
    /// The plugin's name: the file's.
    pub(super) name: String,
    /// The component.
    pub(super) wasm: Vec<u8>,
}

impl Draft {
    /// Reads the component.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name.filter(|name| !name.is_empty() && !name.starts_with('.'));
        let is_wasm = path.extension().is_some_and(|ending| ending == "wasm");
        let (Some(name), true) = (name, is_wasm) else {
            bail!(
                "{} is no component by its name; name the built NAME.wasm",
                path.display()
            );
        };
        Ok(Self {
            name: name.to_owned(),
            wasm: read(path)?,
            path: path.to_owned(),
        })
    }

    /// Where the file with another ending lies.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        self.path.with_file_name(format!("{}.{ending}", self.name))
    }

    /// The text of the file with another ending, if it is there.
    pub(super) fn text(&self, ending: &str) -> Result<Option<String>, Failure> {
        let path = self.beside(ending);
        if !path.try_exists()? {
            return Ok(None);
        }
        text(&path).map(Some)
    }

    /// SHA-256 of the component.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.wasm).into()
    }

    /// The settings that `NAME.toml` has, as `init` takes them.
    pub(super) fn settings(&self) -> Result<String, Failure> {
        let manifest = self.text("toml")?.unwrap_or_default();
        workbench::settings_of(&manifest).map_err(|why| anyhow!("{}.toml: {why}", self.name))
    }

    /// The component on a workbench, with what `NAME.toml` says.
    pub(super) fn piece(&self) -> Result<Piece, Failure> {
        self.piece_with(&self.text("toml")?.unwrap_or_default())
    }

    /// The component on a workbench, with this manifest.
    pub(super) fn piece_with(&self, manifest: &str) -> Result<Piece, Failure> {
        // What a plugin is granted of the environment, it is granted of this command's.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let bench = Workbench::open(environment.collect()).map_err(|why| anyhow!(why))?;
        let piece = bench.take(&self.name, &self.wasm, manifest);
        piece.map_err(|why| anyhow!(why))
    }

    /// The golden vectors of `NAME.vectors.json`, if it is there.
    pub(super) fn vectors(&self) -> Result<Option<String>, Failure> {
        self.text("vectors.json")
    }

    /// The golden vectors, which must be there: of the file that is named, else of
    /// `NAME.vectors.json`. Where they are, and what is written.
    pub(super) fn vectors_of(&self, named: Option<&Path>) -> Result<(PathBuf, String), Failure> {
        let path = named.map_or_else(|| self.beside("vectors.json"), Path::to_owned);
        if named.is_none() && !path.try_exists()? {
            bail!(
                "there is no {}; write golden vectors there, or record one with `holdfast plugin \
                 record {}`",
                path.display(),
                self.path.display()
            );
        }
        let written = text(&path)?;
        Ok((path, written))
    }
}

/// A file's text.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|_| anyhow!("{} is no UTF-8", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unread = || format!("{} cannot be read", path.display());
    let file = File::open(path).with_context(unread)?;
    if !file.metadata().with_context(unread)?.is_file() {
        bail!("{} is no file", path.display());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(unread)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        bail!(
            "{} has more than {FILE_BYTES_MAX} bytes, which no host takes",
            path.display()
        );
    }
    Ok(bytes)
}
