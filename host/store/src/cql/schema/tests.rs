//! What must hold of the tables all together, and how they are written for each database.

use super::flavour::Flavour;
use super::migrations::embedded;
use super::script::{Makes, Step, render};
use super::wanted::{AtRest, PartitionRate, SchemaSettings, TombstoneGc};
use crate::cql::statement::{Class, Statement};
use std::collections::BTreeMap;
use std::path::Path;

/// Windows of a table that leaves by age: ScyllaDB's guardrail warns at 50.
const WINDOWS_MAX: u64 = 50;

fn steps() -> Vec<Step> {
    let all = embedded().unwrap().into_iter();
    all.flat_map(|migration| migration.steps).collect()
}

/// Each table's `CREATE TABLE`, by name.
fn tables() -> BTreeMap<String, String> {
    let all = steps().into_iter().filter_map(|step| match step.makes {
        Makes::Table(table) => Some((table.name, step.text)),
        _ => None,
    });
    all.collect()
}

/// The value of an option, without quotes.
fn option(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(name)?;
    let value = rest.trim_start_matches(['\'', ':', '=', ' ']);
    let end = value.find(['\'', ' ', ',', '}']).unwrap_or(value.len());
    Some(value[..end].to_owned())
}

#[test]
fn every_table_says_how_it_is_kept_and_written() {
    for (name, text) in tables() {
        assert!(
            text.contains("compression = {'class': 'LZ4Compressor'"),
            "{name}"
        );
        let is_told = |how: &str| text.contains(&format!("comment = '{how}: "));
        assert!(is_told("by condition") || is_told("plain"), "{name}");
        if text.contains("IF NOT EXISTS {keyspace}.schema_") || name == "store_params" {
            continue;
        }
        assert!(text.contains("compaction = {'class': '"), "{name}");
        assert!(text.contains("gc_grace_seconds = "), "{name}");
    }
}

#[test]
fn a_table_is_written_by_condition_only_or_plainly_only() {
    let tables = tables();
    for statement in Statement::ALL {
        let text = statement.text();
        let words: Vec<_> = text.split([' ', '(']).collect();
        let written = match words[..] {
            ["INSERT", "INTO", table, ..]
            | ["UPDATE", table, ..]
            | ["DELETE", "FROM", table, ..] => table,
            ["DELETE", ..] => words[words.iter().position(|w| *w == "FROM").unwrap() + 1],
            ["SELECT", ..] => continue,
            _ => panic!("{text}: how does this write?"),
        };
        let table = tables
            .get(written)
            .unwrap_or_else(|| panic!("{written} is no table: {text}"));
        let (class, is_conditional) = (statement.class(), text.contains(" IF "));
        if table.contains("comment = 'by condition: ") {
            assert!(is_conditional && class == Class::Condition, "{text}");
            assert!(!text.contains("TIMESTAMP"), "{text}");
        } else {
            assert!(!is_conditional && class == Class::Write, "{text}");
            // Without a timestamp of its own a write could not be sent twice, nor lose to a later.
            assert!(text.contains("USING TIMESTAMP ?"), "{text}");
        }
    }
}

#[test]
fn rows_leave_by_age_from_few_windows_and_nowhere_else() {
    for (name, text) in tables() {
        let has_windows = text.contains("TimeWindowCompactionStrategy");
        assert_eq!(has_windows, text.contains("default_time_to_live"), "{name}");
        if has_windows {
            let number = |of: &str| option(&text, of).unwrap().parse::<u64>().unwrap();
            assert_eq!(option(&text, "compaction_window_unit").unwrap(), "DAYS");
            let days = number("default_time_to_live") / 86_400;
            let windows = days.div_ceil(number("compaction_window_size"));
            assert!(windows <= WINDOWS_MAX, "{name} has {windows}");
        }
    }
}

#[test]
fn nothing_is_indexed_or_derived_by_the_server() {
    for step in steps() {
        for forbidden in ["INDEX", "MATERIALIZED", "counter", "list<", "set<", "map<"] {
            assert!(!step.text.contains(forbidden), "{}", step.text);
        }
    }
}

/// Every statement for a database, as an operator may run it by hand.
fn script(flavour: Flavour, settings: &SchemaSettings, about: &str) -> String {
    let mut text = format!("-- {about}\n-- Written from schema/cql by the program's own tests.\n");
    for migration in embedded().unwrap() {
        text.push_str(&format!(
            "\n-- {:04} {}\n",
            migration.version, migration.name
        ));
        for step in &migration.steps {
            text.push_str(&render(step, "holdfast", flavour, settings));
            text.push_str(";\n");
        }
    }
    text
}

