//! New projects: each builds and passes its own tests as it comes.

use super::{ended, plugin};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::tempdir;

/// The folder of the program that is under test, for the projects' PATH.
fn program_dir() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().unwrap()
}

/// Makes a project and runs its tests, as its README says.
fn make_and_test(kind: &str, lang: &str, variables: &[String]) {
    let dir = tempdir().unwrap();
    let name = format!("my-{kind}");
    plugin(dir.path(), &["new", &name, "--kind", kind, "--lang", lang]).good();
    let path = std::env::var("PATH").unwrap();
    let made = Command::new("make")
        .args(["-C", &name, "test"])
        .args(variables)
        .current_dir(dir.path())
        .env("PATH", format!("{}:{path}", program_dir().display()))
        // All projects build the same packages, so once is enough.
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects"),
        )
        .output();
    let said = ended(made.unwrap());
    let shown = format!("{}{}", said.out, said.err);
    assert_eq!(said.code, 0, "{kind} in {lang}: {shown}");
    assert!(
        said.out.contains(" vectors, 0 failed"),
        "{kind} in {lang}: {shown}"
    );
    assert!(!said.out.contains("\nwrong "), "{kind} in {lang}: {shown}");
    let dist = dir.path().join(name).join("dist");
    for ending in ["wasm", "toml", "vectors.json"] {
        assert!(
            dist.join(format!("my-{kind}.{ending}")).exists(),
            "{ending}"
        );
    }
}

/// Where a tool of `.ci/tools/install` is; it is installed if it is not there.
fn tool(name: &str) -> PathBuf {
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/tools/install");
    let said = Command::new(install).arg(name).output().unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let line = String::from_utf8(said.stdout).unwrap();
    let (_, path) = line.trim().split_once(' ').unwrap();
    PathBuf::from(path)
}

#[test]
fn rust_projects_build_and_pass_their_tests() {
    // One after the other: they share what they build.
    for kind in ["pricing", "authorizer", "payment", "config"] {
        make_and_test(kind, "rust", &[]);
    }
}

#[test]
fn a_project_in_javascript_builds_and_passes_its_tests() {
    let componentize = tool("componentize-js");
    make_and_test(
        "pricing",
        "js",
        &[format!("componentize={}", componentize.display())],
    );
}

#[test]
fn a_project_in_python_builds_and_passes_its_tests() {
    let componentize = tool("componentize-py");
    make_and_test(
        "pricing",
        "python",
        &[format!("componentize={}", componentize.display())],
    );
}

#[test]
fn what_is_there_is_not_written_over_and_names_are_checked() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("mine")).unwrap();
    fs::write(dir.path().join("mine/notes"), "mine").unwrap();
    let told = plugin(dir.path(), &["new", "mine", "--kind", "pricing"]).failed();
    assert!(told.contains("not empty"), "{told}");
    let told = plugin(dir.path(), &["new", "../up", "--kind", "pricing"]).failed();
    assert!(told.contains("no name for a plugin"), "{told}");
    let told = plugin(
        dir.path(),
        &["new", "x", "--kind", "payment", "--lang", "js"],
    )
    .failed();
    assert!(told.contains("--lang rust"), "{told}");
    assert_eq!(
        plugin(dir.path(), &["new", "x", "--kind", "weather"]).code,
        2
    );
    let mut there = fs::read_dir(dir.path()).unwrap();
    assert_eq!(there.next().unwrap().unwrap().file_name(), "mine");
    assert!(there.next().is_none());
}
