//! What people and machines read of a command.

use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

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

/// Says on standard error how something fares.
pub(super) fn note(text: &str) {
    // There is nobody to tell when even this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
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

/// What a word is painted with, on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Good.
    Green,
    /// Worth a look.
    Yellow,
    /// Wrong.
    Red,
}

/// A word in colour if the output is a terminal that may show it, else as it is
/// (<https://no-color.org>).
pub(super) fn painted(word: &str, colour: Colour) -> String {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    if is_plain || !io::stdout().is_terminal() {
        return word.to_owned();
    }
    let code = match colour {
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Red => 31,
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// What a command answers its caller.
pub(super) fn code(is_good: bool) -> ExitCode {
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Bytes as people read them: `183 KiB`.
pub(super) fn bytes(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

/// A number with its thousands apart: `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len().saturating_sub(n)).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A digest as people write it.
pub(super) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
        assert_eq!(bytes(1_023), "1023 bytes");
        assert_eq!(bytes(1_024), "1 KiB");
        assert_eq!(bytes(12 * 1024 * 1024 + 512 * 1024), "12.5 MiB");
    }
}
