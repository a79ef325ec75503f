//! Pins near the bound of 10 MiB and beyond it, and what is no pin: told by line, and in nobody's
//! way.

use super::migrate::host;
use super::{Desk, Ran, cid, line, lines, pin, sorted};
use holdfast_model::Pin;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

pub(super) const MIB: usize = 1024 * 1024;

/// A pin that carries so much of a letter.
pub(super) fn heavy(n: u64, letter: &str, bytes: usize) -> Pin {
    let mut pin = pin(n);
    let filling = letter.repeat(bytes);
    pin.options.metadata.insert("filling".to_owned(), filling);
    pin
}

/// Which lines a file of rejects has, with the CID or the text of each.
fn rejects(desk: &Desk, name: &str) -> Vec<(u64, String)> {
    let text = desk.read(name);
    let read = |line: &str| {
        let one: Value = serde_json::from_str(line).unwrap();
        let text = one["text"].as_str().unwrap();
        (one["line"].as_u64().unwrap(), text.to_owned())
    };
    let mut all: Vec<_> = text.lines().map(read).collect();
    all.sort_unstable();
    all
}

/// As JSON two of them are more than a host takes at once, and the one with the quotes is more by
/// itself.
#[test]
fn pins_of_nine_mebibytes_go_into_a_host_and_come_out() {
    let desk = Desk::new();
    let (host, key) = host();
    let to = format!("http://{}", host.addr);
    let heavy = [(1, "x"), (2, "\""), (3, "x")].map(|(n, letter)| heavy(n, letter, 9 * MIB));
    let text = lines(10..20) + &heavy.each_ref().map(line).concat() + &lines(20..30);
    desk.write("pins.json", text);
    let state = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        super::ran(command.env("HOLDFAST_KEY", &key))
    };
    let done = state(&["import", "pins.json", "--to", &to, "--json"]).with(0);
    let counts: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(
        (&counts["imported"], &counts["rejected"]),
        (&json!(23), &json!(0))
    );
    let said = state(&["check", "--of", &to, "--against", "pins.json"]).with(0);
    assert!(said.contains("have the same 23 pins"), "{said}");
}

#[test]
fn what_cannot_be_stored_is_rejected_by_its_line_and_so_it_is_by_a_dry_run() {
    let desk = Desk::new();
    let large = line(&heavy(900, "x", 11 * MIB));
    desk.write(
        "pins.json",
        lines(0..10) + &large + &lines(10..20) + "bad\n",
    );
    let expected = [(11, cid(900).to_string()), (22, "bad".to_owned())];
    for extra in [&["--dry-run"][..], &[]] {
        let arguments = [&["import", "pins.json", "--json"], extra].concat();
        let counts: Value = serde_json::from_str(&desk.state(&arguments).with(1)).unwrap();
        let told = (&counts["imported"], &counts["rejected"]);
        assert_eq!(told, (&json!(20), &json!(2)), "{extra:?}");
        assert_eq!(rejects(&desk, "pins.json.rejects"), expected, "{extra:?}");
    }
    let refused = desk.state(&["import", "pins.json", "--clear"]);
    assert!(refused.err.contains("line 11 of"), "{}", refused.err);
    assert_eq!(desk.state(&["export"]).with(0).lines().count(), 20);

    // The guide's check compares the rest, and does not call them the same.
    let ran = desk.state(&["check", "--against", "pins.json", "--json"]);
    let report: Value = serde_json::from_str(&ran.with(1)).unwrap();
    assert_eq!(report["pins"], json!([20, 21]));
    assert_eq!(
        (&report["only_second"], &report["bad"]),
        (&json!(1), &json!([0, 1]))
    );
    let told = report["bad_lines"][0].as_str().unwrap();
    assert!(told.starts_with("line 22 of pins.json is no pin"), "{told}");
    desk.write("bad.json", lines(0..20) + "bad\n");
    let said = desk.state(&["check", "--against", "bad.json"]).with(1);
    assert!(said.contains("line 21 of bad.json is no pin"), "{said}");
}

#[test]
fn an_import_that_is_to_stop_at_a_bad_line_imports_nothing_behind_it() {
    let desk = Desk::new();
    for (name, bad) in [
        ("text", "bad\n"),
        ("large", &line(&heavy(900, "x", 11 * MIB))),
    ] {
        let file = desk.write(name, lines(0..10) + bad + &lines(10..20) + "bad\n");
        let stopped = desk.state(&["import", file.to_str().unwrap(), "--stop-on-reject"]);
        assert_eq!(stopped.code, 1);
        assert!(
            stopped.err.contains("stopped at a bad line"),
            "{}",
            stopped.err
        );
        assert_eq!(
            desk.state(&["export"]).with(0).lines().count(),
            10,
            "{name}"
        );
        let rejected = rejects(&desk, &format!("{name}.rejects"));
        assert_eq!(rejected.len(), 1, "{name}");
        assert_eq!(rejected[0].0, 11, "{name}");
    }
}

