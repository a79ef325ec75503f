//! What keeps the program watched and reachable.

mod advised;
mod audit;
mod auditor;
mod binary;
mod host;
mod listen;
mod pages;
mod schema;
mod secured;
