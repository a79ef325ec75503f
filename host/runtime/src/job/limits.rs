//! What one job may use.

use crate::limits::Limits;
use std::time::Duration;

/// The bounds of one plugin's jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobLimits {
    /// Processor time of one job. What it waits is not counted.
    pub(crate) cpu: Duration,
    /// Time of one job on the wall: a slow provider answers within it, or is asked again later.
    pub(crate) wall: Duration,
    /// Memory of one job: it reads what a provider answers.
    pub(crate) memory_bytes: usize,
    /// Bytes that one call can carry from guest to host.
    pub(crate) hostcall_bytes: usize,
    /// Handles alive at once: a request and its answer have some ten.
    pub(crate) handles: usize,
    /// Jobs of one plugin at once.
    pub(crate) concurrency: usize,
    /// Requests of one job.
    pub(crate) egress_calls: u64,
    /// Bytes of bodies that one job sends and receives.
    pub(crate) egress_bytes: u64,
    /// The same in a second, all jobs of one plugin together.
    pub(crate) egress_bytes_per_second: u64,
    /// Connections to the outside at once, all jobs of one plugin together.
    pub(crate) egress_connections: usize,
}

impl JobLimits {
    /// Those of a plugin's limits that a job has.
    pub(crate) const fn of(limits: &Limits) -> Self {
        Self {
            cpu: limits.cpu,
            wall: limits.wall,
            memory_bytes: limits.memory_bytes,
            hostcall_bytes: limits.hostcall_bytes,
            handles: limits.handles,
            concurrency: limits.concurrency,
            egress_calls: limits.egress_calls,
            egress_bytes: limits.egress_bytes,
            egress_bytes_per_second: limits.egress_bytes_per_second,
            egress_connections: limits.egress_connections,
        }
    }
}
