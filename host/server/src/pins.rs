//! Placeholder.

pub mod expire;
pub mod place;
pub mod report;
