//! Stores for this crate's own tests.

use super::Cql;
use crate::Store;
use crate::contract::Backend;
use crate::contract::keyspace::Keyspace;
use std::collections::BTreeMap;

/// A store in a keyspace of its own.
#[derive(Debug)]
pub(crate) struct Trial {
    keyspace: Keyspace,
    store: Store,
    cql: Cql,
}

impl Trial {
    /// A store whose clock a test may move: nobody uses its keyspace afterwards.
    pub(crate) async fn in_a_time_of_its_own() -> Self {
        Self::open(Keyspace::fresh().unwrap()).await
    }

    async fn open(keyspace: Keyspace) -> Self {
        let cql = Cql::open(keyspace.settings()).await.unwrap();
        Self {
            keyspace,
            store: Store::Cql(cql.clone()),
            cql,
        }
    }

    /// The store, below its door.
    pub(crate) fn cql(&self) -> &Cql {
        &self.cql
    }

    /// How many rows each table has that has any.
    pub(crate) async fn rows(&self) -> BTreeMap<String, i64> {
        self.keyspace.rows().await.unwrap()
    }

    /// Another process that uses the same keyspace.
    pub(crate) async fn another(&self) -> Cql {
        Cql::open(self.keyspace.settings()).await.unwrap()
    }
}

impl Backend for Trial {
    async fn start() -> Self {
        Self::open(Keyspace::empty().await.unwrap()).await
    }

    fn store(&self) -> &Store {
        &self.store
    }

    async fn reopen(self) -> Self {
        let cql = self.another().await;
        Self {
            store: Store::Cql(cql.clone()),
            cql,
            ..self
        }
    }
}
