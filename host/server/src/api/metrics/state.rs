//! What the State API tells of itself.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

/// The State API's metrics.
#[derive(Debug, Clone)]
pub(crate) struct StateMetrics {
    open: IntGauge,
    stalled: IntCounter,
    streamed: IntCounterVec,
    batched: IntCounterVec,
}

/// What a stream is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    Pin,
    Change,
}

impl StateMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            open: IntGauge::new(
                "holdfast_state_open_streams",
                "lists and feeds that are being read",
            )?,
            stalled: IntCounter::new(
                "holdfast_state_stalled_total",
                "streams cut off because their reader took nothing any more",
            )?,
            streamed: IntCounterVec::new(
                Opts::new(
                    "holdfast_state_streamed_total",
                    "pins and changes written to streams",
                ),
                &["item"],
            )?,
            batched: IntCounterVec::new(
                Opts::new("holdfast_state_batched_total", "entries of batches"),
                &["outcome"],
            )?,
        };
        for item in ["pin", "change"] {
            metrics.streamed.with_label_values(&[item]);
        }
        for outcome in ["applied", "failed"] {
            metrics.batched.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.open.clone()),
            Box::new(self.stalled.clone()),
            Box::new(self.streamed.clone()),
            Box::new(self.batched.clone()),
        ]
    }

    pub(crate) fn opened(&self) {
        self.open.inc();
    }

    pub(crate) fn closed(&self) {
        self.open.dec();
    }

    pub(crate) fn stalled(&self) {
        self.stalled.inc();
    }

    pub(crate) fn streamed(&self, item: Item, count: u64) {
        let label = match item {
            Item::Pin => "pin",
            Item::Change => "change",
        };
        self.streamed.with_label_values(&[label]).inc_by(count);
    }

    pub(crate) fn batched(&self, applied: u64, failed: u64) {
        self.batched.with_label_values(&["applied"]).inc_by(applied);
        self.batched.with_label_values(&["failed"]).inc_by(failed);
    }
}
