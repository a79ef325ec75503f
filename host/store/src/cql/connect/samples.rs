//! Which calls are traced without anybody asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Semaphore;

/// Traces that are read at the same time for the log.
const READING_MAX: usize = 4;

/// One call in so many.
#[derive(Debug)]
pub(crate) struct Samples {
    one_in: u32,
    calls: AtomicU32,
    pub(crate) reading: Arc<Semaphore>,
}

impl Samples {
    pub(crate) fn new(one_in: u32) -> Self {
        Self {
            one_in,
            calls: AtomicU32::new(0),
            reading: Arc::new(Semaphore::new(READING_MAX)),
        }
    }

    /// Counts a call, and says whether it is one to be traced.
    pub(crate) fn is_due(&self) -> bool {
        self.one_in > 0
            && self
                .calls
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(self.one_in)
    }
}
