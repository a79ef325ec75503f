//! Pins near the bound of 10 MiB.

use super::migrate::host;
use super::{Desk, line, lines, pin};
use holdfast_model::Pin;
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// A pin that carries so much of a letter.
fn heavy(n: u64, letter: &str, bytes: usize) -> Pin {
    let mut pin = pin(n);
    let filling = letter.repeat(bytes);
    pin.options.metadata.insert("filling".to_owned(), filling);
    pin
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
