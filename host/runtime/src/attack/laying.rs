//! How the file of a case comes to lie in a plugins folder: whole, in pieces, or again and again.

use super::KitError;
use super::case::Case;
use std::fs;
use std::io::Write;
use std::path::Path;

impl Case {
    /// Puts the component into a folder in the case's own way. Whenever the file is another than
    /// before, `look` is told whether it is there only in part; not at the end.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn lay(
        &self,
        dir: &Path,
        name: &str,
        bytes: &[u8],
        mut look: impl FnMut(bool),
    ) -> Result<(), KitError> {
        if let Some(pieces) = self.file.pieces {
            return write_on(dir, name, bytes, pieces, look);
        }
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        for _ in 0..self.file.storm.unwrap_or_default() {
            for (bytes, is_half) in [(half, true), (bytes, false)] {
                place(dir, name, bytes, None)?;
                look(is_half);
            }
        }
        place(dir, name, bytes, self.file.grow_to_bytes)
    }
}

/// Writes a file where it lies, in so many pieces.
fn write_on(
    dir: &Path,
    name: &str,
    bytes: &[u8],
    pieces: usize,
    mut look: impl FnMut(bool),
) -> Result<(), KitError> {
    let path = dir.join(name);
    let in_file = |source| KitError::File {
        path: path.clone(),
        source,
    };
    let mut file = fs::File::create(&path).map_err(in_file)?;
    let mut left = bytes.len();
    for piece in bytes.chunks(bytes.len().div_ceil(pieces.max(1)).max(1)) {
        file.write_all(piece).map_err(in_file)?;
        left = left.saturating_sub(piece.len());
        look(left > 0);
    }
    Ok(())
}

/// Puts a file into a folder as an installer does: beside, then by a rename.
pub(super) fn place(
    dir: &Path,
    name: &str,
    bytes: &[u8],
    grow_to: Option<u64>,
) -> Result<(), KitError> {
    let beside = dir.join(format!(".{name}.tmp"));
    let write = || {
        fs::write(&beside, bytes)?;
        if let Some(length) = grow_to {
            fs::File::options()
                .write(true)
                .open(&beside)?
                .set_len(length)?;
        }
        fs::rename(&beside, dir.join(name))
    };
    write().map_err(|source| KitError::File {
        path: dir.join(name),
        source,
    })
}
