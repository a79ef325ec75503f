//! What keeps a schema from being used.

use holdfast_model::ErrorKind;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError, SchemaAgreementError};
use std::time::Duration;

/// Why the schema of a keyspace cannot be used. The text names the thing and the mend.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// There is no such keyspace, and this process may not make it.
    #[error("there is no keyspace {keyspace}; run `holdfast schema up`")]
    NoKeyspace {
        /// Its name.
        keyspace: String,
    },
    /// Migrations are missing, and this process may not run them.
    #[error(
        "the schema of {keyspace} is at version {at} and this program needs {needed}; \
         run `holdfast schema up`"
    )]
    Behind {
        /// The keyspace.
        keyspace: String,
        /// Its version.
        at: u32,
        /// What this program needs.
        needed: u32,
    },
    /// The schema has moved on further than this program can follow.
    #[error(
        "the schema of {keyspace} is at version {at}, for programs that know {needed} or more; \
         this program knows {known}: run a newer release"
    )]
    Newer {
        /// The keyspace.
        keyspace: String,
        /// Its version.
        at: u32,
        /// The least version that a program must know to work with it.
        needed: u32,
        /// What this program knows.
        known: u32,
    },
    /// A migration was run with another text than this program has.
    #[error(
        "migration {version} ({name}) of {keyspace} was run with another text than this program \
         has; run the release that made the keyspace, or name another one in store.cql.keyspace"
    )]
    Drift {
        /// The keyspace.
        keyspace: String,
        /// The migration.
        version: u32,
        /// Its name in this program.
        name: String,
    },
    /// Tables are not what the migrations made.
    #[error("{what}, although the migrations of {keyspace} were run; restore it from a backup")]
    Altered {
        /// The keyspace.
        keyspace: String,
        /// Which table or column, and what is wrong with it.
        what: String,
    },
    /// Another process has been migrating for longer than this one waits.
    #[error(
        "{holder} has been migrating {keyspace} for {} s; if it died, its lease ends by itself",
        waited.as_secs()
    )]
    Busy {
        /// The keyspace.
        keyspace: String,
        /// Who.
        holder: String,
        /// How long this process waited.
        waited: Duration,
    },
    /// The lease ended while this process was migrating.
    #[error("the lease on the migrations of {keyspace} has gone to another process")]
    LeaseLost {
        /// The keyspace.
        keyspace: String,
    },
    /// Tables must be encrypted on disk and are not.
    #[error("store.cql.encryption_at_rest is `required`, and {why}")]
    AtRest {
        /// What is not encrypted, and what to do.
        why: String,
    },
    /// The cluster did not answer in time.
    #[error("the cluster took more than {} s to {doing}", limit.as_secs())]
    Silent {
        /// What was asked of it.
        doing: String,
        /// How long it had.
        limit: Duration,
    },
    /// The cluster refused.
    #[error("the cluster cannot {doing}: {source}{}", mend_of(.source))]
    Refused {
        /// What was asked of it.
        doing: String,
        /// What it said.
        source: Box<ExecutionError>,
    },
    /// The nodes have not come to one schema.
    #[error("the nodes do not agree on one schema: {source}; see `nodetool describecluster`")]
    Disagreement {
        /// What the driver saw.
        source: Box<SchemaAgreementError>,
    },
    /// An answer that cannot be read.
    #[error("the answer to {doing} cannot be read: {why}")]
    Odd {
        /// What was asked.
        doing: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl SchemaError {
    /// What kind of failure it is. `Unavailable` may pass by itself: a start waits for it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoKeyspace { .. }
            | Self::Behind { .. }
            | Self::Busy { .. }
            | Self::LeaseLost { .. }
            | Self::Silent { .. }
            | Self::Disagreement { .. } => ErrorKind::Unavailable,
            Self::Newer { .. } | Self::Drift { .. } | Self::AtRest { .. } => ErrorKind::Invalid,
            Self::Altered { .. } | Self::Odd { .. } => ErrorKind::Corrupt,
            Self::Refused { source, .. } => match said(source) {
                Some(DbError::Unauthorized) => ErrorKind::Denied,
                Some(DbError::SyntaxError | DbError::Invalid | DbError::ConfigError) => {
                    ErrorKind::Invalid
                }
                _ => ErrorKind::Unavailable,
            },
        }
    }

    /// Whether the same call may well succeed a moment later.
    pub(super) fn may_pass(&self) -> bool {
        self.kind() == ErrorKind::Unavailable
    }

    /// Whether the server says that what was to be made is there.
    pub(super) fn is_there_already(&self) -> bool {
        let Self::Refused { source, .. } = self else {
            return false;
        };
        match source.as_ref() {
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, text)) => {
                matches!(error, DbError::AlreadyExists { .. })
                    // A column that is there already has no code of its own.
                    || (*error == DbError::Invalid
                        && (text.contains("already exist") || text.contains("conflicts with")))
            }
            _ => false,
        }
    }

    /// Whether the server knows no such table or column.
    pub(super) fn is_unknown_name(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if said(source) == Some(&DbError::Invalid))
    }
}

/// What the server itself said, if it was the server.
fn said(error: &ExecutionError) -> Option<&DbError> {
    match error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => Some(error),
        _ => None,
    }
}

/// What to do about an answer of the server that operators meet.
fn mend_of(error: &ExecutionError) -> &'static str {
    let ExecutionError::LastAttemptError(RequestAttemptError::DbError(kind, text)) = error else {
        return "";
    };
    if *kind == DbError::Unauthorized {
        return "; grant the role CREATE, ALTER, MODIFY and SELECT on the keyspace, or let an \
                operator run `holdfast schema up`";
    }
    if text.to_ascii_lowercase().contains("tablet") {
        return "; this release of ScyllaDB has no conditional writes with tablets: make the \
                keyspace with store.cql.tablets = \"off\"";
    }
    ""
}
