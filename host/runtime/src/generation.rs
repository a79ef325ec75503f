//! One load of a plugin, with what the host knows of how it fares.

use crate::breaker::{Breaker, BreakerRule, Change, End, Pass};
use crate::error::{Fault, PluginError};
use crate::job::{JobPlugin, JobWorld};
use crate::kind::Kind;
use crate::metrics::PluginMetrics;
use crate::package::Fingerprint;
use crate::plugin::{Candidate, Load, Plugin};
use crate::promotion::{Health, Promotion};
use crate::world::{Description, World};
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::Component;

/// What can be loaded and called, whatever its world and its engine.
pub(crate) trait Served: fmt::Debug + Send + Sync + 'static {
    /// Which world.
    const KIND: Kind;

    /// What was loaded.
    fn load(&self) -> &Load;
    /// How it fares.
    fn metrics(&self) -> &PluginMetrics;
}

impl<W: World> Served for Plugin<W> {
    const KIND: Kind = W::KIND;

    fn load(&self) -> &Load {
        &self.load
    }

    fn metrics(&self) -> &PluginMetrics {
        self.metrics()
    }
}

impl<W: JobWorld> Served for JobPlugin<W> {
    const KIND: Kind = W::KIND;

    fn load(&self) -> &Load {
        &self.load
    }

    fn metrics(&self) -> &PluginMetrics {
        self.mould.metrics()
    }
}

/// One load of a plugin.
#[derive(Debug)]
pub(crate) struct Generation<P> {
    /// What is called.
    pub(crate) plugin: P,
    /// When it is taken out of service.
    pub(crate) breaker: Breaker,
    /// How it comes into service.
    pub(crate) promotion: Promotion,
    /// What it was loaded from.
    pub(crate) fingerprint: Fingerprint,
    bell: Arc<Bell>,
}

/// The rules that came with a package, and whom to tell of what they do.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Of the breaker.
    pub(crate) breaker: BreakerRule,
    /// Of promotion.
    pub(crate) promotion: Promotion,
    /// What it was loaded from.
    pub(crate) fingerprint: Fingerprint,
    /// Rung when a breaker opens or closes.
    pub(crate) bell: Arc<Bell>,
}

impl<P: Served> Generation<P> {
    /// Puts a loaded plugin under its rules.
    pub(crate) fn new(plugin: P, rules: Rules) -> Self {
        Self {
            plugin,
            breaker: Breaker::new(rules.breaker),
            promotion: rules.promotion,
            fingerprint: rules.fingerprint,
            bell: rules.bell,
        }
    }

    /// Calls it, unless its breaker is open.
    pub(crate) fn call<R>(
        &self,
        run: impl FnOnce(&P) -> Result<R, Fault>,
    ) -> Result<R, PluginError> {
        let pass = self.enter()?;
        let outcome = run(&self.plugin);
        self.leave(pass, End::of(&outcome));
        outcome.map_err(|fault| PluginError::of(&self.plugin.load().candidate.name, &fault))
    }

    /// Before a call: the breaker may turn it away.
    pub(crate) fn enter(&self) -> Result<Pass<'_>, PluginError> {
        self.breaker.admit().map_err(|why| PluginError::Open {
            plugin: self.plugin.load().candidate.name.to_string(),
            why,
        })
    }

    /// After it: the breaker is told how it ended.
    pub(crate) fn leave(&self, pass: Pass<'_>, end: End) {
        let change = pass.ended(end);
        if change == Change::None {
            return;
        }
        let (name, generation) = (
            &self.plugin.load().candidate.name,
            self.plugin.load().generation,
        );
        match self.breaker.why(Instant::now()) {
            Some(why) => tracing::error!(plugin = &**name, generation, why, "plugin only fails"),
            None => tracing::info!(plugin = &**name, generation, "plugin is in service again"),
        }
        self.bell.ring();
    }
}

/// A generation of any kind.
pub(crate) trait Member: fmt::Debug + Send + Sync {
    /// Which world.
    fn kind(&self) -> Kind;
    /// What it was made of.
    fn candidate(&self) -> &Candidate;
    /// What it says of itself.
    fn description(&self) -> &Description;
    /// Which load it was.
    fn number(&self) -> u64;
    /// What it is an instance of.
    fn component(&self) -> &Component;
    /// Whether its breaker turns calls away, and why.
    fn breaker(&self) -> &Breaker;
    /// How it comes into service.
    fn promotion(&self) -> &Promotion;
    /// What it was loaded from.
    fn fingerprint(&self) -> Fingerprint;
    /// Its calls so far.
    fn sample(&self) -> Sample;
}

