//! What the policies say.

use std::sync::Arc;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allow,
    Deny,
    /// A forbid could not be evaluated, so nobody knows whether it would have forbidden: denied.
    Error,
}

impl Outcome {
    pub(crate) const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::Error];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

/// What the policies say to one question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// The policies that determined it, sorted by id.
    pub(crate) determined_by: Arc<[String]>,
    /// What the forbids among them want callers to be told.
    pub(crate) messages: Vec<String>,
    /// How many policies failed while they were evaluated.
    pub(crate) errors: u64,
}

impl Verdict {
    /// That the host could not even ask. Nothing is allowed then.
    pub(super) fn unanswerable(why: &str) -> Self {
        tracing::error!(why, "a policy decision could not be prepared; denied");
        Self::unknown()
    }

    /// That it is not known what the policies say. Nothing is allowed then.
    pub(crate) fn unknown() -> Self {
        Self {
            outcome: Outcome::Error,
            determined_by: Arc::default(),
            messages: Vec::new(),
            errors: 1,
        }
    }
}
