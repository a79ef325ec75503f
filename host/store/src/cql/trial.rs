//! Stores for this crate's own tests.

use super::Cql;
use crate::Store;
use crate::contract::keyspace::Keyspace;
use crate::contract::{Backend, Outcome};

/// A store in a keyspace of its own.
#[derive(Debug)]
pub(crate) struct Trial {
    keyspace: Keyspace,
    store: Store,
    cql: Cql,
}

impl Trial {
    /// The store, below its door.
    pub(crate) fn cql(&self) -> &Cql {
        &self.cql
    }

    /// Another process that uses the same keyspace.
    pub(crate) async fn another(&self) -> Cql {
        Cql::open(self.keyspace.settings()).await.unwrap()
    }
}

impl Backend for Trial {
    async fn start() -> Self {
        let keyspace = Keyspace::empty().await.unwrap();
        let cql = Cql::open(keyspace.settings()).await.unwrap();
        Self {
            keyspace,
            store: Store::Cql(cql.clone()),
            cql,
        }
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

/// Runs one case of the contract.
pub(crate) async fn case<F: Future<Output = Outcome>>(case: impl FnOnce(Trial) -> F) {
    case(Trial::start().await).await.unwrap();
}
