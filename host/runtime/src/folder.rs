//! The plugins folder, as it is on disk.

use crate::limits::{MANIFEST_BYTES_MAX, WASM_BYTES_CEILING};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

/// Characters of a plugin's name: it stands in metrics, logs and answers.
const NAME_CHARS_MAX: usize = 64;

/// What lies there under one name, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The component.
    pub(crate) wasm: Vec<u8>,
    /// `NAME.toml`, empty if there is none.
    pub(crate) manifest: String,
    /// SHA-256 of the component.
    pub(crate) digest: [u8; 32],
    /// SHA-256 of both.
    pub(crate) fingerprint: [u8; 32],
    /// When the component was last written.
    pub(crate) modified: SystemTime,
}

/// Why a file could not be read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It changed while it was read: somebody still copies. Look again soon.
    Unsettled,
    /// It is gone.
    Gone,
    /// It cannot be read or is too large.
    Wrong(String),
}

/// The names of all plugins in a folder. What begins with a dot or does not end in `.wasm` is none.
pub(crate) fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let file_name = entry?.file_name();
        let Some(file_name) = file_name.to_str() else {
            tracing::warn!(file = ?file_name, "a file in the plugins folder has a name that is no UTF-8: it is left out");
            continue;
        };
        if let Some(name) = file_name.strip_suffix(".wasm")
            && !name.starts_with('.')
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

/// Whether a plugin can be called so.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        return Ok(());
    }
    Err(format!(
        "the file's name is not usable; rename it to 1 to {NAME_CHARS_MAX} of letters, digits, - _ . and .wasm"
    ))
}

/// Reads one plugin's files.
pub(crate) fn read(dir: &Path, name: &str) -> Result<Files, Unread> {
    let (wasm, modified) = read_settled(&dir.join(format!("{name}.wasm")), WASM_BYTES_CEILING)?;
    let manifest = match read_settled(&dir.join(format!("{name}.toml")), MANIFEST_BYTES_MAX) {
        Ok((bytes, _)) => String::from_utf8(bytes)
            .map_err(|_| Unread::Wrong(format!("{name}.toml is no UTF-8")))?,
        Err(Unread::Gone) => String::new(),
        Err(Unread::Wrong(why)) => return Err(Unread::Wrong(format!("{name}.toml {why}"))),
        Err(Unread::Unsettled) => return Err(Unread::Unsettled),
    };
    let digest: [u8; 32] = Sha256::digest(&wasm).into();
    let mut both = Sha256::new();
    both.update(digest);
    both.update(manifest.as_bytes());
    Ok(Files {
        wasm,
        manifest,
        digest,
        fingerprint: both.finalize().into(),
        modified,
    })
}

/// Reads a file that nobody writes meanwhile: its length and time are the same before and after.
fn read_settled(path: &Path, most: usize) -> Result<(Vec<u8>, SystemTime), Unread> {
    let unread = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => Unread::Gone,
        _ => Unread::Wrong(format!("cannot be read ({e}); check its permissions")),
    };
    let file = File::open(path).map_err(unread)?;
    let before = file.metadata().map_err(unread)?;
    if !before.is_file() {
        return Err(Unread::Wrong("is no file".into()));
    }
    let most = most as u64;
    if before.len() > most {
        return Err(Unread::Wrong(format!(
            "has {} bytes, and may have {most}; build it with --release and strip it",
            before.len()
        )));
    }
    let mut bytes = Vec::new();
    (&file)
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    let after = file.metadata().map_err(unread)?;
    let modified = before.modified().map_err(unread)?;
    let is_settled = after.len() == before.len()
        && bytes.len() as u64 == before.len()
        && after.modified().ok() == Some(modified);
    if is_settled {
        Ok((bytes, modified))
    } else {
        Err(Unread::Unsettled)
    }
}

/// A digest as people write it.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_copied_or_hidden_is_no_plugin() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.wasm", ".b.wasm", "c.wasm.tmp", "d.toml", "e.tmp"] {
            fs::write(dir.path().join(file), b"x").unwrap();
        }
        assert_eq!(names(dir.path()).unwrap(), BTreeSet::from(["a".into()]));
    }

    #[test]
    fn the_manifest_is_part_of_the_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.wasm"), b"x").unwrap();
        let bare = read(dir.path(), "a").unwrap();
        fs::write(dir.path().join("a.toml"), b"[limits]").unwrap();
        let with = read(dir.path(), "a").unwrap();
        assert_eq!(bare.digest, with.digest);
        assert_ne!(bare.fingerprint, with.fingerprint);
        assert!(matches!(read(dir.path(), "z"), Err(Unread::Gone)));
    }

    #[test]
    fn a_folder_or_a_giant_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a.wasm")).unwrap();
        let file = File::create(dir.path().join("b.wasm")).unwrap();
        file.set_len(WASM_BYTES_CEILING as u64 + 1).unwrap();
        assert!(
            matches!(read(dir.path(), "a"), Err(Unread::Wrong(why)) if why.contains("no file"))
        );
        assert!(
            matches!(read(dir.path(), "b"), Err(Unread::Wrong(why)) if why.contains("may have"))
        );
    }

    #[test]
    fn names_stay_plain() {
        for name in ["", "a b", "ü", "a/b", "a\n", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("pricing-tiered_v1.2").is_ok());
    }
}
