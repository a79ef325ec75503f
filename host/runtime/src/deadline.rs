//! A deadline in processor time, told by ticks of wall time.
//!
//! Ticks alone would stop a good plugin on a machine so busy that its thread was not run. So a
//! deadline has two halves: when the first has passed on the wall clock, the thread's own clock is
//! read; from then on the guest is stopped once it has itself run for the other half. A call that
//! is quicker than the first half never reads a clock.

use crate::engine::ticks;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use wasmtime::UpdateDeadline;

/// However busy the machine, a call ends after so many halves of its deadline.
const HALVES_MAX: u32 = 40;

/// The deadline of the call that runs.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    half: Duration,
    since: Option<Duration>,
    passed: u32,
}

impl Deadline {
    /// Begins anew; the answer is the first deadline in ticks.
    pub(crate) fn begin(&mut self, whole: Duration) -> u64 {
        self.half = whole.checked_div(2).unwrap_or(whole);
        self.since = None;
        self.passed = 0;
        // One more, because the tick that comes next may come at once.
        ticks(self.half).saturating_add(1)
    }

    /// What to do with a guest that still runs after a half.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        let ran = thread_time();
        self.passed = self.passed.saturating_add(1);
        let has_run = self
            .since
            .map(|since| ran.saturating_sub(since))
            .unwrap_or_default();
        if self.since.is_none() {
            self.since = Some(ran);
        }
        if has_run >= self.half || self.passed >= HALVES_MAX {
            return UpdateDeadline::Interrupt;
        }
        UpdateDeadline::Continue(ticks(self.half.saturating_sub(has_run)))
    }
}

/// How long this thread has run.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_was_not_run_is_let_on_and_at_last_stopped() {
        let mut deadline = Deadline::default();
        // An hour of its own time never passes in this test, so only the last bound stops it.
        deadline.begin(Duration::from_secs(7_200));
        for _ in 1..HALVES_MAX {
            assert!(matches!(deadline.passed(), UpdateDeadline::Continue(_)));
        }
        assert!(matches!(deadline.passed(), UpdateDeadline::Interrupt));
    }

    #[test]
    fn a_guest_that_ran_is_stopped() {
        let mut deadline = Deadline::default();
        deadline.begin(Duration::from_millis(4));
        assert!(matches!(deadline.passed(), UpdateDeadline::Continue(_)));
        let start = thread_time();
        while thread_time().saturating_sub(start) < Duration::from_millis(3) {
            std::hint::spin_loop();
        }
        assert!(matches!(deadline.passed(), UpdateDeadline::Interrupt));
    }
}
