//! What keeps the program watched: audit, metrics, health, logs, shutdown.

pub mod audit;
