//! Which database speaks CQL to us, and what it wants written differently.

use serde::Serialize;
use std::fmt;

/// A database that the schema is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Apache Cassandra 4.1 or 5.
    Cassandra,
    /// ScyllaDB.
    Scylla,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cassandra => "Apache Cassandra",
            Self::Scylla => "ScyllaDB",
        })
    }
}
