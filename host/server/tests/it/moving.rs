//! `holdfast state`: pin sets in and out, by the program as people run it.

mod cassandra;
mod export;
mod guide;
mod import;
mod large;
mod migrate;

use holdfast_model::audit::{AuditHead, verify};
use holdfast_model::{Cid, Pin, UnixMillis};
use holdfast_store::Store;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with an embedded store of its own.
struct Desk {
    dir: tempfile::TempDir,
}

/// What a command came to.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// What it wrote; it must have ended so.
    fn with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self.out
    }
}

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.dir.path());
        command.arg("state").args(arguments);
        command
    }

    fn state(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// What the host's chain has of what was done to the store; it must be whole.
    async fn audited(&self) -> Vec<Value> {
        let store = Store::embedded(&self.path("data/store")).await.unwrap();
        audited(store).await
    }
}

/// What a store's own chain has, which must be whole. It is closed then.
async fn audited(store: Store) -> Vec<Value> {
    let entries = store.audit_entries("", 1, 1_000).await.unwrap();
    let head = verify(&AuditHead::start(""), &entries, &[]).unwrap();
    assert_eq!(head, store.audit_head("").await.unwrap());
    store.close().await.unwrap();
    entries
        .iter()
        .map(|entry| serde_json::from_slice(&entry.body).unwrap())
        .collect()
}

/// The program with a clean environment, in a folder.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.current_dir(dir).env_clear().stdin(Stdio::null());
    command
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn cid(n: u64) -> Cid {
    let mut bytes = vec![1, 0x55, 0, 8];
    bytes.extend(n.to_be_bytes());
    Cid::from_bytes(&bytes).unwrap()
}

fn pin(n: u64) -> Pin {
    let mut pin = Pin::recursive(cid(n), UnixMillis::new(1_700_000_000_000 + n * 1_000));
    pin.options.name = format!("pin {n}");
    pin.options.metadata.insert("n".to_owned(), n.to_string());
    pin
}

fn line(pin: &Pin) -> String {
    serde_json::to_string(pin).unwrap() + "\n"
}

fn lines(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|n| line(&pin(n))).collect()
}

fn sorted(text: &str) -> Vec<Value> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_is_exported_is_what_was_imported_in_both_formats() {
    let (one, other) = (Desk::new(), Desk::new());
    one.write("pins.json", lines(0..5_000));
    one.state(&["import", "pins.json"]).with(0);
    one.state(&["export", "out.json"]).with(0);
    assert_eq!(sorted(&one.read("out.json")), sorted(&lines(0..5_000)));
    let refused = one.state(&["export", "out.json"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--overwrite"), "{}", refused.err);
    let snapshot = one.path("pins.snapshot");
    let snapshot = snapshot.to_str().unwrap();
    one.state(&["export", "--format", "snapshot", snapshot])
        .with(0);
    other
        .state(&["import", snapshot, "--progress", "p", "--rejects", "r"])
        .with(0);
    let said = other.state(&["check", "--against", one.path("out.json").to_str().unwrap()]);
    assert!(said.with(0).contains("have the same 5,000 pins"));
    assert!(
        other
            .state(&["check"])
            .with(0)
            .contains("agrees with itself")
    );
}

#[test]
fn a_store_that_is_not_there_is_told_of_and_an_empty_one_compared() {
    let desk = Desk::new();
    desk.write("pins.json", lines(0..150));
    for reads in [
        &["export"][..],
        &["check"],
        &["check", "--against", "pins.json"],
        &["migrate", "--from", "pins.json", "--dry-run"],
    ] {
        let refused = desk.state(reads);
        assert_eq!(refused.code, 1, "{reads:?}: {refused:?}");
        let said = &refused.err;
        assert!(
            said.contains("data/store; name its configuration"),
            "{said}"
        );
        assert!(!desk.path("data").exists(), "{reads:?}");
    }
    desk.write("none.json", "");
    let made = desk.state(&["import", "none.json"]);
    assert!(made.err.contains("so one is made"), "{}", made.err);
    let ran = desk.state(&["check", "--against", "pins.json", "--json"]);
    let report: Value = serde_json::from_str(&ran.with(1)).unwrap();
    assert_eq!(report["pins"], serde_json::json!([0, 150]));
    assert_eq!(
        (&report["only_first"], &report["only_second"]),
        (&0.into(), &150.into())
    );
    assert_eq!(report["differences"].as_array().unwrap().len(), 100);
    assert_eq!(report["differences"][0]["what"], "only in pins.json");
}

#[test]
fn what_differs_is_told_by_cid_and_field() {
    let desk = Desk::new();
    desk.write("pins.json", lines(0..1_000));
    desk.state(&["import", "pins.json"]).with(0);
    let mut renamed = pin(7);
    renamed.options.name = "another".to_owned();
    let other = lines(0..7) + &line(&renamed) + &lines(8..999) + &lines(2_000..2_002);
    desk.write("other.json", other);
    let ran = desk.state(&["check", "--against", "other.json", "--json"]);
    let report: Value = serde_json::from_str(&ran.with(1)).unwrap();
    let counts =
        ["only_first", "only_second", "different"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!(report["pins"], serde_json::json!([1_000, 1_001]));
    let told: Vec<&Value> = report["differences"].as_array().unwrap().iter().collect();
    let of = |n: u64| {
        told.iter()
            .find(|one| one["cid"] == cid(n).to_string())
            .unwrap()["what"]
            .clone()
    };
    assert_eq!(of(7), "name differ");
    assert_eq!(of(999), "only in the store");
    assert_eq!(of(2_001), "only in other.json");
}
