//! The migrations that are built into the program.

use super::script::{self, Step};
use super::{SchemaError, ledger::Entry};

/// A file of `schema/cql`.
struct File {
    name: &'static str,
    /// The least version that a program must know to work with the schema after this migration. As
    /// long as a migration only adds what older programs need not know, this is the version at
    /// which the last one did more: so the release before this one keeps working while one node
    /// after the other is replaced, and can be gone back to.
    needed: u32,
    text: &'static str,
}

/// In order; the first has version 1. What has been released is never edited, only added to.
const FILES: &[File] = &[
    File {
        name: "bookkeeping",
        needed: 1,
        text: include_str!("../../../../../schema/cql/0001_bookkeeping.cql"),
    },
    File {
        name: "pins",
        needed: 2,
        text: include_str!("../../../../../schema/cql/0002_pins.cql"),
    },
    File {
        name: "requests",
        needed: 3,
        text: include_str!("../../../../../schema/cql/0003_requests.cql"),
    },
    File {
        name: "feed",
        needed: 4,
        text: include_str!("../../../../../schema/cql/0004_feed.cql"),
    },
    File {
        name: "keys",
        needed: 5,
        text: include_str!("../../../../../schema/cql/0005_keys.cql"),
    },
    File {
        name: "billing",
        needed: 5,
        text: include_str!("../../../../../schema/cql/0006_billing.cql"),
    },
    File {
        name: "audit",
        needed: 5,
        text: include_str!("../../../../../schema/cql/0007_audit.cql"),
    },
    File {
        name: "records",
        needed: 5,
        text: include_str!("../../../../../schema/cql/0008_records.cql"),
    },
    File {
        name: "trails",
        // Who knows no trails would leave one behind where it removes a pin, and the row with it.
        needed: 9,
        text: include_str!("../../../../../schema/cql/0009_trails.cql"),
    },
    File {
        name: "audit_tenants",
        needed: 9,
        text: include_str!("../../../../../schema/cql/0010_audit_tenants.cql"),
    },
];

/// A migration.
#[derive(Debug, Clone)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) needed: u32,
    pub(super) steps: Vec<Step>,
    pub(super) checksum: Vec<u8>,
}

/// All of them.
///
/// # Errors
/// A file that is not written as migrations are; a test keeps that from being released.
pub(super) fn embedded() -> Result<Vec<Migration>, SchemaError> {
    let read = |(version, file): (u32, &File)| {
        let steps = script::steps(file.text).map_err(|why| SchemaError::Odd {
            doing: format!("migration {version} ({})", file.name),
            why,
        })?;
        Ok(Migration {
            version,
            name: file.name.to_owned(),
            needed: file.needed,
            checksum: script::checksum(&steps),
            steps,
        })
    };
    (1..).zip(FILES).map(read).collect()
}

/// How far a keyspace is, by its ledger: the version up to which every migration is done.
///
/// # Errors
/// A schema that this program may not use.
pub(super) fn position(
    keyspace: &str,
    ledger: &[Entry],
    known: &[Migration],
) -> Result<u32, SchemaError> {
    let newest = known.last().map_or(0, |migration| migration.version);
    // One that was begun counts as well: its tables may be there.
    let at = ledger.iter().map(|entry| entry.version).max().unwrap_or(0);
    let needed = ledger.iter().map(|entry| entry.needed).max().unwrap_or(0);
    if needed > newest {
        return Err(SchemaError::Newer {
            keyspace: keyspace.to_owned(),
            at,
            needed,
            known: newest,
        });
    }
    let mut done = 0;
    for migration in known {
        let entry = ledger.iter().find(|e| e.version == migration.version);
        let Some(entry) = entry else { continue };
        if entry.checksum != migration.checksum {
            return Err(SchemaError::Drift {
                keyspace: keyspace.to_owned(),
                version: migration.version,
                name: migration.name.clone(),
            });
        }
        if entry.done && done + 1 == migration.version {
            done = migration.version;
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(migration: &Migration, done: bool) -> Entry {
        Entry {
            version: migration.version,
            name: migration.name.clone(),
            checksum: migration.checksum.clone(),
            needed: migration.needed,
            done,
            ..Entry::default()
        }
    }

    fn later(version: u32, needed: u32) -> Entry {
        Entry {
            version,
            needed,
            done: true,
            ..Entry::default()
        }
    }

    #[test]
    fn the_files_are_written_as_migrations_are() {
        for migration in embedded().unwrap() {
            assert!(!migration.steps.is_empty(), "{}", migration.name);
            assert!(migration.needed <= migration.version, "{}", migration.name);
        }
    }

    #[test]
    fn a_schema_is_as_far_as_its_first_gap() {
        let known = embedded().unwrap();
        let at = |entries: &[Entry]| position("k", entries, &known).unwrap();
        assert_eq!(at(&[]), 0);
        let all: Vec<_> = known.iter().map(|m| entry(m, true)).collect();
        assert_eq!(at(&all), known.len() as u32);
        assert_eq!(at(&[entry(&known[0], true), entry(&known[2], true)]), 1);
        assert_eq!(at(&[entry(&known[0], true), entry(&known[1], false)]), 1);
    }

    #[test]
    fn a_newer_schema_is_worked_with_as_long_as_it_says_so() {
        let known = embedded().unwrap();
        let ours = known.len() as u32;
        let mut ledger: Vec<_> = known.iter().map(|m| entry(m, true)).collect();
        ledger.push(later(ours + 1, ours));
        assert_eq!(position("k", &ledger, &known).unwrap(), ours);
        ledger.push(later(ours + 2, ours + 2));
        let refused = position("k", &ledger, &known).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "the schema of k is at version {0}, for programs that know {0} or more; this \
                 program knows {ours}: run a newer release",
                ours + 2
            )
        );
    }

    #[test]
    fn another_text_of_a_migration_is_refused() {
        let known = embedded().unwrap();
        let mut changed = entry(&known[1], true);
        changed.checksum[0] ^= 1;
        let refused = position("k", &[entry(&known[0], true), changed], &known);
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("migration 2 (pins) of k")
        );
    }
}
