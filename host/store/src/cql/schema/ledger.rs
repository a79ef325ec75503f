//! Which migrations were run: the table `schema_migrations`.
//!
//! Conditional writes only. A migration's row names the lease under which it runs; who has lost the
//! lease can no longer call it done.

use super::SchemaError;
use super::door::Door;
use super::migrations::Migration;
use scylla::value::CqlTimestamp;
use uuid::Uuid;

/// The only part of the system that has migrations.
pub(in crate::cql) const COMPONENT: &str = "store";

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) checksum: Vec<u8>,
    /// The least version that a program must know.
    pub(super) needed: u32,
    pub(super) done: bool,
    /// Milliseconds since 1970, by the cluster's clock.
    pub(super) started: Option<i64>,
    pub(super) finished: Option<i64>,
    pub(super) run_by: String,
}

type Row = (
    i32,
    Option<String>,
    Option<Vec<u8>>,
    Option<i32>,
    Option<String>,
    Option<CqlTimestamp>,
    Option<CqlTimestamp>,
    Option<String>,
);

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        let (version, name, checksum, needed, state, started, finished, run_by) = row;
        let version = u32::try_from(version).unwrap_or(0);
        Self {
            version,
            name: name.unwrap_or_default(),
            checksum: checksum.unwrap_or_default(),
            // A row that does not say is taken at its word that it changed everything.
            needed: needed
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(version),
            done: state.as_deref() == Some("done"),
            started: started.map(|time| time.0),
            finished: finished.map(|time| time.0),
            run_by: run_by.unwrap_or_default(),
        }
    }
}

fn select(keyspace: &str) -> String {
    format!(
        "SELECT version, name, checksum, needed, state, started, finished, run_by \
         FROM {keyspace}.schema_migrations WHERE component = ?"
    )
}

/// The ledger as a majority here has it.
pub(super) async fn read(door: &Door<'_>, keyspace: &str) -> Result<Vec<Entry>, SchemaError> {
    let rows = door
        .read::<Row>("read the ledger", &select(keyspace), (COMPONENT,))
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// The ledger as nobody can have it newer.
pub(super) async fn read_serially(
    door: &Door<'_>,
    keyspace: &str,
) -> Result<Vec<Entry>, SchemaError> {
    let rows = door
        .read_serially::<Row>("read the ledger", &select(keyspace), (COMPONENT,))
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Notes that a migration runs under a lease; one that was left half done is taken over.
pub(super) async fn begin(
    door: &Door<'_>,
    keyspace: &str,
    migration: &Migration,
    lease: Uuid,
    run_by: &str,
) -> Result<(), SchemaError> {
    let doing = format!("begin migration {}", migration.version);
    let version = number(migration.version);
    let insert = format!(
        "INSERT INTO {keyspace}.schema_migrations \
         (component, version, name, checksum, needed, state, started, run_by, lease) \
         VALUES (?, ?, ?, ?, ?, 'running', toTimestamp(now()), ?, ?) IF NOT EXISTS"
    );
    let row = (
        COMPONENT,
        version,
        &migration.name,
        &migration.checksum,
        number(migration.needed),
        run_by,
        lease,
    );
    if door.condition(&doing, &insert, row).await? {
        return Ok(());
    }
    let take_over = format!(
        "UPDATE {keyspace}.schema_migrations SET lease = ?, run_by = ? \
         WHERE component = ? AND version = ? IF state = 'running'"
    );
    let row = (lease, run_by, COMPONENT, version);
    door.condition(&doing, &take_over, row).await.map(drop)
}

/// Notes that a migration is done. `false` if the row is another lease's by now.
pub(super) async fn finish(
    door: &Door<'_>,
    keyspace: &str,
    migration: &Migration,
    lease: Uuid,
) -> Result<bool, SchemaError> {
    let doing = format!("finish migration {}", migration.version);
    let update = format!(
        "UPDATE {keyspace}.schema_migrations SET state = 'done', finished = toTimestamp(now()) \
         WHERE component = ? AND version = ? IF lease = ?"
    );
    let row = (COMPONENT, number(migration.version), lease);
    // Sent twice it holds twice: the lease is still ours.
    door.condition(&doing, &update, row).await
}

fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
