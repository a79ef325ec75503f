//! A candidate beside the one that serves: live calls run on both, and what differs is written
//! down.
//!
//! The caller never waits for it. A call is copied into a short queue and run by a thread of its
//! own; when the queue is full the call is left out, and that is counted.

mod authorizer;
mod pricing;
mod report;

use crate::bindings::authorizer::Authorizer;
use crate::bindings::pricing::Pricing;
use crate::call::{AuthorizeCall, OwnedCall, OwnedQuoteCall, Quote, QuoteCall, Verdict};
use crate::error::Fault;
use crate::generation::{Bell, Generation, Member};
use crate::guest::printable;
use crate::plugin::Plugin;
use crate::priority::step_back;
use crate::promotion::Ruling;
use crate::registry::ReloadMetrics;
use authorizer::Flips;
use parking_lot::Mutex;
use pricing::Bills;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

pub use authorizer::Flip;
pub use pricing::{BillDifference, Priced};
pub use report::{ShadowFailure, ShadowReport};

/// Calls that wait to be run on a candidate. Each is a copy of what was asked, some KiB at most.
const QUEUE_MAX: usize = 256;

/// Rows of one report: what a person can look at. What does not fit is counted.
const ROWS_MAX: usize = 1_000;

/// Different texts of failures that a report keeps.
const FAILURES_MAX: usize = 20;

/// A candidate that prices.
pub(crate) type PricingTrial = Trial<Plugin<Pricing>, Bills>;

/// A candidate that authorizes.
pub(crate) type AuthorizerTrial = Trial<Plugin<Authorizer>, Flips>;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Calls that both have answered, or the candidate has failed.
    pub(crate) calls: u64,
    /// Of these, those that came out differently; a failure is a difference.
    pub(crate) different: u64,
    /// Of these, those in which the candidate failed.
    pub(crate) failed: u64,
    /// Differences that have no row, because the report is full.
    pub(crate) unlisted: u64,
}

/// A candidate that runs beside what serves.
#[derive(Debug)]
pub(crate) struct Trial<P, R> {
    /// The candidate.
    pub(crate) generation: Arc<Generation<P>>,
    since: Instant,
    dropped: AtomicU64,
    findings: Mutex<Findings<R>>,
}

#[derive(Debug, Default)]
struct Findings<R> {
    tally: Tally,
    failures: BTreeMap<String, u64>,
    rows: R,
}

/// What a comparison writes down about a difference; false if there is no room.
pub(crate) trait Rows: Default + Send + 'static {
    /// What was asked.
    type Call;
    /// What is answered.
    type Answer;

    /// Compares; none if both are the same, else whether the difference found a row.
    fn compare(
        &mut self,
        call: &Self::Call,
        live: &Self::Answer,
        candidate: Result<&Self::Answer, &Fault>,
    ) -> Option<bool>;
}

impl<P, R: Rows> Trial<P, R> {
    /// Begins with nothing seen.
    pub(crate) fn new(generation: Arc<Generation<P>>) -> Self {
        Self {
            generation,
            since: Instant::now(),
            dropped: AtomicU64::new(0),
            findings: Mutex::new(Findings {
                tally: Tally::default(),
                failures: BTreeMap::new(),
                rows: R::default(),
            }),
        }
    }

    /// Since when.
    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> Tally {
        self.findings.lock().tally.clone()
    }

    /// Writes down how a call came out; the answer is its outcome as metrics name it.
    fn note(
        &self,
        call: &R::Call,
        live: &R::Answer,
        found: &Result<R::Answer, Fault>,
    ) -> &'static str {
        let mut findings = self.findings.lock();
        let Findings {
            tally,
            failures,
            rows,
        } = &mut *findings;
        tally.calls = tally.calls.saturating_add(1);
        let Some(has_row) = rows.compare(call, live, found.as_ref()) else {
            return "same";
        };
        tally.different = tally.different.saturating_add(1);
        if !has_row {
            tally.unlisted = tally.unlisted.saturating_add(1);
        }
        let Err(fault) = found else {
            return "different";
        };
        tally.failed = tally.failed.saturating_add(1);
        let text = printable(&fault.to_string());
        if failures.len() < FAILURES_MAX || failures.contains_key(&text) {
            let times = failures.entry(text).or_default();
            *times = times.saturating_add(1);
        }
        "failed"
    }
}

