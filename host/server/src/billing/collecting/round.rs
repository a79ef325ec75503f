//! The worker: it takes the invoices that are due to their plugins.

use super::Queue;
use super::case::{Case, State};
use holdfast_model::UnixMillis;
use holdfast_runtime::Plugins;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often the worker looks by itself: whether the clock or a plugin has moved on.
const LOOK: Duration = Duration::from_millis(500);

/// Attempts under way at once: as many calls as a payment plugin takes unless its limits say
/// otherwise.
const AT_ONCE: usize = 4;

/// Collects for ever.
pub(super) async fn run(queue: Arc<Queue>, plugins: Arc<Plugins>) {
    let mut attempts = JoinSet::new();
    loop {
        queue.excuse(&generations(&plugins));
        let room = AT_ONCE.saturating_sub(attempts.len());
        for key in queue.take_due(room) {
            let (queue, plugins) = (Arc::clone(&queue), Arc::clone(&plugins));
            attempts.spawn(async move { queue.attempt(&key, &plugins).await });
        }
        tokio::select! {
            () = queue.bell.notified() => {}
            Some(_) = attempts.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Which load of each payment plugin serves.
fn generations(plugins: &Plugins) -> BTreeMap<String, u64> {
    let names = plugins.collectors().into_iter();
    names
        .filter_map(|name| {
            let info = plugins.describe(&name)?;
            Some((name, info.generation))
        })
        .collect()
}

impl Queue {
    /// Has those tried at once whose plugin was to blame and is another one by now.
    fn excuse(&self, generations: &BTreeMap<String, u64>) {
        let now = self.clock.now();
        for slot in self.slots.lock().values_mut() {
            let serves = generations.get(&slot.plugin).copied().unwrap_or_default();
            if slot.blamed.is_some_and(|blamed| blamed != serves) {
                slot.blamed = None;
                slot.due = slot.due.min(now);
            }
        }
    }

    /// Takes up to so many invoices that are due, the longest overdue first.
    fn take_due(&self, room: usize) -> Vec<String> {
        let now = self.clock.now();
        let mut slots = self.slots.lock();
        // What does not wait is due at the end of time, unless it is still to be written.
        let mut due: Vec<(UnixMillis, String)> = slots
            .iter()
            .filter(|(_, slot)| !slot.is_busy && slot.due <= now)
            .map(|(key, slot)| (slot.due, key.clone()))
            .collect();
        due.sort_unstable();
        let waits = due.first().map_or(0, |(since, _)| now.millis_since(*since));
        self.metrics
            .overdue
            .set(i64::try_from(waits / 1_000).unwrap_or(i64::MAX));
        due.truncate(room);
        for (_, key) in &due {
            if let Some(slot) = slots.get_mut(key) {
                slot.is_busy = true;
            }
        }
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// One attempt at one invoice, from the file to the file.
    async fn attempt(&self, key: &str, plugins: &Plugins) {
        let begun = match self.settled(key).await {
            Ok(case) if case.state() != State::Waiting => return self.release(key, Some(&case)),
            // What cannot be written down is not begun.
            Ok(case) => self.keep(key, case.begun()).await,
            Err(error) => Err(error),
        };
        let case = match begun {
            Ok(case) => case,
            Err(error) => {
                tracing::error!(%error, "an invoice cannot be tried");
                return self.put_off(key);
            }
        };
        let blamed = generations(plugins)
            .get(&case.plugin)
            .copied()
            .unwrap_or_default();
        let progress = case.progress(self.clock.now());
        let outcome = plugins
            .collect(&case.plugin, &case.invoice, &progress)
            .await;
        let (case, label) = case.after(outcome, self.clock.now());
        self.metrics.attempts.with_label_values(&[label]).inc();
        log(&case, label);
        let blamed = case.is_plugins_fault().then_some(blamed);
        match self.keep(key, case.clone()).await {
            Ok(_) => self.release(key, Some(&case)),
            Err(error) => {
                self.metrics.unwritten.inc();
                tracing::error!(%error, invoice = case.invoice.id, "what came of an invoice cannot be written, and is tried again");
                self.release(key, Some(&case));
                if let Some(slot) = self.slots.lock().get_mut(key) {
                    slot.unwritten = Some(Box::new(case));
                }
                self.put_off(key);
            }
        }
        if let Some(slot) = self.slots.lock().get_mut(key) {
            slot.blamed = blamed;
        }
    }

    /// Has an invoice looked at again a little later, for the disk's sake.
    fn put_off(&self, key: &str) {
        /// The wait; a full disk is not made emptier by looking.
        const MILLIS: u64 = 5_000;
        if let Some(slot) = self.slots.lock().get_mut(key) {
            slot.is_busy = false;
            slot.due = self.clock.now().plus_millis(MILLIS);
        }
    }
}

fn log(case: &Case, outcome: &'static str) {
    let (invoice, plugin, attempt) = (&case.invoice.id, &case.plugin, case.attempts);
    match case.standing() {
        super::Standing::Collected { reference, .. } => {
            tracing::info!(invoice, plugin, attempt, reference, "an invoice is paid");
        }
        super::Standing::Declined { why, .. } => {
            tracing::warn!(
                invoice,
                plugin,
                attempt,
                why,
                "an invoice was declined; a person must see to it"
            );
        }
        super::Standing::Waiting { why, due, .. } if outcome != "pending" => {
            tracing::warn!(invoice, plugin, attempt, outcome, why, due = %due.shortest(), "an invoice was not collected and is tried again");
        }
        super::Standing::Waiting { .. } => {}
    }
}
