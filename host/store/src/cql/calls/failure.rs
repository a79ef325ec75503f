//! What the driver's errors mean, in one flat list.

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use std::fmt;
use std::net::IpAddr;

macro_rules! failures {
    ($($name:ident $label:literal $about:literal;)+) => {
        /// Why an attempt has failed.
        ///
        /// In the order of what says most: when several attempts of one round failed, the first of
        /// them here is what the round came to. A replica's word counts for more than a broken
        /// connection to the next one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Failure { $(
            #[doc = $about]
            $name,
        )+ }

        impl Failure {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in metrics and logs.
            pub(crate) const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }
        }
    };
}

failures! {
    Invalid "invalid" "The server does not understand what it was sent.";
    Strange "strange" "We do not understand what the server has answered.";
    Login "login" "The login is refused.";
    Denied "denied" "The role may not do this.";
    WriteTimeout "write_timeout" "Too few replicas confirmed the write in time.";
    WriteFailed "write_failure" "Replicas failed to write.";
    ReadTimeout "read_timeout" "Too few replicas answered in time.";
    ReadFailed "read_failure" "Replicas failed to read.";
    Unavailable "unavailable" "The coordinator knows that too few replicas are alive.";
    RateLimited "rate_limited" "The partition has had its share of calls.";
    Overloaded "overloaded" "The coordinator has too much to do.";
    Server "server" "A fault of the server.";
    Bootstrapping "bootstrapping" "The coordinator is still starting.";
    Timeout "timeout" "No answer within our own time.";
    Broken "broken" "The connection broke while the answer was outstanding.";
    NoConnection "no_connection" "No node could be sent to.";
}

impl Failure {
    /// Whether the node that it came from is to be trusted less.
    pub(crate) const fn is_of_the_node(self) -> bool {
        matches!(
            self,
            Self::Overloaded | Self::Server | Self::Bootstrapping | Self::Timeout | Self::Broken
        )
    }

    /// What an attempt failed with.
    pub(crate) fn of_attempt(error: &RequestAttemptError) -> Self {
        match error {
            RequestAttemptError::DbError(error, _) => Self::of_server(error),
            RequestAttemptError::BrokenConnectionError(_) => Self::Broken,
            RequestAttemptError::UnableToAllocStreamId => Self::NoConnection,
            RequestAttemptError::SerializationError(_)
            | RequestAttemptError::CqlRequestSerialization(_)
            | RequestAttemptError::RepreparedIdChanged { .. }
            | RequestAttemptError::RepreparedIdMissingInBatch => Self::Invalid,
            _ => Self::Strange,
        }
    }

    /// What a whole driver call failed with.
    pub(crate) fn of_call(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::LastAttemptError(error) => Self::of_attempt(error),
            ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => {
                Self::NoConnection
            }
            ExecutionError::RequestTimeout(_) => Self::Timeout,
            _ => Self::Invalid,
        }
    }

    fn of_server(error: &DbError) -> Self {
        match error {
            DbError::AuthenticationError => Self::Login,
            DbError::Unauthorized => Self::Denied,
            DbError::Unavailable { .. } => Self::Unavailable,
            DbError::Overloaded => Self::Overloaded,
            DbError::IsBootstrapping => Self::Bootstrapping,
            DbError::ReadTimeout { .. } => Self::ReadTimeout,
            DbError::WriteTimeout { .. } => Self::WriteTimeout,
            DbError::ReadFailure { .. } => Self::ReadFailed,
            DbError::WriteFailure { .. } => Self::WriteFailed,
            DbError::RateLimitReached { .. } => Self::RateLimited,
            // A code that the protocol did not have yet: the server failed, and more is not known.
            DbError::ServerError | DbError::TruncateError | DbError::Other(_) => Self::Server,
            _ => Self::Invalid,
        }
    }
}

/// One failed attempt, as errors and logs tell it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) failure: Failure,
    /// The node that was asked, if it came to that.
    pub(crate) node: Option<IpAddr>,
    /// The server's error code and words, or the driver's.
    pub(crate) text: String,
}

impl Heard {
    pub(crate) fn attempt(node: IpAddr, error: &RequestAttemptError) -> Self {
        let text = match error {
            RequestAttemptError::DbError(kind, said) => {
                format!("error {}: {said}", code_of(kind))
            }
            other => other.to_string(),
        };
        Self {
            failure: Failure::of_attempt(error),
            node: Some(node),
            text,
        }
    }

    pub(crate) fn call(error: &ExecutionError) -> Self {
        Self {
            failure: Failure::of_call(error),
            node: None,
            text: error.to_string(),
        }
    }

    /// The time was over before any node was asked.
    pub(crate) fn unsent() -> Self {
        Self {
            failure: Failure::NoConnection,
            node: None,
            text: "no node could be asked in time".to_owned(),
        }
    }

    /// What became of the attempt cannot be told, so it may have been anything.
    pub(crate) fn lost() -> Self {
        Self {
            failure: Failure::Timeout,
            node: None,
            text: "the attempt left no trace".to_owned(),
        }
    }

    pub(crate) fn timeout(node: Option<IpAddr>) -> Self {
        Self {
            failure: Failure::Timeout,
            node,
            text: "no answer in time".to_owned(),
        }
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure.label())?;
        if let Some(node) = self.node {
            write!(f, " at {node}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// The error code of the protocol, by which a server's manual is searched.
fn code_of(error: &DbError) -> String {
    let code = match error {
        DbError::ServerError => 0x0000,
        DbError::ProtocolError => 0x000A,
        DbError::AuthenticationError => 0x0100,
        DbError::Unavailable { .. } => 0x1000,
        DbError::Overloaded => 0x1001,
        DbError::IsBootstrapping => 0x1002,
        DbError::TruncateError => 0x1003,
        DbError::WriteTimeout { .. } => 0x1100,
        DbError::ReadTimeout { .. } => 0x1200,
        DbError::ReadFailure { .. } => 0x1300,
        DbError::FunctionFailure { .. } => 0x1400,
        DbError::WriteFailure { .. } => 0x1500,
        DbError::SyntaxError => 0x2000,
        DbError::Unauthorized => 0x2100,
        DbError::Invalid => 0x2200,
        DbError::ConfigError => 0x2300,
        DbError::AlreadyExists { .. } => 0x2400,
        DbError::Unprepared { .. } => 0x2500,
        DbError::Other(code) => *code,
        // ScyllaDB negotiates this one's code at each connection.
        DbError::RateLimitReached { .. } => return "rate limit".to_owned(),
        _ => return "unknown".to_owned(),
    };
    format!("0x{code:04x}")
}
