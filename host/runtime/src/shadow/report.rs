//! What is told of a candidate's shadow run.

use super::authorizer::Flip;
use super::pricing::BillDifference;
use super::{AuthorizerTrial, PricingTrial, Rows, Tally, Trial};
use crate::generation::{Generation, Member};
use crate::promotion::{Promotion, Ruling};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// How a candidate compares with what serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShadowReport {
    /// The plugin.
    pub name: String,
    /// `authorizer` or `pricing`.
    pub kind: String,
    /// The candidate's generation.
    pub generation: u64,
    /// What its component says of itself.
    pub version: String,
    /// SHA-256 of its component, in hex.
    pub digest: String,
    /// How long it has run so far.
    pub running_ms: u64,
    /// Calls that were run on it.
    pub calls: u64,
    /// Of these, those that came out differently, failures among them.
    pub different: u64,
    /// Of these, those in which it failed.
    pub failed: u64,
    /// Calls that were left out, because more came than it could take.
    pub dropped: u64,
    /// Differences that have no row below, because there were too many.
    pub unlisted: u64,
    /// How it failed, and how often.
    pub failures: Vec<ShadowFailure>,
    /// For pricing: the accounts whose bills would change, the largest difference first.
    pub bills: Vec<BillDifference>,
    /// For an authorizer: the calls that it would decide otherwise.
    pub flips: Vec<Flip>,
    /// The rule that decides about its promotion.
    pub rule: Promotion,
    /// What the rule says now: `waiting`, `promote`, or why not.
    pub ruling: String,
}

/// A way in which a candidate failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowFailure {
    /// What was said.
    pub error: String,
    /// How often.
    pub count: u64,
}

impl PricingTrial {
    /// What is to be told.
    pub(crate) fn report(&self) -> ShadowReport {
        self.told(|report, bills| report.bills = bills.rows())
    }
}

impl AuthorizerTrial {
    /// What is to be told.
    pub(crate) fn report(&self) -> ShadowReport {
        self.told(|report, flips| report.flips = flips.rows())
    }
}

impl<P, R: Rows> Trial<P, R>
where
    Generation<P>: Member,
{
    fn told(&self, rows: impl FnOnce(&mut ShadowReport, &R)) -> ShadowReport {
        let ruling = match self.ruling() {
            Ruling::Wait => "waiting".to_owned(),
            Ruling::Promote => "promote".to_owned(),
            Ruling::Refuse(why) => why,
        };
        let generation = &*self.generation;
        let candidate = generation.candidate();
        let findings = self.findings.lock();
        let Tally {
            calls,
            different,
            failed,
            unlisted,
        } = findings.tally;
        let failures = findings.failures.iter();
        let mut report = ShadowReport {
            name: candidate.name.to_string(),
            kind: generation.kind().to_string(),
            generation: generation.number(),
            version: generation.description().version.clone(),
            digest: candidate.digest.to_string(),
            running_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            calls,
            different,
            failed,
            dropped: self.dropped.load(Ordering::Relaxed),
            unlisted,
            failures: failures
                .map(|(error, &count)| ShadowFailure {
                    error: error.clone(),
                    count,
                })
                .collect(),
            bills: Vec::new(),
            flips: Vec::new(),
            rule: *generation.promotion(),
            ruling,
        };
        rows(&mut report, &findings.rows);
        report
    }
}
