//! What is counted at the door.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts};

pub(super) struct Metrics {
    refused: IntCounterVec,
    looked_up: IntCounter,
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let refused = IntCounterVec::new(
            Opts::new(
                "holdfast_identity_refused_total",
                "Calls whose credentials were not accepted, by why.",
            ),
            &["why"],
        )?;
        let looked_up = IntCounter::new(
            "holdfast_identity_looked_up_total",
            "Credentials that were looked up or verified rather than remembered.",
        )?;
        Ok(Self { refused, looked_up })
    }

    pub(super) fn refused(&self, why: &str) {
        self.refused.with_label_values(&[why]).inc();
    }

    pub(super) fn looked_up(&self) {
        self.looked_up.inc();
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.refused.clone()),
            Box::new(self.looked_up.clone()),
        ]
    }
}
