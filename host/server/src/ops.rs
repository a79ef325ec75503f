//! What keeps the program watched and reachable: audit, metrics, health, logs, listeners.

pub mod audit;
pub mod desk;
pub mod health;
pub mod listen;
pub mod metrics;
pub mod profile;
pub mod telemetry;
pub mod tls;
