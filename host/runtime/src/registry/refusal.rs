//! Why a plugin was not taken in, and at which stage.

use crate::kind::Kind;
use holdfast_model::ErrorKind;

/// The stages that a package goes through, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its files are read whole.
    Read,
    /// Somebody who is trusted vouches for it.
    Signature,
    /// It is a component of one of our worlds, and imports nothing else.
    Admit,
    /// The operator's side makes sense.
    Manifest,
    /// It compiles within its bounds.
    Compile,
    /// All functions that it imports are there.
    Link,
    /// Its memory can be set aside.
    Memory,
    /// A first instance can be made.
    Instantiate,
    /// It tells what it is.
    Describe,
    /// It takes its settings.
    Init,
    /// What it needs is granted, and the secrets of its grants are there.
    Needs,
    /// It answers its golden vectors as they say.
    Vectors,
    /// Beside live calls it answers as what serves does, or nearly.
    Shadow,
    /// Once promoted, it fares as well as the one before.
    Watch,
}

impl Stage {
    /// All, in order.
    pub(crate) const ALL: [Self; 14] = [
        Self::Read,
        Self::Signature,
        Self::Admit,
        Self::Manifest,
        Self::Compile,
        Self::Link,
        Self::Memory,
        Self::Instantiate,
        Self::Describe,
        Self::Init,
        Self::Needs,
        Self::Vectors,
        Self::Shadow,
        Self::Watch,
    ];

    /// The label in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Signature => "signature",
            Self::Admit => "admit",
            Self::Manifest => "manifest",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Memory => "memory",
            Self::Instantiate => "instantiate",
            Self::Describe => "describe",
            Self::Init => "init",
            Self::Needs => "needs",
            Self::Vectors => "vectors",
            Self::Shadow => "shadow",
            Self::Watch => "watch",
        }
    }
}

/// At which stage a component was refused, and why.
pub(crate) type NotStarted = (Stage, String);

/// What was refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// Where it failed.
    pub(crate) stage: Stage,
    /// Its kind, once that was known.
    pub(crate) kind: Option<Kind>,
    /// SHA-256 of the component, in hex; empty if it was not read.
    pub(crate) digest: String,
    /// Its generation, if it got as far as being loaded; else 0.
    pub(crate) generation: u64,
    /// For the operator: which file, what is wrong, what to do.
    pub(crate) why: String,
}

/// Why something that was asked of the plugins was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// There is no plugin of that name.
    #[error("there is no plugin {0}; `holdfast plugin list` shows what there is")]
    NotFound(String),
    /// A package did not pass.
    #[error("plugin {plugin} was refused ({stage}): {why}")]
    Refused {
        /// Which.
        plugin: String,
        /// At which stage.
        stage: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
    /// It does not fit what there is now.
    #[error("plugin {plugin}: {why}")]
    Conflict {
        /// Which.
        plugin: String,
        /// Why not.
        why: String,
    },
    /// The folder cannot be written.
    #[error("plugin {plugin} cannot be written into the plugins folder: {why}")]
    Unwritten {
        /// Which.
        plugin: String,
        /// Why not.
        why: String,
    },
}

impl ReloadError {
    /// The kind of the failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Refused { .. } => ErrorKind::Invalid,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Unwritten { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn refused(plugin: &str, refusal: &Refusal) -> Self {
        Self::Refused {
            plugin: plugin.to_owned(),
            stage: refusal.stage.as_str(),
            why: refusal.why.clone(),
        }
    }

    pub(crate) fn conflict(plugin: &str, why: impl Into<String>) -> Self {
        Self::Conflict {
            plugin: plugin.to_owned(),
            why: why.into(),
        }
    }
}
