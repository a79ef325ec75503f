//! The store from outside: one contract, its backends, and what may happen to a directory.
#![cfg(test)]

mod cassandra;
mod child;
mod contract;
mod crash;
mod directory;
mod disk;
mod oracle;
mod speed;
