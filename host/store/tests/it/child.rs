//! Running this very test binary again, as a process that may be killed or starved.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the child is to keep its store.
const DIR: &str = "HOLDFAST_STORE_TEST_DIR";

/// What begins every line that a child says to its parent; the test harness says other things.
const SAID: &str = "said ";

/// The directory that the parent chose.
pub(crate) fn dir() -> PathBuf {
    std::env::var_os(DIR).expect("run by another test").into()
}

/// Tells the parent something, at once.
pub(crate) fn say(what: &str) {
    println!("{SAID}{what}");
}

/// Starts an ignored test of this binary in a process of its own. It does not die of writing more
/// than it may, it is told of it.
pub(crate) fn start(test: &str, dir: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the child says, line by line, until its end. A line that was cut off was not said.
pub(crate) fn heard(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    std::iter::from_fn(move || {
        let mut line = String::new();
        out.read_line(&mut line).ok()?;
        line.ends_with('\n').then_some(line)
    })
    .filter_map(|line| {
        let (_, said) = line.trim_end().split_once(SAID)?;
        Some(said.to_owned())
    })
}