impl<P: Served> Member for Generation<P> {
    fn kind(&self) -> Kind {
        P::KIND
    }

    fn candidate(&self) -> &Candidate {
        &self.plugin.load().candidate
    }

    fn description(&self) -> &Description {
        &self.plugin.load().description
    }

    fn number(&self) -> u64 {
        self.plugin.load().generation
    }

    fn component(&self) -> &Component {
        &self.plugin.load().component
    }

    fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    fn promotion(&self) -> &Promotion {
        &self.promotion
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn sample(&self) -> Sample {
        self.plugin.metrics().sample()
    }
}

/// What was counted of a generation's calls up to a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Calls that ended.
    pub(crate) calls: u64,
    /// Of these, those without a usable answer.
    pub(crate) failures: u64,
    /// How many calls took at most so long.
    pub(crate) within: Vec<(Duration, u64)>,
}

impl Sample {
    /// How it fared since an earlier sample.
    pub(crate) fn since(&self, earlier: &Self) -> Health {
        let before = |n: usize| earlier.within.get(n).map_or(0, |&(_, calls)| calls);
        let within: Vec<(Duration, u64)> = self
            .within
            .iter()
            .enumerate()
            .map(|(n, &(bound, calls))| (bound, calls.saturating_sub(before(n))))
            .collect();
        Health {
            calls: self.calls.saturating_sub(earlier.calls),
            failures: self.failures.saturating_sub(earlier.failures),
            median: median(&within),
        }
    }
}

/// The median out of a histogram: within its bucket, calls are taken as spread evenly.
fn median(within: &[(Duration, u64)]) -> Duration {
    let all = within.last().map_or(0, |&(_, calls)| calls);
    if all == 0 {
        return Duration::ZERO;
    }
    let half = all.div_ceil(2);
    let (mut below, mut from) = (0, Duration::ZERO);
    for &(bound, calls) in within {
        if calls >= half && calls > below {
            let share = u128::from(half.saturating_sub(below));
            let width = bound.saturating_sub(from).as_nanos();
            let into = width
                .saturating_mul(share)
                .checked_div(u128::from(calls.saturating_sub(below)))
                .unwrap_or_default();
            let into = Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX));
            return from.saturating_add(into);
        }
        (below, from) = (calls, bound);
    }
    from
}

/// Wakes whoever looks after the plugins.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    /// Rings it. Never waits for anybody for long, so calls may.
    pub(crate) fn ring(&self) {
        *self.is_rung.lock() = true;
        self.rung.notify_one();
    }

    /// Waits until it is rung, or for so long at most.
    pub(crate) fn wait(&self, most: Option<Duration>) {
        let mut is_rung = self.is_rung.lock();
        if !*is_rung {
            match most {
                Some(most) => {
                    let _ = self.rung.wait_for(&mut is_rung, most);
                }
                None => self.rung.wait(&mut is_rung),
            }
        }
        *is_rung = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn a_median_is_found_in_its_bucket() {
        let within = |counts: [u64; 3]| {
            [
                (micros(10), counts[0]),
                (micros(20), counts[1]),
                (micros(100), counts[2]),
            ]
        };
        for (counts, expected) in [
            ([0, 0, 0], 0),
            ([2, 2, 2], 5),
            ([0, 10, 10], 15),
            ([1, 1, 11], 60),
        ] {
            assert_eq!(median(&within(counts)), micros(expected), "{counts:?}");
        }
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn what_was_before_does_not_count() {
        let sample = |calls, failures, counts: [u64; 2]| Sample {
            calls,
            failures,
            within: vec![(micros(10), counts[0]), (micros(20), counts[1])],
        };
        let health = sample(30, 6, [10, 30]).since(&sample(10, 5, [10, 10]));
        assert_eq!(
            (health.calls, health.failures, health.median),
            (20, 1, micros(15))
        );
    }

    #[test]
    fn a_bell_that_was_rung_does_not_keep_waiting() {
        let bell = Bell::default();
        bell.ring();
        bell.wait(None);
        bell.wait(Some(Duration::ZERO));
    }
}
