//! A migration's text: its statements, what each makes, and how each database wants it written.
//!
//! The files are written for Cassandra, with `{keyspace}` for the keyspace. What ScyllaDB wants
//! otherwise is changed here, in one place, and shown by `schema/cql/scylla.golden`.

use super::flavour::Flavour;
use super::wanted::{AtRest, SchemaSettings, TombstoneGc};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Stands for the keyspace in the files.
const KEYSPACE: &str = "{keyspace}";

/// A statement of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// As it stands in the file, without comments, on one line.
    pub(super) text: String,
    /// What there is once it has run.
    pub(super) makes: Makes,
}

/// What a statement makes. A migration may do nothing else, so that it can be run again and is
/// never in the way of the release before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Makes {
    /// A table.
    Table(Table),
    /// A column of a table that is there.
    Column { table: String, column: Column },
    /// Other options for a table that is there: run each time, and the same each time.
    Options,
}

/// A table as a file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// A column, in the words of `system_schema.columns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type without blanks.
    pub(super) kind: String,
    pub(super) place: Place,
}

/// Where a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the partition key, at this position.
    Partition(i32),
    /// In the clustering key, at this position.
    Clustering(i32),
    /// Elsewhere.
    Regular,
    /// Once a partition.
    Static,
}

impl Place {
    /// `kind` and `position` in `system_schema.columns`.
    pub(super) const fn as_stored(self) -> (&'static str, i32) {
        match self {
            Self::Partition(at) => ("partition_key", at),
            Self::Clustering(at) => ("clustering", at),
            Self::Regular => ("regular", -1),
            Self::Static => ("static", -1),
        }
    }
}

/// Splits a file into its statements.
///
/// # Errors
/// A statement that a migration may not have, or that is written otherwise than the files are.
pub(super) fn steps(file: &str) -> Result<Vec<Step>, String> {
    split(file)
        .into_iter()
        .map(|text| {
            let makes = makes(&text).map_err(|why| format!("{why}: {text}"))?;
            Ok(Step { text, makes })
        })
        .collect()
}

/// What tells one text of a migration from another: comments and line breaks do not count.
pub(super) fn checksum(steps: &[Step]) -> Vec<u8> {
    let mut sum = Sha256::new();
    for step in steps {
        sum.update(step.text.as_bytes());
        sum.update(b";");
    }
    sum.finalize().to_vec()
}

/// The statement for a keyspace of a database.
pub(super) fn render(
    step: &Step,
    keyspace: &str,
    flavour: Flavour,
    settings: &SchemaSettings,
) -> String {
    let mut text = step.text.replace(KEYSPACE, keyspace);
    if flavour == Flavour::Scylla {
        // The one option whose name the two do not share.
        text = text.replace(
            "compression = {'class'",
            "compression = {'sstable_compression'",
        );
        // Less space while compacting, and otherwise the same; ScyllaDB's own advice.
        text = text.replace("SizeTieredCompaction", "IncrementalCompaction");
        if matches!(step.makes, Makes::Table(_)) {
            for option in scylla_only(settings) {
                text = with_option(&text, &option);
            }
        }
    }
    text
}

/// A table's own id, the same for whoever makes it: two processes that make it at the same moment
/// through different nodes of Cassandra would otherwise make two tables of one name, which the
/// nodes cannot merge.
pub(super) fn with_own_id(statement: &str, keyspace: &str, table: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("{keyspace}.{table}")).into();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    with_option(statement, &format!("id = {id}"))
}

/// A `CREATE TABLE` with one more option.
fn with_option(statement: &str, option: &str) -> String {
    let link = match statement.contains(") WITH ") {
        true => "AND",
        false => "WITH",
    };
    format!("{statement} {link} {option}")
}

/// Options that only ScyllaDB has, as the configuration asks for them.
fn scylla_only(settings: &SchemaSettings) -> Vec<String> {
    let mut options = Vec::new();
    if settings.tombstone_gc == TombstoneGc::Repair {
        options.push("tombstone_gc = {'mode': 'repair'}".to_owned());
    }
    if let Some(rate) = settings.partition_rate {
        options.push(format!(
            "per_partition_rate_limit = \
             {{'max_reads_per_second': {}, 'max_writes_per_second': {}}}",
            rate.reads, rate.writes
        ));
    }
    if let AtRest::Required(with) = &settings.at_rest {
        options.push(encryption(with));
    }
    options
}

