//! A keyspace for one test.

use holdfast_store::contract::cassandra;
use holdfast_store::{CqlSettings, schema};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use std::time::{Duration, Instant};

/// How long a table may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// A keyspace of its own, dropped by whoever next finds the node unused.
pub(super) struct Keyspace {
    pub(super) settings: CqlSettings,
    session: Session,
}

impl Keyspace {
    /// A name that nobody has used.
    pub(super) async fn fresh() -> Self {
        let node = tokio::task::block_in_place(cassandra::single).unwrap();
        let settings = node.settings(&node.keyspace());
        let login = settings.login.as_ref().unwrap();
        let session = SessionBuilder::new()
            .known_nodes(&settings.contact_points)
            .user(&login.username, &login.password)
            .auto_await_schema_agreement(false)
            .fetch_schema_metadata(false);
        Self {
            session: session.build().await.unwrap(),
            settings,
        }
    }

    /// One that has the schema.
    pub(super) async fn made() -> Self {
        let keyspace = Self::fresh().await;
        schema::up(&keyspace.settings).await.unwrap();
        keyspace
    }

    /// Makes the keyspace and no table.
    pub(super) async fn make_empty(&self) {
        let make = "CREATE KEYSPACE {keyspace} WITH replication = \
                    {'class': 'NetworkTopologyStrategy', 'DC': 1}";
        let datacenter = &self.settings.local_datacenter;
        self.run(&make.replace("DC", datacenter)).await;
    }

    /// Runs a statement behind the program's back.
    pub(super) async fn run(&self, statement: &str) {
        self.rows(statement).await;
    }

    /// How many rows a statement answers.
    pub(super) async fn rows(&self, statement: &str) -> usize {
        let text = statement.replace("{keyspace}", &self.settings.keyspace);
        let answer = self.session.query_unpaged(text, ()).await.unwrap();
        answer.into_rows_result().map_or(0, |rows| rows.rows_num())
    }

    /// Waits until there is a table.
    pub(super) async fn until_there_is(&self, table: &str) {
        let began = Instant::now();
        let look = format!(
            "SELECT table_name FROM system_schema.tables \
             WHERE keyspace_name = '{{keyspace}}' AND table_name = '{table}'"
        );
        while self.rows(&look).await == 0 {
            assert!(began.elapsed() < PATIENCE, "there is no table {table}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