/// A line is skipped because it is in the store, and in another store it is not.
#[test]
fn what_was_left_of_an_import_is_not_gone_on_with_into_another_store() {
    let desk = Desk::new();
    let (begun, rest) = (lines(0..10), lines(10..20));
    desk.write("pins.json", format!("{begun}{rest}"));
    let leave = |store: &Path| {
        let left = json!({
            "source": "pins.json",
            "target": format!("the store in {}", store.display()),
            "size": begun.len() + rest.len(),
            "cleared": false,
            "at": { "bytes": begun.len(), "lines": 10 },
            "counts": { "imported": 10, "kept": 0, "upgraded": 0, "rejected": 0 },
            "rejects_bytes": 0,
        });
        desk.write("pins.json.progress", left.to_string());
    };
    leave(Path::new("/elsewhere/store"));
    let Ran { code, err, .. } = desk.state(&["import", "pins.json"]);
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("into the store in /elsewhere/store; delete it to begin anew"),
        "{err}"
    );
    leave(&desk.dir.path().canonicalize().unwrap().join("data/store"));
    let gone_on = desk.state(&["import", "pins.json"]);
    assert!(
        gone_on.err.contains("going on after line 10"),
        "{}",
        gone_on.err
    );
    gone_on.with(0);
    assert_eq!(sorted(&desk.state(&["export"]).with(0)), sorted(&rest));
}

/// While the list has lines that nobody can read, any of them may be a pin that seems to have gone.
#[test]
fn a_migration_rejects_what_it_cannot_take_and_goes_on() {
    let desk = Desk::new();
    let migrate = || {
        let ran = desk.state(&["migrate", "--from", "theirs.json", "--pause", "0", "--json"]);
        serde_json::from_str::<Value>(&ran.with(1)).unwrap()
    };
    let large = line(&heavy(900, "x", 11 * MIB));
    desk.write(
        "theirs.json",
        lines(0..10) + &large + "bad\n" + &lines(10..20),
    );
    let report = migrate();
    assert_eq!(report["pins"], json!([21, 20]));
    assert_eq!(
        (&report["only_first"], &report["bad"]),
        (&json!(1), &json!([1, 0]))
    );
    let expected = [(11, cid(900).to_string()), (12, "bad".to_owned())];
    assert_eq!(rejects(&desk, "holdfast-migrate.rejects"), expected);

    desk.write("theirs.json", lines(1..10) + "bad\n" + &lines(10..20));
    assert_eq!(migrate()["pins"], json!([19, 20]));
    assert_eq!(
        rejects(&desk, "holdfast-migrate.rejects"),
        [(10, "bad".to_owned())]
    );
    desk.write("theirs.json", lines(1..20));
    desk.state(&["migrate", "--from", "theirs.json"]).with(0);
    assert!(!desk.path("holdfast-migrate.rejects").exists());
    assert_eq!(desk.state(&["export"]).with(0).lines().count(), 19);
}

/// Something in front of a host that takes less than the host would.
fn answer_like_a_proxy(mut stream: TcpStream) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while input.read_line(&mut head)? > 2 {
        if let Some(value) = head.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.clear();
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let (status, text) = match length {
        0..MIB => ("200 OK", r#"{"failed":[]}"#),
        _ => ("413 Payload Too Large", "1 MiB at most"),
    };
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}"
    )
}

#[test]
fn a_pin_that_is_too_large_for_a_proxy_does_not_stop_the_rest() {
    let desk = Desk::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A connection that breaks is the client's affair, which the test sees.
            let _ = answer_like_a_proxy(stream.unwrap());
        }
    });
    let large = line(&heavy(900, "x", 9 * MIB));
    desk.write("pins.json", lines(0..10) + &large + &lines(10..20));
    let mut command = desk.command(&["import", "pins.json", "--json", "--to", &to]);
    let ran = super::ran(command.env("HOLDFAST_KEY", "any"));
    let counts: Value = serde_json::from_str(&ran.with(1)).unwrap();
    assert_eq!(
        (&counts["imported"], &counts["rejected"]),
        (&json!(20), &json!(1))
    );
    let expected = [(11, cid(900).to_string())];
    assert_eq!(rejects(&desk, "pins.json.rejects"), expected);
}