fn must_be(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../schema/golden")
        .join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "schema/golden/{file} is out of date; run UPDATE_GOLDEN=1 cargo test -p holdfast-store \
         cql::schema, and look at the difference"
    );
}

#[test]
fn the_tables_are_as_the_golden_files_show() {
    let plain = SchemaSettings::default();
    let about = "The tables as they are made on Apache Cassandra.";
    let cassandra = script(Flavour::Cassandra, &plain, about);
    must_be("cassandra.cql", &cassandra);
    // What Cassandra would refuse is not there, whatever the configuration says.
    let all = SchemaSettings {
        at_rest: AtRest::Required(BTreeMap::from([
            (
                "cipher_algorithm".to_owned(),
                "AES/CBC/PKCS5Padding".to_owned(),
            ),
            ("secret_key_strength".to_owned(), "128".to_owned()),
        ])),
        tombstone_gc: TombstoneGc::Repair,
        partition_rate: Some(PartitionRate {
            reads: 10_000,
            writes: 5_000,
        }),
        ..SchemaSettings::default()
    };
    assert_eq!(script(Flavour::Cassandra, &all, about), cassandra);
    let about = "The tables as they are made on ScyllaDB.";
    must_be("scylla.cql", &script(Flavour::Scylla, &plain, about));
    let about = "The tables as they are made on ScyllaDB with everything that only it has.";
    must_be("scylla-all.cql", &script(Flavour::Scylla, &all, about));
}

#[test]
fn a_keyspace_is_made_as_the_configuration_says() {
    use super::keyspace::statement;
    use super::wanted::Tablets;
    let mut settings = crate::CqlSettings::new(vec!["db1".to_owned()], "dc1", "holdfast");
    settings.replication = vec![("dc1".to_owned(), 3), ("dc2".to_owned(), 2)];
    let plain = "CREATE KEYSPACE IF NOT EXISTS holdfast WITH replication = {'class': \
                 'NetworkTopologyStrategy', 'dc1': 3, 'dc2': 2} AND durable_writes = true";
    assert_eq!(statement(&settings, Flavour::Cassandra), plain);
    assert_eq!(statement(&settings, Flavour::Scylla), plain);
    settings.schema.tablets = Tablets::Off;
    assert_eq!(statement(&settings, Flavour::Cassandra), plain);
    let without = format!("{plain} AND tablets = {{'enabled': false}}");
    assert_eq!(statement(&settings, Flavour::Scylla), without);
    settings.schema.tablets = Tablets::On;
    let with = format!("{plain} AND tablets = {{'enabled': true}}");
    assert_eq!(statement(&settings, Flavour::Scylla), with);
}

#[test]
fn statements_are_read_as_they_are_written() {
    use super::script::{Place, steps};
    let file = "-- A comment; with a semicolon.\nCREATE TABLE IF NOT EXISTS {keyspace}.t (\n  a int, \
                b frozen<tuple<int, text>>, c blob, d text static, -- why\n  \
                PRIMARY KEY ((a, b), c));\n\nALTER TABLE {keyspace}.t ADD e bigint;\n\
                ALTER TABLE {keyspace}.t WITH gc_grace_seconds = 1;";
    let [create, alter, with] = steps(file).unwrap().try_into().unwrap();
    let Makes::Table(table) = create.makes else {
        panic!("{create:?}");
    };
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|c| (&*c.name, &*c.kind, c.place))
        .collect();
    assert_eq!(
        columns,
        [
            ("a", "int", Place::Partition(0)),
            ("b", "frozen<tuple<int,text>>", Place::Partition(1)),
            ("c", "blob", Place::Clustering(0)),
            ("d", "text", Place::Static),
        ]
    );
    assert!(matches!(alter.makes, Makes::Column { table, column }
        if table == "t" && column.name == "e" && column.kind == "bigint"));
    assert_eq!(with.makes, Makes::Options);
}

#[test]
fn a_migration_takes_nothing_away() {
    use super::script::steps;
    for refused in [
        "DROP TABLE {keyspace}.pins;",
        "ALTER TABLE {keyspace}.pins DROP body;",
        "CREATE TABLE {keyspace}.pins (a int PRIMARY KEY);",
        "TRUNCATE {keyspace}.pins;",
        "CREATE TABLE IF NOT EXISTS {keyspace}.pins (a int);",
        "CREATE TABLE IF NOT EXISTS {keyspace}.pins (a int, PRIMARY KEY ((b)));",
    ] {
        assert!(steps(refused).is_err(), "{refused}");
    }
}