impl<P, R: Rows> Trial<P, R>
where
    Generation<P>: Member,
{
    /// Whether it is a candidate under this name.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        &*self.generation.candidate().name == name
    }

    /// What its rule says of it now.
    pub(crate) fn ruling(&self) -> Ruling {
        self.generation.promotion().rule(&self.tally())
    }
}

/// One call to be run again.
#[derive(Debug)]
enum Job {
    Authorize(Arc<AuthorizerTrial>, Box<OwnedCall>, Verdict),
    Price(Arc<PricingTrial>, Box<OwnedQuoteCall>, Box<Quote>),
}

/// The queue, and the thread behind it, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Shadow {
    queue: SyncSender<Job>,
    metrics: ReloadMetrics,
}

impl Shadow {
    /// Starts the thread. The bell is rung when a candidate's rule has come to a ruling.
    pub(crate) fn start(bell: Arc<Bell>, metrics: ReloadMetrics) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let of_thread = metrics.clone();
        std::thread::Builder::new()
            .name("plugin-shadow".into())
            .spawn(move || {
                // Nobody waits for what a candidate says.
                step_back();
                run(&jobs, &bell, &of_thread);
            })?;
        Ok(Self { queue, metrics })
    }

    /// Runs a call on a candidate too, some time soon.
    pub(crate) fn authorize(
        &self,
        trial: &Arc<AuthorizerTrial>,
        call: &AuthorizeCall<'_>,
        live: &Verdict,
    ) {
        let call = Box::new(OwnedCall::of(call));
        self.offer(Job::Authorize(Arc::clone(trial), call, live.clone()));
    }

    /// The same for a quote.
    pub(crate) fn price(&self, trial: &Arc<PricingTrial>, call: &QuoteCall<'_>, live: &Quote) {
        let call = Box::new(OwnedQuoteCall::of(call));
        self.offer(Job::Price(Arc::clone(trial), call, Box::new(live.clone())));
    }

    fn offer(&self, job: Job) {
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
            self.queue.try_send(job)
        {
            let (name, dropped) = match &job {
                Job::Authorize(trial, ..) => (trial.generation.candidate(), &trial.dropped),
                Job::Price(trial, ..) => (trial.generation.candidate(), &trial.dropped),
            };
            dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.shadowed(&name.name, "dropped");
        }
    }
}

fn run(jobs: &Receiver<Job>, bell: &Bell, metrics: &ReloadMetrics) {
    while let Ok(job) = jobs.recv() {
        let (plugin, outcome, ruling) = match &job {
            Job::Authorize(trial, call, live) => {
                let found = patiently(|| trial.generation.plugin.authorize(&call.borrowed()));
                let outcome = trial.note(call, live, &found);
                (trial.generation.candidate(), outcome, trial.ruling())
            }
            Job::Price(trial, call, live) => {
                let found = patiently(|| trial.generation.plugin.quote(&call.borrowed()));
                let outcome = trial.note(call, live, &found);
                (trial.generation.candidate(), outcome, trial.ruling())
            }
        };
        metrics.shadowed(&plugin.name, outcome);
        if ruling != Ruling::Wait {
            bell.ring();
        }
    }
}

/// Asks again where a bound of the host was reached before the candidate ran: that says nothing of
/// the candidate, and nobody waits.
fn patiently<T>(ask: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
    const TRIES_MAX: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(20);
    let mut found = ask();
    for _ in 1..TRIES_MAX {
        if !matches!(found, Err(Fault::Busy(_))) {
            break;
        }
        std::thread::sleep(PAUSE);
        found = ask();
    }
    found
}
