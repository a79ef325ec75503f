//! Tools that `.ci/tools/install` puts down, found or installed, and programs that end with us.

use super::process::repository;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Where an installed tool is, installed if need be.
pub(crate) fn tool(name: &str) -> PathBuf {
    let installer = repository().join(".ci/tools/install");
    let output = Command::new(installer).arg(name).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix(name));
    let path = line.map(|path| PathBuf::from(path.trim()));
    path.unwrap_or_else(|| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A program that ends when this value is dropped, and when this process ends, however it does: a
/// shell holds on to our end of a pipe.
#[derive(Debug)]
pub(crate) struct Guarded(Child);

impl Guarded {
    /// Starts it in a group of its own, so that what it starts ends with it.
    pub(crate) fn start(command: &[&str], environment: &[(&str, &str)], log: &str) -> Self {
        let script = "set -m; \"$@\" </dev/null & child=$!; cat >/dev/null; kill -9 -- -$child";
        let log = std::fs::File::create(log).unwrap();
        let child = Command::new("bash")
            .args(["-c", script, "guard"])
            .args(command)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}
