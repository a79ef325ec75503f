//! Where policies come from: a folder, or the program itself.

use crate::error::{Finding, PolicyError};
use crate::gate::Revision;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The schema's file name.
pub(crate) const SCHEMA: &str = "schema.cedarschema";

/// Files of policies in one folder. A mounted config map of a thousand would not load either, and
/// one file holds many policies.
const FILES_MAX: usize = 256;

/// Bytes of one file of policies: a hundred of the longest, or several thousand usual ones.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of the schema. Amazon Verified Permissions has the same limit.
const SCHEMA_BYTES_MAX: usize = 100_000;

/// The signature's file name.
pub(crate) const SIGNATURE: &str = "policies.sig";

/// Bytes of the signature: one line of some 160 bytes, and a little room.
const SIGNATURE_BYTES_MAX: usize = 512;

/// A file's name (with its folder, as people would find it) and text.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Text {
    /// Both, as findings want them.
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.name, &self.text)
    }
}

/// A schema and files of policies, sorted by name.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) schema: Text,
    pub(crate) policies: Vec<Text>,
    /// What stands in `policies.sig`, if it is there.
    pub(crate) signature: Option<Text>,
}

/// The files of the folder `policies` that the program carries; a test holds them against it.
const BUILT_IN: [(&str, &str); 4] = [
    (
        "grants.cedar",
        include_str!("../../../policies/grants.cedar"),
    ),
    ("host.cedar", include_str!("../../../policies/host.cedar")),
    (
        "isolation.cedar",
        include_str!("../../../policies/isolation.cedar"),
    ),
    (
        "tenant.cedar",
        include_str!("../../../policies/tenant.cedar"),
    ),
];

impl Source {
    /// The policies that the program carries.
    pub(crate) fn built_in() -> Self {
        let named = |(name, text): (&str, &str)| Text {
            name: format!("built-in/{name}"),
            text: text.into(),
        };
        Self {
            schema: named((SCHEMA, include_str!("../../../policies/schema.cedarschema"))),
            policies: BUILT_IN.into_iter().map(named).collect(),
            signature: None,
        }
    }

    /// The policies of a folder: its schema and `*.cedar` in it, not below it.
    pub(crate) fn read(dir: &Path) -> Result<Self, Vec<PolicyError>> {
        let mut problems = Vec::new();
        let mut keep = |read: Result<Text, PolicyError>| read.map_err(|e| problems.push(e)).ok();
        let schema = keep(read_text(&dir.join(SCHEMA), SCHEMA_BYTES_MAX));
        let policies = policy_files(dir).map_err(|e| vec![e])?;
        let policies = policies
            .iter()
            .filter_map(|path| keep(read_text(path, FILE_BYTES_MAX)))
            .collect();
        let signature = dir.join(SIGNATURE);
        let signature = match signature.is_file() {
            true => keep(read_text(&signature, SIGNATURE_BYTES_MAX)),
            false => None,
        };
        match schema {
            Some(schema) if problems.is_empty() => Ok(Self {
                schema,
                policies,
                signature,
            }),
            _ => Err(problems),
        }
    }

    /// Files that lie nowhere yet, under the names that they would have in a folder.
    pub(crate) fn of_files(files: BTreeMap<String, String>) -> Result<Self, Vec<PolicyError>> {
        let mut source = Self {
            schema: Text {
                name: SCHEMA.into(),
                text: String::new(),
            },
            policies: Vec::new(),
            signature: None,
        };
        let mut problems = Vec::new();
        for (name, text) in files {
            let is_plain = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
            let file = Text { name, text };
            match file.name.as_str() {
                SCHEMA if file.text.len() <= SCHEMA_BYTES_MAX => source.schema = file,
                SIGNATURE if file.text.len() <= SIGNATURE_BYTES_MAX => {
                    source.signature = Some(file);
                }
                name if is_plain
                    && name.ends_with(".cedar")
                    && file.text.len() <= FILE_BYTES_MAX =>
                {
                    source.policies.push(file);
                }
                name => {
                    let why = "is too long, or no file of policies";
                    let mend = "send schema.cedarschema, *.cedar and policies.sig";
                    problems.push(Finding::whole(name, why, mend).into());
                }
            }
        }
        if source.policies.len() > FILES_MAX {
            let why = format!(
                "{} files of policies, {FILES_MAX} at most",
                source.policies.len()
            );
            let mend = "put more policies into one file";
            problems.push(Finding::whole("the candidate", why, mend).into());
        }
        match problems.is_empty() {
            true => Ok(source),
            false => Err(problems),
        }
    }

    /// Puts the files into a folder in the place of those that are there. Each is written beside
    /// its place first; one that the folder alone has is taken away last.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), PolicyError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PolicyError::Read { path, source }
        };
        let files = std::iter::once(&self.schema)
            .chain(&self.policies)
            .chain(&self.signature);
        let mut places = Vec::new();
        for file in files {
            let place = dir.join(Path::new(&file.name).file_name().unwrap_or_default());
            let beside = place.with_added_extension("new");
            std::fs::write(&beside, &file.text).map_err(failed(&beside))?;
            places.push((beside, place));
        }
        for (beside, place) in &places {
            std::fs::rename(beside, place).map_err(failed(place))?;
        }
        let is_kept = |path: &PathBuf| places.iter().any(|(_, place)| place == path);
        let mut there = policy_files(dir)?;
        there.push(dir.join(SIGNATURE));
        for path in there.iter().filter(|path| !is_kept(path) && path.exists()) {
            std::fs::remove_file(path).map_err(failed(path))?;
        }
        Ok(())
    }

    /// The name of just this schema and these policies.
    pub(crate) fn revision(&self) -> Revision {
        let digest = self.digest();
        let first: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Revision(first.into())
    }

    /// What is signed.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for file in std::iter::once(&self.schema).chain(&self.policies) {
            let name = Path::new(&file.name).file_name().unwrap_or_default();
            // Lengths go first, so that no two different folders read the same.
            for part in [name.as_encoded_bytes(), file.text.as_bytes()] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }
}

fn policy_files(dir: &Path) -> Result<Vec<PathBuf>, PolicyError> {
    let unreadable = |source| PolicyError::Read {
        path: dir.into(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // Whether it is a file is asked through links: config maps are mounted as links.
        if path.extension().is_some_and(|end| end == "cedar") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.len() > FILES_MAX {
        return Err(Finding::whole(
            &dir.display().to_string(),
            format!("{} files of policies, {FILES_MAX} at most", files.len()),
            "put more policies into one file",
        )
        .into());
    }
    Ok(files)
}

/// Reads a file of at most `bytes_max` bytes; never more than that is held.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<Text, PolicyError> {
    let unreadable = |source| PolicyError::Read {
        path: path.into(),
        source,
    };
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > bytes_max {
        return Err(Finding::whole(
            &name,
            format!("longer than {bytes_max} bytes"),
            "split it or cut it down",
        )
        .into());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text { name, text }),
        Err(_) => Err(Finding::whole(&name, "is not UTF-8", "save it as UTF-8 text").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_carries_every_policy_of_the_folder() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        let (ours, folder) = (Source::built_in(), Source::read(&dir).unwrap());
        assert_eq!(ours.revision(), folder.revision());
    }
}
