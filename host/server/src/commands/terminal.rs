//! What people and machines read of a command.

use serde::Serialize;
use std::io::{self, Write};

/// Writes text, and a line's end if it has none.
pub(super) fn say(text: &str) -> io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write(format!("{text}{end}").as_bytes())
}

/// Writes bytes as they are.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever read it (`head`) has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value for machines.
pub(super) fn json(value: &impl Serialize) -> Result<(), super::Failure> {
    Ok(say(&serde_json::to_string_pretty(value)?)?)
}

/// Says on standard error what went wrong.
pub(super) fn complain(text: &str) {
    // There is nobody to tell when even this fails.
    let _ = writeln!(io::stderr().lock(), "holdfast: {text}");
}

/// Writes rows in columns under their names.
pub(super) fn table<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = names.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(&names.map(str::to_owned), &widths);
    for row in rows {
        text.push_str(&line(row, &widths));
    }
    say(&text)
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}
