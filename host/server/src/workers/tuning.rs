//! What an operator may turn: paces, bounds and patience. All of it can be changed while the
//! workers run; what is under way ends as it began.

use super::kubo::Patience;
use std::time::Duration;

/// The settings. The defaults suit one Kubo node beside the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Pins under way at once on one node. Kubo slows down beyond 10 to 20.
    pub concurrency: usize,
    /// How long to wait for content.
    pub patience: Patience,
    /// How failures are repeated.
    pub retry: Retry,
    /// How often a node's queue is looked at when nobody rings.
    pub poll: Duration,
    /// How often a node that answers is asked who it is.
    pub watch_up: Duration,
    /// How often a node that does not answer is tried.
    pub watch_down: Duration,
    /// For so long a worker's claim on a piece of work holds without being renewed.
    pub lease: Duration,
    /// How often progress is written into requests. Each time costs one write for each of them.
    pub progress: Duration,
    /// How often desired and actual are compared in full.
    pub reconcile: Duration,
    /// How often expired requests and pins are looked for.
    pub expiry: Duration,
    /// Whether this process alone drives the nodes: then it takes over at its start what a dead
    /// predecessor was about, and need not wait for the leases to end.
    pub alone: bool,
    /// Whether the nodes are ours alone: then a pin there that nobody here wants is removed.
    pub exclusive: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            concurrency: 16,
            patience: Patience {
                stall: MINUTE,
                attempt: Duration::from_secs(10 * 60),
                stat: Duration::from_secs(10 * 60),
            },
            retry: Retry::default(),
            poll: Duration::from_secs(1),
            watch_up: Duration::from_secs(10),
            watch_down: Duration::from_secs(1),
            lease: Duration::from_secs(120),
            progress: Duration::from_secs(10),
            reconcile: Duration::from_secs(30 * 60),
            expiry: Duration::from_secs(10),
            alone: true,
            exclusive: false,
        }
    }
}

/// How failures are repeated: each wait is twice the one before, up to a bound, and no two workers
/// keep step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts before a pin is given up. Twelve at the default pace take about 15 hours.
    pub attempts_max: u32,
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 12,
            first: Duration::from_secs(30),
            longest: Duration::from_secs(6 * 3_600),
        }
    }
}

impl Retry {
    /// The shortest and the longest share of a wait, in thousandths.
    pub const JITTER: std::ops::RangeInclusive<u64> = 750..=1_250;

    /// Milliseconds to wait after so many failures in a row, of which a random share is taken.
    #[must_use]
    pub fn wait_millis(&self, failures: u32, share: u64) -> u64 {
        let doublings = failures.saturating_sub(1).min(32);
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let whole = millis(self.first)
            .saturating_mul(1 << doublings)
            .min(millis(self.longest));
        whole.saturating_mul(share) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default();
        let waits: Vec<u64> = (1..=4).map(|n| retry.wait_millis(n, 1_000)).collect();
        assert_eq!(waits, [30_000, 60_000, 120_000, 240_000]);
        assert_eq!(retry.wait_millis(u32::MAX, 1_000), 6 * 3_600_000);
        assert_eq!(retry.wait_millis(1, 750), 22_500);
    }

    #[test]
    fn twelve_attempts_span_most_of_a_day() {
        let retry = Retry::default();
        let hours = (1..retry.attempts_max)
            .map(|n| retry.wait_millis(n, 1_000))
            .sum::<u64>()
            / 3_600_000;
        assert!((12..24).contains(&hours), "{hours} h");
    }
}
