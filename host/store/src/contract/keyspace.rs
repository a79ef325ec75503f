//! Keyspaces on the shared Cassandra node that tests use one after another.
//!
//! Making thirty tables takes seconds; emptying them takes a tenth of one.

use super::cassandra::{SingleNode, single};
use crate::{CqlSettings, Login};
use parking_lot::Mutex;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Keyspaces that were used and are free again.
static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Tables that a keyspace keeps when it is emptied: what its schema is.
const KEPT: [&str; 2] = ["schema_migrations", "schema_lease"];

/// How long rows may be stamped ahead of the clock, and how often they are looked for.
const CLEAR_PATIENCE: Duration = Duration::from_secs(30);
const CLEAR_PAUSE: Duration = Duration::from_millis(100);

/// A keyspace that belongs to one test, until it is dropped.
#[derive(Debug)]
pub struct Keyspace {
    name: String,
    node: &'static SingleNode,
    is_spoilt: bool,
}

impl Keyspace {
    /// One with nothing in it; it may have no tables yet.
    ///
    /// # Errors
    /// The node does not start, or cannot be asked.
    pub async fn empty() -> io::Result<Self> {
        let node = single()?;
        let used = FREE.lock().pop();
        let is_new = used.is_none();
        let keyspace = Self {
            name: used.unwrap_or_else(|| node.keyspace()),
            node,
            is_spoilt: false,
        };
        if !is_new {
            keyspace.clear().await?;
        }
        Ok(keyspace)
    }

    /// One that nobody used or will use: for a test that stamps rows with times to come, which
    /// cannot be emptied, or looks at the schema.
    ///
    /// # Errors
    /// The node does not start.
    pub fn fresh() -> io::Result<Self> {
        let node = single()?;
        Ok(Self {
            name: node.keyspace(),
            node,
            is_spoilt: true,
        })
    }

    /// Settings for a store in it.
    #[must_use]
    pub fn settings(&self) -> CqlSettings {
        self.node.settings(&self.name)
    }

    /// How many rows each table has that has any; those that say what the schema is are left out.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub async fn rows(&self) -> io::Result<BTreeMap<String, i64>> {
        let session = self.session().await?;
        let mut rows = BTreeMap::new();
        for (table, _) in self.tables(&session).await? {
            let text = format!("SELECT COUNT(*) FROM {}.{table}", self.name);
            let answer = session.query_unpaged(text, ()).await;
            let answer = answer.map_err(io::Error::other)?;
            let counted = answer.into_rows_result().map_err(io::Error::other)?;
            let (count,) = counted.single_row::<(i64,)>().map_err(io::Error::other)?;
            if count > 0 {
                rows.insert(table, count);
            }
        }
        Ok(rows)
    }

    /// Empties every table. Stamps may be some seconds ahead of the clock, for a process that joins
    /// takes over the latest promise of the others: what is stamped later is deleted when its time
    /// has come.
    async fn clear(&self) -> io::Result<()> {
        let session = self.session().await?;
        let deadline = Instant::now() + CLEAR_PATIENCE;
        while self.clear_until_now(&session).await? > 0 {
            if Instant::now() > deadline {
                return Err(io::Error::other("rows are stamped far ahead of the clock"));
            }
            sleep(CLEAR_PAUSE).await;
        }
        Ok(())
    }

    /// Empties one table, as nothing that keeps the store would.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub async fn lose(&self, table: &str) -> io::Result<()> {
        let session = self.session().await?;
        let text = format!("TRUNCATE {}.{table}", self.name);
        let gone = session.query_unpaged(text, ()).await;
        gone.map(drop).map_err(io::Error::other)
    }

    /// Deletes every partition of every table, as of the node's now: later writes are stamped
    /// later. Answers how many there were.
    async fn clear_until_now(&self, session: &Session) -> io::Result<usize> {
        let mut met = 0;
        for (table, keys) in self.tables(session).await? {
            let all = format!(
                "SELECT DISTINCT {} FROM {}.{table}",
                keys.join(", "),
                self.name
            );
            let answer = session.query_unpaged(all, ()).await;
            let rows = answer.map_err(io::Error::other)?.into_rows_result();
            let rows = rows.map_err(io::Error::other)?;
            let rows = rows
                .rows::<scylla::value::Row>()
                .map_err(io::Error::other)?;
            let rows: Result<Vec<_>, _> = rows.collect();
            let rows = rows.map_err(io::Error::other)?;
            if rows.is_empty() {
                continue;
            }
            let one = format!(
                "DELETE FROM {}.{table} WHERE {} = ?",
                self.name,
                keys.join(" = ? AND ")
            );
            let one = session.prepare(one).await.map_err(io::Error::other)?;
            for row in rows {
                let key = row.columns;
                let gone = session.execute_unpaged(&one, key).await;
                gone.map_err(io::Error::other)?;
                met += 1;
            }
        }
        Ok(met)
    }

    /// The tables, each with the columns of its partition key.
    async fn tables(&self, session: &Session) -> io::Result<BTreeMap<String, Vec<String>>> {
        let text = "SELECT table_name, column_name, position, kind FROM system_schema.columns \
             WHERE keyspace_name = ?";
        let answer = session.query_unpaged(text, (&self.name,)).await;
        let rows = answer.map_err(io::Error::other)?.into_rows_result();
        let rows = rows.map_err(io::Error::other)?;
        let rows = rows.rows::<(String, String, i32, String)>();
        let mut places: BTreeMap<String, BTreeMap<i32, String>> = BTreeMap::new();
        for row in rows.map_err(io::Error::other)? {
            let (table, column, position, kind) = row.map_err(io::Error::other)?;
            if kind == "partition_key" && !KEPT.contains(&table.as_str()) {
                places.entry(table).or_default().insert(position, column);
            }
        }
        let in_order = |(table, columns): (String, BTreeMap<i32, String>)| {
            (table, columns.into_values().collect())
        };
        Ok(places.into_iter().map(in_order).collect())
    }

    async fn session(&self) -> io::Result<Session> {
        let settings = self.settings();
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.contact_points)
            .fetch_schema_metadata(false);
        if let Some(Login { username, password }) = &settings.login {
            builder = builder.user(username, password);
        }
        builder.build().await.map_err(io::Error::other)
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        if !self.is_spoilt {
            FREE.lock().push(std::mem::take(&mut self.name));
        }
    }
}
