//! Values with a unit or a bound.

use super::field::{Change, Field, Reload, Values};
use super::layers::{Environment, KeyPath, Raw};
use super::reader::Reader;
use super::reference::Reference;
use super::section::Section;
use super::setting::{Setting, Wrong, number, quoted, text};
use std::collections::BTreeMap;
use std::time::Duration;

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// The number, moved to the nearest bound.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        let number = if number < MIN { MIN } else { number };
        Self(if number > MAX { MAX } else { number })
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as a count of things in memory.
    #[must_use]
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Bounded<MIN, MAX> {
    const EXAMPLE: &'static str = "1";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        match number(raw) {
            Some(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(Wrong::new(
                raw,
                &format!("number from {MIN} to {MAX}"),
                &format!("write a whole number from {MIN} to {MAX}"),
            )),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// Bytes: `"1MiB"`, `"64KiB"`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl ByteSize {
    /// The bytes as a count of things in memory.
    #[must_use]
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for ByteSize {
    const EXAMPLE: &'static str = "\"1MiB\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        let wrong = || Wrong::new(raw, "size", "write bytes, or \"64KiB\", \"1MiB\", \"2GiB\"");
        let bytes = number(raw).or_else(|| with_unit(text(raw)?, &SIZES));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(wrong)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&in_unit(self.0, &SIZES)))
    }
}

/// A span of time: `"500ms"`, `"10s"`, `"30m"`, `"6h"`, `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub u64);

const SPANS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// The longest span that is no mistake: a year.
const SPAN_MILLIS_MAX: u64 = 365 * 86_400_000;

impl Millis {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// The span.
    #[must_use]
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Setting for Millis {
    const EXAMPLE: &'static str = "\"10s\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::new(
                raw,
                "span of time",
                "write a number above 0 with its unit, such as \"500ms\", \"10s\", \"30m\", \"6h\" or \"7d\" (a year at most)",
            )
        };
        text(raw)
            .and_then(|text| with_unit(text, &SPANS))
            .filter(|millis| (1..=SPAN_MILLIS_MAX).contains(millis))
            .map(Self)
            .ok_or_else(wrong)
    }

    fn toml(&self) -> Option<String> {
        let mut spans = SPANS;
        spans.rotate_left(1); // the largest unit first, milliseconds last
        Some(quoted(&in_unit(self.0, &spans)))
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    digits.trim_end().parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the largest unit that divides it; the list has it largest first.
fn in_unit(amount: u64, units: &[(&str, u64)]) -> String {
    let whole = units
        .iter()
        .find(|(_, factor)| amount.is_multiple_of(*factor));
    whole.map_or_else(
        || amount.to_string(),
        |(unit, factor)| format!("{}{unit}", amount / factor),
    )
}

/// Replicas for each datacenter: `"dc1:3,dc2:3"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replication(pub Vec<(String, u16)>);

impl Setting for Replication {
    const EXAMPLE: &'static str = "\"dc1:3,dc2:3\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::new(
                raw,
                "list of datacenters and replicas",
                "write each as NAME:COUNT with commas between, such as \"dc1:3,dc2:3\"",
            )
        };
        let one = |part: &str| {
            let (name, count) = part.trim().rsplit_once(':')?;
            Some((name.trim().to_owned(), count.trim().parse().ok()?))
        };
        let all: Option<Vec<_>> = text(raw).and_then(|text| text.split(',').map(one).collect());
        all.map(Self).ok_or_else(wrong)
    }

    fn toml(&self) -> Option<String> {
        let of = |(name, count): &(String, u16)| format!("{name}:{count}");
        let all: Vec<String> = self.0.iter().map(of).collect();
        (!all.is_empty()).then(|| quoted(&all.join(",")))
    }
}

/// Sections of one kind with free names: `[auth.issuers.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named<S>(pub BTreeMap<String, S>);

impl<S: Section + Default + PartialEq> Field for Named<S> {
    fn read(reader: &mut Reader<'_>, path: &KeyPath, _: Self) -> Self {
        let names = reader.names(path);
        Self(
            names
                .into_iter()
                .map(|name| (name.clone(), S::read(reader, &path.child(&name))))
                .collect(),
        )
    }

    fn describe(&self, path: &KeyPath, _: &[&str], _: Reload, out: &mut Reference) {
        out.example(|out| S::default().describe(&path.child("NAME"), out));
    }

    fn values(&self, path: &KeyPath, out: &mut Values) {
        for (name, section) in &self.0 {
            section.values(&path.child(name), out);
        }
    }

    fn changes(&self, other: &Self, path: &KeyPath, reload: Reload, out: &mut Vec<Change>) {
        if self != other {
            out.push(Change {
                key: path.to_string(),
                reload,
            });
        }
    }
}

/// Free pairs of text: `[auth.issuers.NAME.role_map]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs(pub BTreeMap<String, String>);

impl Field for Pairs {
    fn read(reader: &mut Reader<'_>, path: &KeyPath, _: Self) -> Self {
        let names = reader.names(path);
        let pair = |name: String| Some((name.clone(), reader.leaf::<String>(&path.child(&name))?));
        Self(names.into_iter().filter_map(pair).collect())
    }

    fn describe(&self, path: &KeyPath, docs: &[&str], reload: Reload, out: &mut Reference) {
        let name = path.0.last().map_or("", String::as_str);
        out.key(name, docs, reload, None, "{ \"NAME\" = \"VALUE\" }");
    }

    fn values(&self, path: &KeyPath, out: &mut Values) {
        for (name, text) in &self.0 {
            out.insert(path.child(name).to_string(), quoted(text));
        }
    }

    fn changes(&self, other: &Self, path: &KeyPath, reload: Reload, out: &mut Vec<Change>) {
        if self != other {
            out.push(Change {
                key: path.to_string(),
                reload,
            });
        }
    }
}
