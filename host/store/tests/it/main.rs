//! The store from outside: one contract, its backends, and what may happen to a directory.

#[cfg(test)]
mod contract;
