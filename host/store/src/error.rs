//! What can go wrong in a store.

use crate::schema::SchemaError;
use holdfast_model::{Cursor, ErrorKind, Invalid};

/// A failure of the store. The text names the thing and, where there is one, the mend.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What the write expected does not hold.
    #[error("the {0} has changed in the meantime")]
    Conflict(&'static str),
    /// The caller's value cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The feed has been trimmed past this cursor.
    #[error("the change feed begins after {oldest:?}; read everything once and resume from there")]
    CursorTooOld {
        /// The oldest cursor that can be resumed from.
        oldest: Cursor,
    },
    /// More is waiting than the queue holds.
    #[error("the store has more to do than it can queue")]
    Overloaded,
    /// A write was sent and nobody has said whether it took effect. Sending it again is safe only
    /// for who can tell its own write from another's; everybody else looks first.
    #[error("it is not known whether the store could {doing}: {why}; look before trying again")]
    Unsettled {
        /// What was tried.
        doing: String,
        /// What was heard instead of an answer.
        why: String,
    },
    /// The disk or the file system refused: full, read-only, gone.
    #[error("the store cannot {doing}: {source}")]
    Unavailable {
        /// What was tried, with the path.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory cannot be opened as a store.
    #[error("{path}: {why}")]
    Open {
        /// The directory.
        path: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The schema of the keyspace cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Stored data is not what it must be.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The store was closed, or its writer has died.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// What the caller of a doubted write hears when the row is somebody else's by now.
    pub(crate) fn overtaken(what: &str) -> Self {
        Self::Unsettled {
            doing: format!("write the {what}"),
            why: "others have written it since, before anybody said what became of this".to_owned(),
        }
    }

    /// The same failure for another caller that waited for the same thing.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotFound(what) => Self::NotFound(what),
            Self::Conflict(what) => Self::Conflict(what),
            Self::CursorTooOld { oldest } => Self::CursorTooOld { oldest: *oldest },
            Self::Overloaded => Self::Overloaded,
            Self::Closed => Self::Closed,
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            Self::Unavailable { doing, source } => Self::Unavailable {
                doing: doing.clone(),
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            Self::Unsettled { doing, why } => Self::Unsettled {
                doing: doing.clone(),
                why: why.clone(),
            },
            Self::Invalid(_) | Self::Open { .. } | Self::Schema(_) => Self::Unavailable {
                doing: "do what others waited for too".to_owned(),
                source: std::io::Error::other(self.to_string()),
            },
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Invalid(_) | Self::CursorTooOld { .. } => ErrorKind::Invalid,
            Self::Overloaded => ErrorKind::Overloaded,
            Self::Unavailable { .. }
            | Self::Unsettled { .. }
            | Self::Open { .. }
            | Self::Closed => ErrorKind::Unavailable,
            Self::Schema(error) => error.kind(),
            Self::Corrupt(_) => ErrorKind::Corrupt,
        }
    }
}
