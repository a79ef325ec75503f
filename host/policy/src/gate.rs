//! The door.

use crate::permit::Permit;
use holdfast_model::action::Act;
use holdfast_model::{Action, Principal};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Names one decision in answers and in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecisionId(pub u128);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Which set of policies decided: the SHA-256 of schema and policies, its first 8 bytes in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(pub Arc<str>);

/// Facts of this one call that policies may look at.
#[derive(Debug, Clone, Default)]
pub struct Context {}

/// What was decided, and by what.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Its name.
    pub id: DecisionId,
    /// The policies in force.
    pub revision: Revision,
    /// The ids of the policies that determined it; empty when nothing allowed it.
    pub determined_by: Arc<[String]>,
}

/// That something is not allowed.
#[derive(Debug, Clone)]
pub struct Denial {
    /// What was tried.
    pub action: Action,
    /// The decision behind it.
    pub decision: Decision,
    /// Whether the caller may not even know that the thing exists: answer 404.
    pub hidden: bool,
    /// What the policies' authors want callers to be told; static text.
    pub messages: Vec<String>,
}

/// Why policies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The door.
#[derive(Debug)]
pub struct Gate {}

#[allow(
    unused_variables,
    missing_docs,
    clippy::missing_errors_doc,
    clippy::unimplemented,
    clippy::allow_attributes_without_reason
)]
impl Gate {
    /// Opens with the policies of a folder (`schema.cedarschema` and `*.cedar`), or with the built-in ones.
    pub fn open(dir: Option<&Path>) -> Result<Self, PolicyError> {
        unimplemented!()
    }
    /// The only maker of permits.
    pub fn permit<A: Act>(
        &self,
        principal: &Arc<Principal>,
        on: A::On,
        context: &Context,
    ) -> Result<Permit<A>, Denial> {
        unimplemented!()
    }
    /// Reads the folder again; a bad set leaves the good one in force.
    pub fn reload(&self) -> Result<Revision, PolicyError> {
        unimplemented!()
    }
    pub fn revision(&self) -> Revision {
        unimplemented!()
    }
    pub fn metrics(&self) -> Vec<Box<dyn prometheus::core::Collector>> {
        unimplemented!()
    }
}
