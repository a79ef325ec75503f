//! The manual's table of limits says what the code has.

use super::{Limits, usual_concurrency};
use crate::kind::Kind;
use std::collections::BTreeMap;
use std::path::Path;

const COLUMNS: [&[Kind]; 3] = [
    &[Kind::Authorizer],
    &[Kind::Pricing],
    &[Kind::Payment, Kind::Config],
];

/// Every limit by its key; one that is new is missed here by the compiler.
fn by_key(limits: Limits) -> BTreeMap<&'static str, u128> {
    let Limits {
        wasm_bytes,
        memory_bytes,
        stack_bytes,
        cpu,
        wall,
        fuel,
        hostcall_bytes,
        handles,
        output_bytes,
        log_lines_per_second,
        concurrency,
        standby,
        max_invocations,
        egress_calls,
        egress_bytes,
        egress_bytes_per_second,
        egress_connections,
    } = limits;
    BTreeMap::from([
        ("wasm_bytes", wasm_bytes as u128),
        ("memory_bytes", memory_bytes as u128),
        ("stack_bytes", stack_bytes as u128),
        ("cpu_ms", cpu.as_millis()),
        ("wall_ms", wall.as_millis()),
        ("fuel", fuel.into()),
        ("hostcall_bytes", hostcall_bytes as u128),
        ("handles", handles as u128),
        ("output_bytes", output_bytes as u128),
        ("log_lines_per_second", log_lines_per_second.into()),
        ("concurrency", concurrency as u128),
        ("standby", standby as u128),
        ("max_invocations", max_invocations.into()),
        ("egress_calls", egress_calls.into()),
        ("egress_bytes", egress_bytes.into()),
        ("egress_bytes_per_second", egress_bytes_per_second.into()),
        ("egress_connections", egress_connections as u128),
    ])
}

/// A number as the table writes it: `4 MiB`, `10,000`, `2 × processors (8 to 16)`, `-` for none.
fn number(text: &str) -> u128 {
    if text == "2 × processors (8 to 16)" {
        return usual_concurrency() as u128;
    }
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        other => panic!("{other} in {text:?}"),
    };
    match digits {
        "-" => 0,
        digits => digits.replace(',', "").parse::<u128>().unwrap() * factor,
    }
}

#[test]
fn the_manual_has_every_limit_as_it_is() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, section) = manual.split_once("### `[limits]`").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut written = vec![BTreeMap::new(); COLUMNS.len()];
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let keys: Vec<&str> = cells[0]
            .split(", ")
            .map(|key| key.trim_matches('`'))
            .collect();
        for (column, cell) in written.iter_mut().zip(&cells[1..]) {
            // Two keys in a row have their two numbers in a cell, or one for neither.
            let numbers: Vec<&str> = cell.split(", ").collect();
            for (at, key) in keys.iter().enumerate() {
                let cell = if numbers.len() == keys.len() {
                    numbers[at]
                } else {
                    cell
                };
                column.insert(*key, number(cell));
            }
        }
    }
    for (kinds, written) in COLUMNS.iter().zip(&written) {
        for kind in *kinds {
            assert_eq!(*written, by_key(Limits::of(*kind)), "{kind}");
        }
    }
}
