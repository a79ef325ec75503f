//! The reconcilers: they follow the change feed and make the world what the store says.

pub mod peers;
