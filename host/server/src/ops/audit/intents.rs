//! Intents without an outcome: what was under way when a host died.

use super::cursor::Cursor;
use super::file::now;
use super::spool::{Place, Spool};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

/// Bytes of the queue that are looked through at once.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// What is said of a change that nobody saw the end of.
const DIED: &str = "the host died before the outcome was known; look whether the change is there";

/// As much of a line as tells what it is.
#[derive(Debug, Deserialize)]
struct Mark<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    intent: Option<Cow<'a, str>>,
}

/// Intents whose outcome has not been seen: name and line.
#[derive(Debug, Default)]
pub(super) struct Open(pub(super) BTreeMap<String, Box<RawValue>>);

impl Open {
    /// Takes one line more into account.
    pub(super) fn follow(&mut self, line: &[u8]) {
        // Most lines are neither, and are not worth taking apart.
        if !contains(line, b"\"intent\":") {
            return;
        }
        let Ok(mark) = serde_json::from_slice::<Mark<'_>>(line) else {
            return;
        };
        match (mark.kind.as_ref(), mark.intent) {
            ("intent", Some(name)) => {
                if let Ok(line) = serde_json::from_slice(line) {
                    self.0.insert(name.into_owned(), line);
                }
            }
            ("outcome", Some(name)) => {
                self.0.remove(name.as_ref());
            }
            _ => {}
        }
    }

    /// Reads what is left of the queue, and answers the lines that close what is open at its end.
    pub(super) fn left_behind(cursor: Option<Cursor>, spool: &Spool) -> io::Result<Vec<u8>> {
        let mut from = Place::default();
        let mut open = Self::default();
        if let Some(cursor) = cursor
            && let Some(place) = spool.find(&cursor)?
        {
            from = place;
            open.0 = cursor.open;
        }
        spool.carried_to(from);
        loop {
            let batch = spool.read(from, PIECE_BYTES)?;
            batch.lines().for_each(|line| open.follow(line));
            if batch.end == from {
                break;
            }
            from = batch.end;
        }
        let mut lines = Vec::new();
        for (name, line) in &open.0 {
            if let Some(closing) = closing(name, line) {
                serde_json::to_writer(&mut lines, &closing)?;
                lines.push(b'\n');
            }
        }
        Ok(lines)
    }
}

/// The outcome of an intent that has none.
fn closing(name: &str, line: &RawValue) -> Option<Value> {
    let mut line: Value = serde_json::from_str(line.get()).ok()?;
    let fields = line.as_object_mut()?;
    let mut hash = Sha256::new();
    hash.update("holdfast audit unknown outcome\n");
    hash.update(name);
    let id: String = hash
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (field, value) in [
        ("id", json!(id)),
        ("kind", json!("outcome")),
        ("time", json!(now())),
        ("outcome", json!("unknown")),
        ("note", json!(DIED)),
    ] {
        fields.insert(field.to_owned(), value);
    }
    Some(line)
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}