/// `scylla_encryption_options = {…}`.
pub(super) fn encryption(with: &BTreeMap<String, String>) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    // An empty map would mean "not encrypted": the provider is always named.
    let provider = ("key_provider", "LocalFileSystemKeyProviderFactory");
    let mut pairs: Vec<_> = with.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    if !with.contains_key(provider.0) {
        pairs.push(provider);
    }
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}: {}", quote(name), quote(value)))
        .collect();
    format!("scylla_encryption_options = {{{}}}", pairs.join(", "))
}

/// Statements without comments, each on one line.
fn split(file: &str) -> Vec<String> {
    let plain: Vec<_> = file
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    plain
        .join(" ")
        .split(';')
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| !text.is_empty())
        .collect()
}

fn makes(text: &str) -> Result<Makes, String> {
    if let Some(rest) = text.strip_prefix("CREATE TABLE IF NOT EXISTS {keyspace}.") {
        return table(rest).map(Makes::Table);
    }
    let Some(rest) = text.strip_prefix("ALTER TABLE {keyspace}.") else {
        return Err("a migration makes tables, columns and options, and nothing else".to_owned());
    };
    let (table, change) = rest.split_once(' ').ok_or("it changes nothing")?;
    if change.starts_with("WITH ") {
        return Ok(Makes::Options);
    }
    let column = change.strip_prefix("ADD ").ok_or("it takes away")?;
    Ok(Makes::Column {
        table: table.to_owned(),
        column: self::column(column)?,
    })
}

/// `name ( columns, PRIMARY KEY (…) ) WITH …`.
fn table(rest: &str) -> Result<Table, String> {
    let (name, rest) = rest.split_once(" (").ok_or("it has no columns")?;
    let (body, _) = within(rest).ok_or("its columns do not end")?;
    let mut columns = Vec::new();
    let mut key = None;
    for part in apart(body) {
        if let Some(rest) = part.strip_prefix("PRIMARY KEY (") {
            key = Some(within(rest).ok_or("its key does not end")?.0);
        } else if let Some(only) = part.strip_suffix(" PRIMARY KEY") {
            let only = column(only)?;
            key = Some(part.split(' ').next().unwrap_or_default());
            columns.push(only);
        } else {
            columns.push(column(part)?);
        }
    }
    place(&mut columns, key.ok_or("it has no key")?)?;
    Ok(Table {
        name: name.to_owned(),
        columns,
    })
}

/// Says of each column where the key `(a, b), c` puts it.
fn place(columns: &mut [Column], key: &str) -> Result<(), String> {
    let (partition, clustering) = match key.strip_prefix('(') {
        Some(rest) => within(rest).ok_or("its partition key does not end")?,
        None => key.split_once(',').unwrap_or((key, "")),
    };
    let named = |list: &str| {
        let names = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let placed = |names: Vec<String>, place: fn(i32) -> Place| (0..).map(place).zip(names);
    let all = placed(named(partition), Place::Partition)
        .chain(placed(named(clustering), Place::Clustering));
    for (place, name) in all {
        let column = columns.iter_mut().find(|column| column.name == name);
        column
            .ok_or_else(|| format!("its key has no column {name}"))?
            .place = place;
    }
    Ok(())
}

fn column(text: &str) -> Result<Column, String> {
    let (name, rest) = text.split_once(' ').ok_or("a column has no type")?;
    let (kind, place) = match rest.strip_suffix(" static") {
        Some(kind) => (kind, Place::Static),
        None => (rest, Place::Regular),
    };
    Ok(Column {
        name: name.to_owned(),
        kind: kind.replace(' ', ""),
        place,
    })
}

/// What stands before the bracket that closes one opened just before `text`, and what after it.
fn within(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            ')' => depth -= 1,
            _ => (),
        }
    }
    None
}

/// The parts between commas that stand in no bracket.
fn apart(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text.get(from..at).unwrap_or_default().trim());
                from = at + 1;
            }
            _ => (),
        }
    }
    parts.push(text.get(from..).unwrap_or_default().trim());
    parts
}
