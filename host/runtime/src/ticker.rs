//! What makes time pass for guests, and has those that take long give way.
//!
//! Whoever serves may need the processor on which a guest computes. A system that has just let them
//! run lets the guest go first and looks again when it has a reason to, so a tick is the longest
//! that somebody waits for a guest that never pauses. Ticks of a millisecond are short enough for
//! deadlines and too long for that. So they are fine once somebody has been found waiting, and for
//! a while after, for where one was, the next is not far. Where nobody waits they stay as they are:
//! each takes some microseconds from whoever serves on the processor that the ticker is on.

use crate::priority::go_before_all;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How finely time is told to guests. A deadline can be late by one tick.
const TICK: Duration = Duration::from_millis(1);

/// The same while somebody waits for guests. They pause ten thousand times a second then at most,
/// for some microseconds if nobody wants the processor.
const FINE_TICK: Duration = Duration::from_micros(100);

/// Fine ticks with nobody waiting before they are coarse again: about a fiftieth of a second.
const LINGER: u32 = 150;

/// Who gives way and is back before that has given way to nobody.
const NOBODY: Duration = Duration::from_micros(4);

/// How often somebody was found waiting for a guest. Of the process and not of an engine: all
/// guests have the same processors.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// Starts a thread that ticks until it is told that there is nothing left to tick for.
///
/// A thread of its own, not a task: a guest that loops may hold every worker of an async runtime,
/// and its watchdog must run all the same.
pub(crate) fn start(name: &str, tick: impl Fn() -> bool + Send + 'static) -> io::Result<()> {
    let ticks = move || {
        // The guest that is to give way has the processor.
        go_before_all();
        let mut pace = Pace::coarse();
        while tick() {
            std::thread::sleep(pace.pause());
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(ticks).map(drop)
}

/// What a guest does that a tick has met: whoever waits for this processor comes first.
pub(crate) fn give_way() {
    let begin = Instant::now();
    std::thread::yield_now();
    was_away(begin.elapsed());
}

fn was_away(long: Duration) {
    if long > NOBODY {
        WAITED.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a ticker goes.
struct Pace {
    /// How often somebody had waited when it last looked.
    waited: u64,
    /// So many fine ticks are left.
    fine: u32,
}

impl Pace {
    fn coarse() -> Self {
        let waited = WAITED.load(Ordering::Relaxed);
        Self { waited, fine: 0 }
    }

    /// How long until the next tick.
    fn pause(&mut self) -> Duration {
        let waited = WAITED.load(Ordering::Relaxed);
        self.fine = match std::mem::replace(&mut self.waited, waited) == waited {
            true => self.fine.saturating_sub(1),
            false => LINGER,
        };
        if self.fine > 0 { FINE_TICK } else { TICK }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_fine_where_somebody_waited_and_a_while_after() {
        let mut pace = Pace::coarse();
        was_away(Duration::from_micros(50));
        for _ in 0..LINGER {
            assert_eq!(pace.pause(), FINE_TICK);
        }
        while pace.pause() == FINE_TICK {
            std::thread::yield_now();
        }
    }

    #[test]
    fn ticks_stay_coarse_where_nobody_waited() {
        // Tests beside this one have guests too, for some of which somebody waits.
        assert!((0..100).any(|_| {
            let mut pace = Pace::coarse();
            was_away(Duration::from_nanos(700));
            pace.pause() == TICK
        }));
    }
}
