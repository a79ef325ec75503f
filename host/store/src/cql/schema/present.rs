//! What tables and columns there are, as `system_schema` tells.

use super::SchemaError;
use super::door::Door;
use super::migrations::Migration;
use super::script::{Column, Makes, Table};
use std::collections::BTreeMap;

/// The tables of a keyspace.
#[derive(Debug, Default)]
pub(super) struct Present {
    tables: BTreeMap<String, BTreeMap<String, Found>>,
}

/// A column that is there.
#[derive(Debug)]
struct Found {
    kind: String,
    position: i32,
    of_type: String,
}

impl Present {
    /// Reads them from one node.
    pub(super) async fn load(door: &Door<'_>, keyspace: &str) -> Result<Self, SchemaError> {
        let rows = door.own::<(String, String, String, i32, String)>(
            "read what tables there are",
            "SELECT table_name, column_name, kind, position, type \
             FROM system_schema.columns WHERE keyspace_name = ?",
            (keyspace,),
        );
        let mut present = Self::default();
        for (table, column, kind, position, of_type) in rows.await? {
            let found = Found {
                kind,
                position,
                of_type: of_type.replace(' ', ""),
            };
            let columns = present.tables.entry(table).or_default();
            columns.insert(column, found);
        }
        Ok(present)
    }

    /// How many tables there are.
    pub(super) fn tables(&self) -> usize {
        self.tables.len()
    }

    pub(super) fn has_table(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// Whether there is what a statement makes. Options are not looked at: they are set again.
    pub(super) fn has(&self, makes: &Makes) -> bool {
        match makes {
            Makes::Table(table) => self.has_table(&table.name),
            Makes::Column { table, column } => {
                let columns = self.tables.get(table);
                columns.is_some_and(|columns| columns.contains_key(&column.name))
            }
            Makes::Options => false,
        }
    }

    /// What the tables lack of what migrations made; nothing if all is well. More than they made is
    /// fine: a newer release may have added it.
    pub(super) fn complaint(&self, migrations: &[Migration]) -> Option<String> {
        let steps = migrations.iter().flat_map(|migration| &migration.steps);
        steps
            .filter_map(|step| match &step.makes {
                Makes::Table(table) => self.of_table(table),
                Makes::Column { table, column } => self.of_column(table, column),
                Makes::Options => None,
            })
            .next()
    }

    fn of_table(&self, table: &Table) -> Option<String> {
        if !self.has_table(&table.name) {
            return Some(format!("there is no table {}", table.name));
        }
        let columns = table.columns.iter();
        columns
            .filter_map(|column| self.of_column(&table.name, column))
            .next()
    }

    fn of_column(&self, table: &str, wanted: &Column) -> Option<String> {
        let name = &wanted.name;
        let Some(found) = self.tables.get(table).and_then(|columns| columns.get(name)) else {
            return Some(format!("table {table} has no column {name}"));
        };
        if found.of_type != wanted.kind {
            let is = &found.of_type;
            return Some(format!("{table}.{name} is {is} and not {}", wanted.kind));
        }
        let (kind, position) = wanted.place.as_stored();
        (found.kind != kind || found.position != position).then(|| {
            format!(
                "{table}.{name} is a {} column and not a {kind} one",
                found.kind
            )
        })
    }
}
