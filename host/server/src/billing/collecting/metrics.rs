//! What collecting counts. Names are `holdfast_billing_…`.

use super::outcome::COUNTED;
use super::standing::State;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// What the queue of invoices counts.
#[derive(Debug, Clone)]
pub struct CollectMetrics {
    /// `holdfast_billing_invoices`: invoices in the queue, by where they stand.
    pub(super) invoices: IntGaugeVec,
    /// `holdfast_billing_overdue_seconds`: how long the invoice that waits longest past its time
    /// does so.
    pub(super) overdue: IntGauge,
    /// `holdfast_billing_attempts_total`: attempts to rate and to collect, by step and
    /// outcome.
    pub(super) attempts: IntCounterVec,
    /// `holdfast_billing_unwritten_total`: outcomes that could not be written at once.
    pub(super) unwritten: IntCounter,
    /// `holdfast_billing_unreadable_invoices`: files of the queue that could not be read.
    pub(super) unreadable: IntGauge,
}

impl CollectMetrics {
    /// The metrics, at zero.
    ///
    /// # Errors
    /// Never in practice: `prometheus` refuses names that these are not.
    pub fn new() -> Result<Self, prometheus::Error> {
        let invoices = IntGaugeVec::new(
            Opts::new(
                "holdfast_billing_invoices",
                "Invoices in the queue of payments by where they stand.",
            ),
            &["state"],
        )?;
        for state in State::ALL {
            invoices.with_label_values(&[state.as_str()]).set(0);
        }
        let attempts = IntCounterVec::new(
            Opts::new(
                "holdfast_billing_attempts_total",
                "Attempts to rate and to collect an invoice by step and outcome.",
            ),
            &["step", "outcome"],
        )?;
        for counted in COUNTED {
            attempts.with_label_values(&counted);
        }
        Ok(Self {
            invoices,
            overdue: IntGauge::new(
                "holdfast_billing_overdue_seconds",
                "How long the invoice waits that is the longest past its next attempt's time.",
            )?,
            attempts,
            unwritten: IntCounter::new(
                "holdfast_billing_unwritten_total",
                "Outcomes of attempts that could not be written to the disk at once.",
            )?,
            unreadable: IntGauge::new(
                "holdfast_billing_unreadable_invoices",
                "Files of the queue of payments that could not be read at the start.",
            )?,
        })
    }

    /// All of them, to be registered.
    #[must_use]
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.invoices.clone()),
            Box::new(self.overdue.clone()),
            Box::new(self.attempts.clone()),
            Box::new(self.unwritten.clone()),
            Box::new(self.unreadable.clone()),
        ]
    }
}
