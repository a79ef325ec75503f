//! What every error can say of itself, whichever crate it comes from.

/// The kind of a failure: a metric label, the rule for retrying, and the HTTP status.
///
/// Kept at ten or fewer, so that a dashboard can show them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The caller sent something that cannot be understood or is over a limit.
    Invalid,
    /// Nobody, or not somebody we know.
    Unauthenticated,
    /// Known, and not allowed.
    Denied,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// The thing has changed since the caller looked, or exists already.
    Conflict,
    /// The account has used up what it paid for or was given.
    Exhausted,
    /// Too much at once; the same call may succeed later.
    Overloaded,
    /// A neighbour (store, Kubo, plugin) does not answer; the same call may succeed later.
    Unavailable,
    /// Stored data is not what it must be. Never retried.
    Corrupt,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// All kinds, for metrics that must show a zero before the first failure.
    pub const ALL: [Self; 10] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Denied,
        Self::NotFound,
        Self::Conflict,
        Self::Exhausted,
        Self::Overloaded,
        Self::Unavailable,
        Self::Corrupt,
        Self::Internal,
    ];

    /// The label in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }

    /// Whether the identical call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Overloaded | Self::Unavailable)
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value from outside that is not what its name promises. The text is fit for the client: it
/// names the thing, what is wrong with it and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Invalid {
    /// The field or noun, as the caller knows it: `cid`, `origins[2]`, `name`.
    pub what: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

impl Invalid {
    /// Names a thing and what is wrong with it.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }

    /// The same complaint about a field inside a larger one: `pin` + `cid` = `pin.cid`.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        Self {
            what: format!("{outer}.{}", self.what),
            why: self.why,
        }
    }

    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
