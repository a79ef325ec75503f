//! What one job may use.

use std::time::Duration;

/// Processor time of one job. What it waits is not counted.
const CPU: Duration = Duration::from_millis(500);

/// Time of one job on the wall: a slow provider answers within it, or is asked again later.
const WALL: Duration = Duration::from_secs(30);

/// Memory of one job: it reads what a provider answers.
const MEMORY_BYTES: usize = 64 << 20;

/// Bytes that one call can carry from guest to host.
const HOSTCALL_BYTES: usize = 1 << 20;

/// Handles alive at once: a request and its answer have some ten.
const HANDLES_MAX: usize = 1_024;

/// Jobs of one plugin at once.
const CONCURRENCY: usize = 4;

/// Requests of one job.
const EGRESS_CALLS: u64 = 16;

/// Bytes of bodies that one job sends and receives.
const EGRESS_BYTES: u64 = 8 << 20;

/// The bounds of one plugin's jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobLimits {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) memory_bytes: usize,
    pub(crate) hostcall_bytes: usize,
    pub(crate) handles: usize,
    pub(crate) concurrency: usize,
    pub(crate) egress_calls: u64,
    pub(crate) egress_bytes: u64,
}

impl JobLimits {
    /// The usual bounds.
    pub(crate) const USUAL: Self = Self {
        cpu: CPU,
        wall: WALL,
        memory_bytes: MEMORY_BYTES,
        hostcall_bytes: HOSTCALL_BYTES,
        handles: HANDLES_MAX,
        concurrency: CONCURRENCY,
        egress_calls: EGRESS_CALLS,
        egress_bytes: EGRESS_BYTES,
    };
}
