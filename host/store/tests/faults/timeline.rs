//! Every call's end: when, how long it took, what went wrong. Rates and quantiles come from here.

use holdfast_model::ErrorKind;
use holdfast_store::{Result, StoreError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// No call may take longer, whatever happens to the cluster: every deadline of the store is well
/// below it, so a call that is still out by then hangs.
const HANG: Duration = Duration::from_secs(60);

/// Errors closer together than this belong to one disturbance.
const CALM: Duration = Duration::from_secs(2);

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A write that nobody else contends for.
    Write,
    /// A write that others contend for: a conflict is an answer, not an error.
    Contend,
    /// A read.
    Read,
}

#[derive(Debug)]
struct Sample {
    ended: Duration,
    took: Duration,
    call: Call,
    error: Option<ErrorKind>,
}

/// What happened in a run, in the order of the calls' ends.
#[derive(Debug)]
pub(crate) struct Timeline {
    begun: Instant,
    samples: Mutex<Vec<Sample>>,
    /// The first text of each sort of error, for the report.
    texts: Mutex<BTreeMap<String, (String, u64)>>,
}

/// A stretch of a run, its end not included.
pub(crate) type Stretch = std::ops::Range<Duration>;

impl Timeline {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            samples: Mutex::default(),
            texts: Mutex::default(),
        }
    }

    /// How long the run has lasted.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Makes a call and notes its end.
    pub(crate) async fn note<T>(
        &self,
        call: Call,
        made: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = self.now();
        let answer = match timeout(HANG, made).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Corrupt(format!("no answer after {HANG:?}"))),
        };
        let ended = self.now();
        let error = match &answer {
            Err(StoreError::Conflict(_)) if call == Call::Contend => None,
            Err(error) => Some(error),
            Ok(_) => None,
        };
        if let Some(error) = error {
            let mut texts = self.texts.lock();
            let text = error.to_string();
            // Far enough to tell sorts apart, and not into the names of things.
            let words: Vec<_> = text.split(' ').take(4).collect();
            let kind = format!("{:?} ({} ...)", error.kind(), words.join(" ")).to_lowercase();
            texts.entry(kind).or_insert((text, 0)).1 += 1;
        }
        let error = error.map(StoreError::kind);
        let took = ended - began;
        let sample = Sample {
            ended,
            took,
            call,
            error,
        };
        self.samples.lock().push(sample);
        answer
    }

    /// Calls and errors of a stretch.
    pub(crate) fn counts(&self, stretch: &Stretch) -> (usize, usize) {
        let samples = self.samples.lock();
        let within = samples.iter().filter(|s| stretch.contains(&s.ended));
        let errors = within.clone().filter(|s| s.error.is_some()).count();
        (within.count(), errors)
    }

    /// Errors of reads in a stretch.
    pub(crate) fn read_errors(&self, stretch: &Stretch) -> usize {
        let samples = self.samples.lock();
        let within = samples.iter().filter(|s| stretch.contains(&s.ended));
        let read = |s: &&Sample| s.call == Call::Read && s.error.is_some();
        within.filter(read).count()
    }

    /// The errors by sort: how many, and what the first one said.
    pub(crate) fn errors(&self) -> BTreeMap<String, (String, u64)> {
        self.texts.lock().clone()
    }

    /// The 99th percentile of the calls of a stretch that were answered, in milliseconds.
    pub(crate) fn p99(&self, stretch: &Stretch) -> Option<u128> {
        let samples = self.samples.lock();
        let within = samples.iter().filter(|s| stretch.contains(&s.ended));
        let mut took: Vec<_> = within
            .filter(|s| s.error.is_none())
            .map(|s| s.took)
            .collect();
        took.sort_unstable();
        let at = took.len().saturating_sub(1) * 99 / 100;
        took.get(at).map(Duration::as_millis)
    }

    /// The longest call of all.
    pub(crate) fn slowest(&self) -> Duration {
        let samples = self.samples.lock();
        samples.iter().map(|s| s.took).max().unwrap_or_default()
    }

    /// The longest disturbance: from the beginning of its first failed call to the first success
    /// after its last.
    pub(crate) fn recovery(&self) -> Option<Duration> {
        let samples = self.samples.lock();
        let mut longest = None;
        let mut first: Option<Duration> = None;
        let mut last = Duration::ZERO;
        let mut mended: Option<Duration> = None;
        for sample in samples.iter() {
            if sample.error.is_some() {
                let goes_on = first.is_some() && sample.ended < last + CALM;
                if !goes_on {
                    first = Some(sample.ended.saturating_sub(sample.took));
                }
                last = sample.ended;
                mended = None;
            } else if let (Some(first), None) = (first, mended) {
                mended = Some(sample.ended);
                longest = longest.max(Some(sample.ended.saturating_sub(first)));
            }
        }
        // Errors up to the very end: it never recovered.
        match (first, mended) {
            (Some(first), None) => Some(self.now().saturating_sub(first)),
            _ => longest,
        }
    }

    /// Whether calls have succeeded for so long, and none has failed.
    pub(crate) fn is_steady(&self, so_long: Duration) -> bool {
        let Some(from) = self.now().checked_sub(so_long) else {
            return false;
        };
        let (calls, errors) = self.counts(&(from..Duration::MAX));
        calls > 0 && errors == 0
    }
}
