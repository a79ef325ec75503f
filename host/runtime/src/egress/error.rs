//! Why a request did not come about, or ended early.

/// What went wrong. The text is for the operator; the guest is told the kind alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EgressError {
    /// No rule allows it.
    #[error("{0}")]
    Denied(String),
    /// The name leads where nobody may go.
    #[error("{0}")]
    Closed(String),
    /// The name is not known.
    #[error("{0}")]
    Lookup(String),
    /// Nobody answers at the address.
    #[error("{0}")]
    Connect(String),
    /// The other side is not who it should be, or speaks no TLS.
    #[error("{0}")]
    Tls(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// More bytes than the plugin may send and fetch.
    #[error("{0}")]
    TooLarge(String),
    /// More requests than the plugin may send.
    #[error("{0}")]
    Exhausted(String),
    /// The answer is no HTTP, or broke off.
    #[error("{0}")]
    Broken(String),
    /// A secret cannot be had.
    #[error("{0}")]
    Secret(String),
}

impl EgressError {
    /// Every label of [`EgressError::label`], and `ok`.
    pub(crate) const LABELS: [&'static str; 11] = [
        "ok",
        "denied",
        "closed",
        "lookup",
        "connect",
        "tls",
        "timeout",
        "too_large",
        "exhausted",
        "broken",
        "secret",
    ];

    /// The label in metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Closed(_) => "closed",
            Self::Lookup(_) => "lookup",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::TooLarge(_) => "too_large",
            Self::Exhausted(_) => "exhausted",
            Self::Broken(_) => "broken",
            Self::Secret(_) => "secret",
        }
    }
}
