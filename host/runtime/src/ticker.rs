//! What makes time pass for guests, and has those that take long give way.
//!
//! Whoever serves may need the processor on which a guest computes. A system that has just let them
//! run lets the guest go first and looks again when it has a reason to, so a tick is the longest
//! that somebody waits for a guest that never pauses. Ticks of a millisecond are short enough for
//! deadlines and too long for that. So they are fine while guests run on threads that have stepped
//! back, and where a guest has run on past a tick; and for a while after, for where one was, the
//! next is not far.

use crate::priority::{go_before_all, has_stepped_back};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How finely time is told to guests. A deadline can be late by one tick.
const TICK: Duration = Duration::from_millis(1);

/// The same while guests give way. They pause ten thousand times a second then at most, for some
/// microseconds if nobody wants the processor.
const FINE_TICK: Duration = Duration::from_micros(100);

/// Fine ticks without a guest before they are coarse again: about a fiftieth of a second.
const LINGER: u32 = 150;

/// How often there was a reason for fine ticks. Of the process and not of an engine: all guests
/// have the same processors.
static REASONS: AtomicU64 = AtomicU64::new(0);

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

/// A guest begins on this thread.
pub(crate) fn guest_begins() {
    if has_stepped_back() {
        REASONS.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a guest does that a tick has met: whoever waits for this processor comes first.
pub(crate) fn give_way() {
    REASONS.fetch_add(1, Ordering::Relaxed);
    std::thread::yield_now();
}

/// How a ticker goes.
struct Pace {
    /// How many reasons there had been when it last looked.
    reasons: u64,
    /// So many fine ticks are left.
    fine: u32,
}

impl Pace {
    fn coarse() -> Self {
        let reasons = REASONS.load(Ordering::Relaxed);
        Self { reasons, fine: 0 }
    }

    /// How long until the next tick.
    fn pause(&mut self) -> Duration {
        let reasons = REASONS.load(Ordering::Relaxed);
        self.fine = match std::mem::replace(&mut self.reasons, reasons) == reasons {
            true => self.fine.saturating_sub(1),
            false => LINGER,
        };
        if self.fine > 0 { FINE_TICK } else { TICK }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::step_back;

    /// Whether ticks are fine after this. Tests beside this one have guests too, so that what is
    /// coarse for once shows that there was no reason.
    fn is_fine_after(deed: fn()) -> bool {
        (0..100).all(|_| {
            let mut pace = Pace::coarse();
            deed();
            pace.pause() == FINE_TICK
        })
    }

    #[test]
    fn ticks_are_fine_where_a_guest_is_met_and_a_while_after() {
        let mut pace = Pace::coarse();
        give_way();
        for _ in 0..LINGER {
            assert_eq!(pace.pause(), FINE_TICK);
        }
        while pace.pause() == FINE_TICK {
            std::thread::yield_now();
        }
    }

    #[test]
    fn ticks_are_fine_for_guests_of_threads_that_have_stepped_back() {
        assert!(!is_fine_after(guest_begins));
        let behind = std::thread::spawn(|| {
            step_back();
            is_fine_after(guest_begins)
        });
        assert!(behind.join().unwrap());
    }
}
