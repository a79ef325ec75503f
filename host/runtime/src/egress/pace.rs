//! How fast one plugin sends and fetches: so many bytes a second, all its calls together. Who is
//! faster waits; nothing is lost.

use super::guard::Allowance;
use super::voice::Voice;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// What may go at once after a quiet while is what goes in this time.
const BURST: Duration = Duration::from_secs(1);

/// The pace of one generation.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// When all that was carried would have been, had it come evenly.
    even: Mutex<Instant>,
}

impl Pace {
    /// So many bytes a second, in both directions together.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            even: Mutex::new(Instant::now()),
        }
    }

    /// Bytes were carried now: when to go on.
    fn carried(&self, bytes: usize, now: Instant) -> Instant {
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_second;
        let mut even = self.even.lock();
        *even = (*even).max(now) + Duration::from_nanos(nanos);
        even.checked_sub(BURST).map_or(now, |on| on.max(now))
    }
}

/// One body that keeps to the pace.
pub(crate) struct Stride {
    pace: Arc<Pace>,
    voice: Arc<Voice>,
    allowance: Arc<Allowance>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stride {
    /// Of a body that this call sends or fetches. It waits for those before it.
    pub(super) fn new(pace: Arc<Pace>, voice: Arc<Voice>, allowance: Arc<Allowance>) -> Self {
        let mut stride = Self {
            pace,
            voice,
            allowance,
            pause: None,
        };
        stride.carried(0);
        stride
    }

    /// Ready when more may be carried.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Bytes were carried.
    pub(super) fn carried(&mut self, bytes: usize) {
        let now = Instant::now();
        let on = self.pace.carried(bytes, now);
        if on > now {
            self.voice
                .slowed(self.pace.bytes_per_second, &self.allowance);
            self.pause = Some(Box::pin(sleep_until(on)));
        }
    }

    /// When it is ready.
    pub(super) fn ready_at(&self) -> Instant {
        let pause = self.pause.as_ref();
        pause.map_or_else(Instant::now, |pause| pause.deadline())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_goes_at_once_and_the_rest_evenly() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let pace = Pace::new(1_000);
        *pace.even.lock() = start;
        assert_eq!(pace.carried(400, start), start);
        assert_eq!(pace.carried(600, start), start);
        assert_eq!(pace.carried(500, start), after(500));
        // Whoever shares it waits behind that.
        assert_eq!(pace.carried(100, after(100)), after(600));
        assert_eq!(pace.carried(100, after(600)), after(700));
        // However long nothing was carried, no more than a second's goes at once.
        assert_eq!(pace.carried(1_500, after(60_000)), after(60_500));
    }

    #[test]
    fn much_at_once_and_no_pace_at_all_are_bounded() {
        let start = Instant::now();
        let pace = Pace::new(0);
        assert!(pace.carried(2, start) > start);
        assert!(Pace::new(u64::MAX).carried(usize::MAX, start) <= start + BURST);
    }
}
