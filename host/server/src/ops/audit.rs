//! The audit log: every decision, in a file of one JSON object a line.

/// The handle.
#[derive(Debug, Clone)]
pub struct Audit;
