//! What an operator says of the schema.

use std::collections::BTreeMap;

/// What `[store.cql]` says of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaSettings {
    /// Whether a start may change the schema.
    pub migrate: Migrate,
    /// Whether tables must be encrypted on disk.
    pub at_rest: AtRest,
    /// How ScyllaDB spreads the keyspace, if it is made here.
    pub tablets: Tablets,
    /// When ScyllaDB may drop the marks that deletions leave.
    pub tombstone_gc: TombstoneGc,
    /// Reads and writes a second of one partition that ScyllaDB lets through; `None`: all.
    pub partition_rate: Option<PartitionRate>,
    /// Who runs the migrations, as other processes are told: a host's name and a process id.
    pub run_by: String,
}

/// What a start does with a schema that is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Migrate {
    /// Brings it up to date.
    #[default]
    Auto,
    /// Waits until somebody has run `holdfast schema up`.
    Check,
}

/// Whether tables must be encrypted on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AtRest {
    /// As the server does by itself.
    #[default]
    Off,
    /// Every table, by ScyllaDB, with these `scylla_encryption_options`; empty: ScyllaDB's own
    /// defaults. A start is refused if a table is not.
    Required(BTreeMap<String, String>),
}

/// How ScyllaDB spreads a keyspace over its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tablets {
    /// As the server does by itself.
    #[default]
    Server,
    /// In tablets.
    On,
    /// In virtual nodes. Releases before 2025.4 have conditional writes in these only.
    Off,
}

/// When ScyllaDB may drop the marks that deletions leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TombstoneGc {
    /// As the server does by itself.
    #[default]
    Server,
    /// Once a repair has told every replica of them, however long that takes.
    Repair,
}

/// Operations a second of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionRate {
    /// Reads.
    pub reads: u32,
    /// Writes.
    pub writes: u32,
}
