//! What the gate tells of itself.

use crate::bundle::Outcome;
use holdfast_model::Action;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

/// Upper bounds in seconds, from 250 ns (a remembered decision) to 1 ms (hundreds of policies that
/// no index can leave out).
const DECISION_SECONDS: [f64; 9] = [
    0.000_000_25,
    0.000_000_5,
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_1,
    0.001,
];

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    Swapped,
    Unchanged,
    Refused,
}

impl Reload {
    const ALL: [Self; 3] = [Self::Swapped, Self::Unchanged, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// The gate's metrics.
#[derive(Debug)]
pub(crate) struct PolicyMetrics {
    decisions: IntCounterVec,
    /// `decisions` by action and outcome, looked up once.
    decided: Vec<[IntCounter; Outcome::ALL.len()]>,
    /// How long a decision took.
    pub(crate) seconds: Histogram,
    /// Policies whose evaluation failed.
    pub(crate) evaluation_errors: IntCounter,
    reloads: IntCounterVec,
    /// Policies in force.
    pub(crate) policies: IntGauge,
}

impl PolicyMetrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let decisions = IntCounterVec::new(
            Opts::new(
                "holdfast_policy_decisions_total",
                "Decisions by action and outcome.",
            ),
            &["action", "outcome"],
        )?;
        let decided = Action::ALL
            .iter()
            .map(|action| {
                Outcome::ALL.map(|outcome| {
                    decisions.with_label_values(&[action.as_str(), outcome.as_str()])
                })
            })
            .collect();
        let reloads = IntCounterVec::new(
            Opts::new(
                "holdfast_policy_reloads_total",
                "Reloads of policies by outcome.",
            ),
            &["outcome"],
        )?;
        for reload in Reload::ALL {
            reloads.with_label_values(&[reload.as_str()]);
        }
        Ok(Self {
            decisions,
            decided,
            seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "holdfast_policy_decision_seconds",
                    "Time that a decision took.",
                )
                .buckets(DECISION_SECONDS.into()),
            )?,
            evaluation_errors: IntCounter::new(
                "holdfast_policy_evaluation_errors_total",
                "Policies that failed while they were evaluated; a forbid that fails denies.",
            )?,
            reloads,
            policies: IntGauge::new("holdfast_policy_policies_count", "Policies in force.")?,
        })
    }

    pub(crate) fn decided(&self, action: Action, outcome: Outcome) {
        if let Some(counter) = self
            .decided
            .get(action as usize)
            .and_then(|counters| counters.get(outcome as usize))
        {
            counter.inc();
        }
    }

    pub(crate) fn reloaded(&self, reload: Reload) {
        self.reloads.with_label_values(&[reload.as_str()]).inc();
    }

    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.decisions.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.evaluation_errors.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.policies.clone()),
        ]
    }
}
