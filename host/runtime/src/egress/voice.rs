//! What is told of a plugin's requests: each is counted once, by how far it came, and what goes
//! wrong is told to the operator, in the host's log and in the plugin's.

use super::error::EgressError;
use super::guard::Allowance;
use super::metrics::GuardMetrics;
use crate::guest::printable;
use crate::logs::{Ring, Speaker};
use std::sync::Arc;

/// Who speaks of one generation's requests. Its series go with it.
#[derive(Debug)]
pub(crate) struct Voice {
    plugin: String,
    generation: u64,
    ring: Arc<Ring>,
    /// Its numbers.
    pub(super) metrics: GuardMetrics,
}

impl Voice {
    /// Speaks of these.
    pub(crate) const fn new(
        plugin: String,
        generation: u64,
        ring: Arc<Ring>,
        metrics: GuardMetrics,
    ) -> Self {
        Self {
            plugin,
            generation,
            ring,
            metrics,
        }
    }

    /// Whose requests.
    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// A request came to nothing, or its answer broke off. It is counted each time and told once a
    /// call: a guest that asks the same again and again fills no log.
    pub(super) fn failed(&self, error: &EgressError, allowance: &Allowance) {
        let (plugin, outcome) = (&self.plugin, error.label());
        self.metrics.count(outcome);
        let text = error.to_string();
        if !allowance.is_news(&text) {
            return;
        }
        tracing::warn!(plugin, outcome, %error, "a plugin's request was not sent or not answered");
        let line = printable(&format!("request {outcome}: {text}"));
        self.ring.push(self.generation, Speaker::Host, "warn", line);
    }

    /// A body waits for the plugin's pace, which is told once a call.
    pub(super) fn slowed(&self, bytes_per_second: u64, allowance: &Allowance) {
        let line = format!(
            "its requests are slowed down: more than {bytes_per_second} bytes a second, all its \
             calls together; send and fetch less or raise egress_bytes_per_second under [limits]"
        );
        if allowance.is_news(&line) {
            tracing::info!(plugin = self.plugin, "{line}");
            self.ring.push(self.generation, Speaker::Host, "info", line);
        }
    }

    /// A request was answered, as far as the plugin has read.
    pub(super) fn answered(&self) {
        self.metrics.count("ok");
    }
}

/// How one answer ends: as a failure once it is told of, well if it never is.
#[derive(Debug)]
pub(super) struct Ending {
    voice: Arc<Voice>,
    allowance: Arc<Allowance>,
    is_told: bool,
}

impl Ending {
    /// Of an answer whose head has come.
    pub(super) const fn new(voice: Arc<Voice>, allowance: Arc<Allowance>) -> Self {
        Self {
            voice,
            allowance,
            is_told: false,
        }
    }

    /// Takes bytes of the body that came.
    pub(super) fn receive(&self, bytes: usize) -> Result<(), EgressError> {
        self.allowance.take_bytes(bytes)?;
        self.voice.metrics.received.inc_by(bytes as u64);
        Ok(())
    }

    /// It broke off.
    pub(super) fn failed(&mut self, error: &EgressError) {
        self.is_told = true;
        self.voice.failed(error, &self.allowance);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.is_told {
            self.voice.answered();
        }
    }
}
