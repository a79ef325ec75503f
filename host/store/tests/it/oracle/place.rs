//! Where the stores lie that are compared.

use super::{Lens, PATIENCE};
use holdfast_store::Store;
use holdfast_store::contract::keyspace::Keyspace;
use tempfile::TempDir;

/// Where a store is that keeps what it holds.
pub(super) enum Place {
    Dir(TempDir),
    Keyspace(Keyspace),
}

impl Place {
    pub(super) async fn open(&self) -> Store {
        match self {
            Self::Dir(dir) => Store::embedded(dir.path()).await.unwrap(),
            Self::Keyspace(keyspace) => {
                let mut settings = keyspace.settings();
                // Whether a call is answered in time is no matter here: beside compilers a node may
                // be silent for longer than a caller would wait.
                let times = &mut settings.timeouts;
                (times.read, times.write) = (PATIENCE, PATIENCE);
                (times.condition, times.page) = (PATIENCE, PATIENCE);
                Store::cql(settings).await.unwrap()
            }
        }
    }

    pub(super) fn lens(&self) -> Lens {
        match self {
            Self::Dir(_) => Lens::Exact,
            Self::Keyspace(_) => Lens::Meaning,
        }
    }
}
