//! The tables: one fjall keyspace each.

use crate::Result;
use crate::error::StoreError;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Snapshot, UserKey, UserValue};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// Bytes that a table of rows gathers in memory before it is written out. Small beside fjall's
/// default (64 MiB), since twenty tables share one process and its memory.
const ROWS_MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;

/// The same for an index: its entries are a fraction of a row.
const INDEX_MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident $text:literal $bytes:ident;)+) => {
        /// A table. What its keys and values are is written in the parent's documentation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Table { $($(#[$doc])* $name,)+ }

        impl Table {
            /// All of them; a table's place here is its number.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name of its keyspace.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            const fn memtable_bytes(self) -> u64 {
                match self { $(Self::$name => $bytes,)+ }
            }
        }
    };
}

tables! {
    Meta "meta" INDEX_MEMTABLE_BYTES;
    Pins "pins" ROWS_MEMTABLE_BYTES;
    PinExpiry "pin_expiry" INDEX_MEMTABLE_BYTES;
    Requests "requests" ROWS_MEMTABLE_BYTES;
    Listing "listing" INDEX_MEMTABLE_BYTES;
    AccountPins "account_pins" INDEX_MEMTABLE_BYTES;
    PinRequests "pin_requests" INDEX_MEMTABLE_BYTES;
    RequestExpiry "request_expiry" INDEX_MEMTABLE_BYTES;
    Accounts "accounts" INDEX_MEMTABLE_BYTES;
    Marks "marks" INDEX_MEMTABLE_BYTES;
    Placements "placements" ROWS_MEMTABLE_BYTES;
    PeerPlacements "peer_placements" INDEX_MEMTABLE_BYTES;
    Due "due" INDEX_MEMTABLE_BYTES;
    Feed "feed" INDEX_MEMTABLE_BYTES;
    Tenants "tenants" INDEX_MEMTABLE_BYTES;
    Keys "keys" INDEX_MEMTABLE_BYTES;
    KeyIds "key_ids" INDEX_MEMTABLE_BYTES;
    TenantKeys "tenant_keys" INDEX_MEMTABLE_BYTES;
    Records "records" INDEX_MEMTABLE_BYTES;
    RecordExpiry "record_expiry" INDEX_MEMTABLE_BYTES;
    Audit "audit" ROWS_MEMTABLE_BYTES;
    AuditHeads "audit_heads" INDEX_MEMTABLE_BYTES;
    AuditCheckpoints "audit_checkpoints" INDEX_MEMTABLE_BYTES;
}

/// The opened database.
pub(super) struct Tables {
    /// Where it lies, for errors.
    pub(super) path: PathBuf,
    pub(super) database: Database,
    /// One for each [`Table`], in the order of [`Table::ALL`].
    keyspaces: Vec<Keyspace>,
}

/// The whole database at one instant.
pub(super) struct View<'a> {
    tables: &'a Tables,
    snapshot: Snapshot,
}

/// A stretch of keys.
pub(super) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A key and its value.
pub(super) type Entry = (UserKey, UserValue);

impl Tables {
    pub(super) fn open(path: &Path, database: Database) -> fjall::Result<Self> {
        let options = |table: Table| {
            KeyspaceCreateOptions::default()
                .manual_journal_persist(true)
                .max_memtable_size(table.memtable_bytes())
        };
        let open = |table: &Table| database.keyspace(table.name(), || options(*table));
        let keyspaces = Table::ALL.iter().map(open).collect::<fjall::Result<_>>()?;
        Ok(Self {
            path: path.to_owned(),
            database,
            keyspaces,
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "there is one keyspace for each table, in the order of Table::ALL"
    )]
    pub(super) fn keyspace(&self, table: Table) -> &Keyspace {
        &self.keyspaces[table as usize]
    }

    /// The newest durable value: rows become visible after their fsync.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<UserValue>> {
        let found = self.keyspace(table).get(key);
        found.map_err(|e| self.failed("read", e))
    }

    /// A view in which all tables are of one instant: for reads of more than one row.
    pub(super) fn view(&self) -> View<'_> {
        View {
            tables: self,
            snapshot: self.database.snapshot(),
        }
    }

    /// What a failure of fjall means to callers of the store.
    pub(super) fn failed(&self, doing: &str, error: fjall::Error) -> StoreError {
        let unavailable = |source| StoreError::Unavailable {
            doing: format!("{doing} {}", self.path.display()),
            source,
        };
        match error {
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                unavailable(source)
            }
            fjall::Error::Poisoned => unavailable(io::Error::other(
                "an earlier write failed; free space or mend the disk, it is then opened again",
            )),
            other => StoreError::Corrupt(format!("{}: {other}", self.path.display())),
        }
    }
}

impl View<'_> {
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<UserValue>> {
        let found = self.snapshot.get(self.tables.keyspace(table), key);
        found.map_err(|e| self.tables.failed("read", e))
    }

    /// Entries in the order of their keys; from both ends.
    pub(super) fn range(
        &self,
        table: Table,
        range: KeyRange,
    ) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        let entries = self.snapshot.range(self.tables.keyspace(table), range);
        entries.map(|entry| {
            entry
                .into_inner()
                .map_err(|e| self.tables.failed("read", e))
        })
    }

    /// All entries of a table.
    pub(super) fn all(&self, table: Table) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        self.range(table, (Bound::Unbounded, Bound::Unbounded))
    }
}
