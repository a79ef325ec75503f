//! What makes time pass for guests, and has those that take long give way.
//!
//! Whoever serves may need the processor on which a guest computes. A system that has just let them
//! run lets the guest go first and looks again when it has a reason to, so a tick is the longest
//! that somebody waits for a guest that never pauses. Ticks of a millisecond are short enough for
//! deadlines and too long for that; but a guest that is done before a tick needs no more of them.
//! So they are fine once a guest has run on past one, and for a while after: where one was, the
//! next is not far.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How finely time is told to guests. A deadline can be late by one tick.
const TICK: Duration = Duration::from_millis(1);

/// The same while a guest runs on past ticks. It then pauses ten thousand times a second at most,
/// for some microseconds if nobody wants the processor.
const FINE_TICK: Duration = Duration::from_micros(100);

/// Fine ticks that meet nobody before they are coarse again: about a twentieth of a second.
const LINGER: u32 = 400;

/// How often ticks have met a guest that ran on. Of the process and not of an engine: all guests
/// have the same processors.
static MET: AtomicU64 = AtomicU64::new(0);

/// Starts a thread that ticks until it is told that there is nothing left to tick for.
///
/// A thread of its own, not a task: a guest that loops may hold every worker of an async runtime,
/// and its watchdog must run all the same.
pub(crate) fn start(name: &str, tick: impl Fn() -> bool + Send + 'static) -> io::Result<()> {
    let ticks = move || {
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
    MET.fetch_add(1, Ordering::Relaxed);
    std::thread::yield_now();
}

/// How a ticker goes.
struct Pace {
    /// How often guests had been met when it last looked.
    met: u64,
    /// So many fine ticks are left.
    fine: u32,
}

impl Pace {
    fn coarse() -> Self {
        let met = MET.load(Ordering::Relaxed);
        Self { met, fine: 0 }
    }

    /// How long until the next tick.
    fn pause(&mut self) -> Duration {
        let met = MET.load(Ordering::Relaxed);
        self.fine = match std::mem::replace(&mut self.met, met) == met {
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
    fn ticks_are_fine_from_a_guest_that_was_met_until_a_while_after_the_last() {
        let mut pace = Pace::coarse();
        give_way();
        for _ in 0..LINGER {
            assert_eq!(pace.pause(), FINE_TICK);
        }
        // Tests beside this one have guests too, which end.
        while pace.pause() == FINE_TICK {
            std::thread::yield_now();
        }
    }
}
