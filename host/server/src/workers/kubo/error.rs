//! What can go wrong with a Kubo node.

use holdfast_model::ErrorKind;
use std::time::Duration;

/// Characters kept of a node's own words: enough to understand them, short enough for a row.
const MESSAGE_CHARS_MAX: usize = 300;

/// A failure of a call to Kubo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KuboError {
    /// The node cannot be reached or hung up: its health, not this call, is the trouble.
    #[error(
        "kubo at {api} cannot be reached ({why}); see that it runs and that kubo.api names its RPC address"
    )]
    Unreachable {
        /// Its address.
        api: String,
        /// What the network said.
        why: String,
    },
    /// Nothing came for too long.
    #[error("{call}: nothing came for {} ms", .after.as_millis())]
    Stalled {
        /// Which call.
        call: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The node answered, and said no.
    #[error("{call}: {message}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// The node's words.
        message: String,
    },
    /// The answer is not what Kubo answers.
    #[error("{call}: the answer cannot be understood: {why}")]
    Protocol {
        /// Which call.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl KuboError {
    pub(super) fn refused(call: &'static str, message: &str) -> Self {
        Self::Refused {
            call,
            message: capped(message),
        }
    }

    pub(super) fn protocol(call: &'static str, why: impl AsRef<str>) -> Self {
        Self::Protocol {
            call,
            why: capped(why.as_ref()),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Stalled { .. } => ErrorKind::Unavailable,
            Self::Refused { .. } => ErrorKind::Invalid,
            Self::Protocol { .. } => ErrorKind::Internal,
        }
    }

    /// The label in metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Stalled { .. } => "stalled",
            Self::Refused { .. } => "refused",
            Self::Protocol { .. } => "protocol",
        }
    }
}

/// The first characters of a text, on one line.
fn capped(text: &str) -> String {
    let mut short: String = text
        .trim()
        .chars()
        .take(MESSAGE_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_cannot_fill_a_row_with_its_words() {
        let error = KuboError::refused("pin/add", &"é\n".repeat(10_000));
        assert!(error.to_string().chars().count() < MESSAGE_CHARS_MAX + 20);
        assert!(!error.to_string().contains('\n'));
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
