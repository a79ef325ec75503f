//! What no compiler checks: which part may know which, how big a file may grow, what it is called.
//!
//! Plain text checks over the whole repository. Each complaint names the file, the line and the
//! mend. Files that are generated (OpenAPI, the policy matrix, the reference of the configuration)
//! are compared with their sources by the tests of their owners.

mod edges;
mod files;
mod reach;

use std::fs;
use std::path::{Path, PathBuf};

/// What holds no source of ours: built, fetched or written while running.
const NOT_OURS: [&str; 7] = [
    ".git",
    ".run",
    "artifacts",
    "corpus",
    "dist",
    "node_modules",
    "target",
];

/// A text file of the repository.
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    #[cfg(test)]
    fn sample(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The lines with their numbers, as editors count them.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(n, line)| (n + 1, line))
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The name without directory and ending.
    fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split('.').next().unwrap_or(name)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every text file of ours.
fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                if !NOT_OURS.iter().any(|not_ours| name == *not_ours) {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                found.extend(read(&root, &entry.path()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        found.len() > 50,
        "only {} files: is this the repository?",
        found.len()
    );
    found
}

/// The file, unless it is no text (a component, an image).
fn read(root: &Path, path: &Path) -> Option<Source> {
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let path = path
        .strip_prefix(root)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    Some(Source { path, text })
}

/// Fails with every complaint, not with the first only.
fn must_be_none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} to mend:\n  {}",
        complaints.len(),
        complaints.join("\n  ")
    );
}

#[test]
fn crates_depend_one_way() {
    let manifests = sources()
        .into_iter()
        .filter(|s| s.path.ends_with("/Cargo.toml"));
    let complaints: Vec<_> = manifests.flat_map(|s| edges::of_crate(&s)).collect();
    must_be_none(&complaints);
}

#[test]
fn modules_of_the_server_depend_one_way() {
    let modules: Vec<_> = sources()
        .into_iter()
        .filter(|s| s.is_rust() && s.path.starts_with(edges::SERVER))
        .collect();
    let complaints: Vec<_> = modules.iter().flat_map(edges::of_module).collect();
    must_be_none(&complaints);
}

#[test]
fn the_outside_is_reached_where_it_may_be() {
    let rust = sources().into_iter().filter(Source::is_rust);
    let complaints: Vec<_> = rust.flat_map(|s| reach::of_file(&s)).collect();
    must_be_none(&complaints);
}

#[test]
fn files_are_small_and_well_named() {
    let rust = sources().into_iter().filter(Source::is_rust);
    let complaints: Vec<_> = rust.flat_map(|s| files::shape(&s)).collect();
    must_be_none(&complaints);
}

#[test]
fn nothing_is_put_off_in_a_comment() {
    let complaints: Vec<_> = sources().iter().flat_map(files::put_off).collect();
    must_be_none(&complaints);
}
