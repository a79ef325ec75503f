//! Exporting: an export that is killed goes on where it was.

use super::large::{MIB, heavy};
use super::migrate::host;
use super::{Desk, Ran, line, lines, program, ran, sorted};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// Pins that carry much: some 32 MiB of them come before the kill, when it is told how far the file
/// is.
const HEAVY: u64 = 8;

/// How much each of them carries.
const HEAVY_BYTES: usize = 9 * MIB;

/// Bytes of the file at which the first run is killed: not at its end, and not at its beginning.
const KILLED_AT: usize = 64 * MIB;

/// The signal of who writes more than may be written.
const SIGXFSZ: i32 = 25;

/// What is exported.
fn text() -> String {
    let heavy = (0..HEAVY).map(|n| line(&heavy(n, "x", HEAVY_BYTES)));
    heavy.collect::<String>() + &lines(100..150)
}

/// Every pin is there once, nothing was begun anew, and nothing else is left.
fn must_be_whole(desk: &Desk, said: &str) {
    assert!(said.contains("going on after "), "{said}");
    let (out, expected) = (desk.read("out.json"), text());
    assert!(sorted(&out) == sorted(&expected), "{} bytes", out.len());
    assert!(!desk.path("out.json.part").exists());
    assert!(!desk.path("out.json.part.progress").exists());
}

/// Has an export killed in the middle of a write, however quick the machine is, and begins it
/// again; answers what the second run said.
fn killed_and_begun_again(desk: &Desk, ready: impl Fn(&mut Command)) -> String {
    let export = ["state", "export", "out.json"];
    let mut first = Command::new("sh");
    let limit = format!(
        "ulimit -c 0; ulimit -f {}; exec env --default-signal=XFSZ \"$@\"",
        KILLED_AT / 512
    );
    first.args(["-c", &limit, "sh", env!("CARGO_BIN_EXE_holdfast")]);
    first.args(export).current_dir(desk.dir.path()).env_clear();
    ready(&mut first);
    let killed = first.output().unwrap();
    let said = String::from_utf8_lossy(&killed.stderr).into_owned();
    assert_eq!(killed.status.signal(), Some(SIGXFSZ), "{said}");
    assert!(!desk.path("out.json").exists());

    let mut second = program(desk.dir.path());
    second.args(export);
    ready(&mut second);
    let Ran { code, err, .. } = ran(&mut second);
    assert_eq!(code, 0, "{err}");
    err
}

#[test]
fn an_export_that_is_killed_goes_on_where_it_was() {
    let desk = Desk::new();
    desk.write("pins.json", text());
    desk.state(&["import", "pins.json"]).with(0);
    let said = killed_and_begun_again(&desk, |_| {});
    must_be_whole(&desk, &said);
    // What went into a pipe is nowhere to go on in.
    let piped = desk.state(&["export"]);
    assert!(!piped.err.contains("going on"), "{}", piped.err);
    assert!(sorted(&piped.with(0)) == sorted(&text()));
}

#[test]
fn an_export_of_a_host_that_is_killed_goes_on_where_it_was() {
    let desk = Desk::new();
    let (host, key) = host();
    let from = format!("http://{}", host.addr);
    desk.write("pins.json", text());
    let mut import = desk.command(&["import", "pins.json", "--to", &from]);
    ran(import.env("HOLDFAST_KEY", &key)).with(0);
    let said = killed_and_begun_again(&desk, |command| {
        command.args(["--from", &from]).env("HOLDFAST_KEY", &key);
    });
    must_be_whole(&desk, &said);
}
