//! A deadline in processor time, told by ticks of wall time.
//!
//! Ticks alone would stop a good plugin on a machine so busy that its thread was not run. So a
//! deadline has two halves: when the first has passed on the wall clock, the thread's own clock is
//! read; from then on the guest is stopped once it has itself run for the other half. A call that
//! is quicker than a tick never reads a clock. However busy the machine, the wall clock has a bound
//! of its own, because somebody waits for the answer.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};
use wasmtime::UpdateDeadline;

/// Ticks between two looks at a guest that runs.
const LOOK: u64 = 1;

/// How long a call may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Processor time of the guest.
    pub(crate) cpu: Duration,
    /// Time on the wall.
    pub(crate) wall: Duration,
}

/// Which time was over. Raised as a trap from within wasmtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Over {
    /// The guest's own.
    #[error("out of processor time")]
    Cpu,
    /// The wall's.
    #[error("out of time")]
    Wall,
}

/// The deadline of the call that runs.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    half: Duration,
    /// When the first half has passed on the wall.
    middle: Option<Instant>,
    /// When the wall's time is over.
    until: Option<Instant>,
    /// What the thread's clock showed after the first half.
    since: Option<Duration>,
}

impl Deadline {
    /// Begins anew; the answer is after how many ticks to look at the guest.
    pub(crate) fn begin(&mut self, span: Span, now: Instant) -> u64 {
        self.half = span.cpu.checked_div(2).unwrap_or(span.cpu);
        self.middle = now.checked_add(self.half);
        self.until = now.checked_add(span.wall);
        self.since = None;
        // One more, because the tick that comes next may come at once.
        LOOK.saturating_add(1)
    }

    /// What to do with a guest that still runs after a tick.
    pub(crate) fn passed(&mut self, now: Instant) -> Result<UpdateDeadline, Over> {
        let is_past = |instant: Option<Instant>| instant.is_some_and(|instant| instant <= now);
        if is_past(self.until) {
            return Err(Over::Wall);
        }
        if is_past(self.middle) {
            let ran = thread_time();
            if ran.saturating_sub(*self.since.get_or_insert(ran)) >= self.half {
                return Err(Over::Cpu);
            }
        }
        Ok(UpdateDeadline::Continue(LOOK))
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
    fn a_guest_that_was_not_run_is_let_on_until_the_wall_stops_it() {
        let mut deadline = Deadline::default();
        let start = Instant::now();
        // An hour of its own time never passes in this test.
        let span = Span {
            cpu: Duration::from_secs(3_600),
            wall: Duration::from_secs(10),
        };
        deadline.begin(span, start);
        for seconds in 1..10 {
            let now = start + Duration::from_secs(seconds);
            assert!(matches!(
                deadline.passed(now),
                Ok(UpdateDeadline::Continue(_))
            ));
        }
        let late = start + Duration::from_secs(10);
        assert!(matches!(deadline.passed(late), Err(Over::Wall)));
    }

    #[test]
    fn a_guest_that_ran_is_stopped() {
        let mut deadline = Deadline::default();
        let span = Span {
            cpu: Duration::from_millis(4),
            wall: Duration::from_secs(3_600),
        };
        let start = Instant::now();
        deadline.begin(span, start);
        let middle = start + Duration::from_millis(2);
        assert!(deadline.passed(start).is_ok() && deadline.passed(middle).is_ok());
        let ran = thread_time();
        while thread_time().saturating_sub(ran) < Duration::from_millis(3) {
            std::hint::spin_loop();
        }
        assert!(matches!(deadline.passed(middle), Err(Over::Cpu)));
    }
}
