//! What keeps the program watched: audit, metrics, health, logs, listeners, shutdown.

pub mod audit;
