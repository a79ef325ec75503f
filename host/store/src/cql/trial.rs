//! Stores for this crate's own tests.

use super::Cql;
use crate::CqlSettings;
use std::sync::atomic::{AtomicU32, Ordering};

/// A store in a keyspace of its own.
pub(crate) async fn open() -> Cql {
    again(&keyspace()).await
}

/// Another process of the same keyspace.
pub(crate) async fn again(keyspace: &str) -> Cql {
    let settings = CqlSettings::new(vec!["127.0.34.1:9042".to_owned()], "dc1", keyspace);
    Cql::open(settings).await.unwrap()
}

/// A name that no other test has.
pub(crate) fn keyspace() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("e_{}_{number}", std::process::id())
}
