//! The plugins folder, as it is on disk.

use crate::limits::{MANIFEST_BYTES_MAX, WASM_BYTES_CEILING};
use crate::package::Package;
use crate::signature::SIGNATURE_FILE_BYTES_MAX;
use crate::vectors::VECTORS_BYTES_MAX;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

/// Characters of a plugin's name: it stands in metrics, logs and answers.
const NAME_CHARS_MAX: usize = 64;

/// What lies there under one name.
#[derive(Debug)]
pub(crate) struct Found {
    /// The files.
    pub(crate) package: Package,
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
        && !name.starts_with('.')
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
pub(crate) fn read(dir: &Path, name: &str) -> Result<Found, Unread> {
    let (wasm, modified) = read_settled(dir, &format!("{name}.wasm"), WASM_BYTES_CEILING)?;
    let beside = |file: String, most: usize| match read_settled(dir, &file, most) {
        Ok((bytes, _)) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Unread::Wrong(format!("{file} is no UTF-8; write it again"))),
        Err(Unread::Gone) => Ok(None),
        Err(unread) => Err(unread),
    };
    let manifest = beside(format!("{name}.toml"), MANIFEST_BYTES_MAX)?.unwrap_or_default();
    let signature = beside(format!("{name}.sig"), SIGNATURE_FILE_BYTES_MAX)?;
    let vectors = beside(format!("{name}.vectors.json"), VECTORS_BYTES_MAX)?;
    Ok(Found {
        package: Package::new(wasm, manifest, signature, vectors),
        modified,
    })
}

/// Writes one plugin's files. Each appears whole; the component comes last, because it alone makes
/// a plugin.
pub(crate) fn write(dir: &Path, name: &str, package: &Package) -> io::Result<()> {
    let manifest = (!package.manifest.is_empty()).then_some(package.manifest.as_bytes());
    let parts = [
        ("toml", manifest),
        ("sig", package.signature.as_ref().map(String::as_bytes)),
        (
            "vectors.json",
            package.vectors.as_ref().map(String::as_bytes),
        ),
        ("wasm", Some(package.wasm.as_slice())),
    ];
    for (ending, bytes) in parts {
        let path = dir.join(format!("{name}.{ending}"));
        match bytes {
            Some(bytes) => write_whole(&path, bytes)?,
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
    }
    Ok(())
}

/// Removes one plugin's files; false if there was no component. That goes first, because it alone
/// makes a plugin.
pub(crate) fn remove(dir: &Path, name: &str) -> io::Result<bool> {
    let mut was_there = false;
    for ending in ["wasm", "vectors.json", "sig", "toml"] {
        match fs::remove_file(dir.join(format!("{name}.{ending}"))) {
            Ok(()) => was_there |= ending == "wasm",
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    File::open(dir)?.sync_all()?;
    Ok(was_there)
}

/// Writes a file beside its place, and then moves it there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{file_name}.tmp"));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads a file that nobody writes meanwhile: its length and time are the same before and after.
fn read_settled(dir: &Path, name: &str, most: usize) -> Result<(Vec<u8>, SystemTime), Unread> {
    let wrong = |why: String| Unread::Wrong(format!("{name} {why}"));
    let unread = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => Unread::Gone,
        _ => wrong(format!("cannot be read ({e}); check its permissions")),
    };
    let file = File::open(dir.join(name)).map_err(unread)?;
    let before = file.metadata().map_err(unread)?;
    if !before.is_file() {
        return Err(wrong("is no file".into()));
    }
    let most = most as u64;
    if before.len() > most {
        return Err(wrong(format!(
            "has {} bytes, and may have {most}; make it smaller (components: build with --release and strip)",
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
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = |text: &str| Some(text.to_owned());
        let full = Package::new(b"x".into(), "[limits]".into(), text("s"), text("v"));
        let bare = Package::new(b"y".into(), String::new(), None, None);
        for package in [full, bare] {
            write(dir.path(), "a", &package).unwrap();
            assert_eq!(read(dir.path(), "a").unwrap().package, package);
        }
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        fs::write(dir.path().join("a.toml"), b"").unwrap();
        assert!(remove(dir.path(), "a").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(!remove(dir.path(), "a").unwrap());
        assert!(matches!(read(dir.path(), "z"), Err(Unread::Gone)));
    }

    #[test]
    fn a_folder_or_a_giant_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a.wasm")).unwrap();
        let file = File::create(dir.path().join("b.wasm")).unwrap();
        file.set_len(WASM_BYTES_CEILING as u64 + 1).unwrap();
        fs::write(dir.path().join("c.wasm"), b"x").unwrap();
        fs::write(
            dir.path().join("c.sig"),
            [b'x'; SIGNATURE_FILE_BYTES_MAX + 1],
        )
        .unwrap();
        for (name, said) in [("a", "no file"), ("b", "may have"), ("c", "c.sig has")] {
            let refused = read(dir.path(), name).unwrap_err();
            assert!(
                matches!(&refused, Unread::Wrong(why) if why.contains(said)),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn names_stay_plain() {
        for name in ["", "a b", "ü", "a/b", "..", ".a", "a\n", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("pricing-tiered_v1.2").is_ok());
    }
}
