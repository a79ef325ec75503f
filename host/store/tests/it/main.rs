//! The store from outside: one contract, its backends, and what may happen to a directory.
#![cfg(test)]

mod cassandra;
mod child;
mod contract;
mod cql_connection;
mod cql_homes;
mod cql_requests;
mod cql_schema;
mod crash;
mod directory;
mod disk;
mod oracle;
mod pages;
mod speed;
