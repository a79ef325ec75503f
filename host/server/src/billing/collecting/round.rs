//! The worker: it takes the invoices that are due to their plugins.

use super::Queue;
use super::case::{Case, Matter};
use super::outcome::{Counted, Outcome, PAYMENT, RATING};
use super::standing::{Standing, State};
use crate::aside::Aside;
use crate::billing::rate::rate;
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

/// The wait for the disk's sake: a full one is not made emptier by looking.
const DISK_PAUSE_MILLIS: u64 = 5_000;

/// Rates and collects for ever.
pub(super) async fn run(queue: Arc<Queue>, plugins: Arc<Plugins>, aside: Aside) {
    let asked = Asked { plugins, aside };
    let mut attempts = JoinSet::new();
    loop {
        queue.excuse(&Serving::of(&asked.plugins));
        let room = AT_ONCE.saturating_sub(attempts.len());
        for key in queue.take_due(room) {
            let (queue, asked) = (Arc::clone(&queue), asked.clone());
            attempts.spawn(async move { queue.attempt(&key, &asked).await });
        }
        tokio::select! {
            () = queue.bell.notified() => {}
            Some(_) = attempts.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Whom the worker asks.
#[derive(Clone)]
struct Asked {
    plugins: Arc<Plugins>,
    /// Where pricing plugins work.
    aside: Aside,
}

impl Asked {
    /// Takes a case to the plugin that it waits for.
    async fn ask(&self, case: &Case, now: UnixMillis) -> Outcome {
        match &case.matter {
            Matter::Unrated(billable) => {
                let (account, attributes) = (billable.account.clone(), billable.attributes.clone());
                let plugins = Arc::clone(&self.plugins);
                rate(plugins, &self.aside, account, attributes, billable.usage)
                    .await
                    .into()
            }
            Matter::Priced(invoice, _) => {
                let progress = case.progress(now);
                self.plugins
                    .collect(&case.plugin, invoice, &progress)
                    .await
                    .into()
            }
        }
    }
}

/// Which loads of the plugins serve that invoices may wait for; 0 if none does.
struct Serving {
    pricing: u64,
    payment: BTreeMap<String, u64>,
}

impl Serving {
    fn of(plugins: &Plugins) -> Self {
        let names = plugins.collectors().into_iter();
        let payment = names.filter_map(|name| {
            let info = plugins.describe(&name)?;
            Some((name, info.generation))
        });
        Self {
            payment: payment.collect(),
            pricing: plugins.pricing_generation().unwrap_or_default(),
        }
    }

    /// The one that an invoice goes to as it stands.
    fn whose(&self, state: State, plugin: &str) -> u64 {
        match state {
            State::Unrated => self.pricing,
            _ => self.payment.get(plugin).copied().unwrap_or_default(),
        }
    }
}

impl Queue {
    /// Has those tried at once whose plugin was to blame and is another one by now.
    fn excuse(&self, serving: &Serving) {
        let now = self.clock.now();
        for slot in self.slots.lock().values_mut() {
            let serves = serving.whose(slot.state, &slot.plugin);
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
    async fn attempt(&self, key: &str, asked: &Asked) {
        let begun = match self.settled(key).await {
            Ok(case) if case.due().is_none() => return self.release(key, &case, None),
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
        let serves = Serving::of(&asked.plugins).whose(case.state(), &case.plugin);
        let outcome = asked.ask(&case, self.clock.now()).await;
        let (case, counted) = case.after(outcome, self.clock.now());
        self.metrics.attempts.with_label_values(&counted).inc();
        log(&case, counted);
        let blamed = case.is_plugins_fault().then_some(serves);
        match self.keep(key, case.clone()).await {
            Ok(_) => self.release(key, &case, blamed),
            Err(error) => {
                self.metrics.unwritten.inc();
                tracing::error!(%error, invoice = case.id(), "what came of an invoice cannot be written, and is tried again");
                self.remember(key, case, blamed);
            }
        }
    }

    /// Lets an invoice go that could not be written, with what must be written before anything
    /// else is done about it.
    fn remember(&self, key: &str, case: Case, blamed: Option<u64>) {
        if let Some(slot) = self.slots.lock().get_mut(key) {
            slot.state = case.state();
            slot.blamed = blamed;
            slot.unwritten = Some(Box::new(case));
        }
        self.put_off(key);
        self.gauge();
    }

    /// Has an invoice looked at again a little later, for the disk's sake.
    fn put_off(&self, key: &str) {
        if let Some(slot) = self.slots.lock().get_mut(key) {
            slot.is_busy = false;
            slot.due = self.clock.now().plus_millis(DISK_PAUSE_MILLIS);
        }
    }
}

fn log(case: &Case, [step, outcome]: Counted) {
    let (invoice, attempt) = (case.id(), case.attempts);
    // What goes wrong with pricing names its plugin itself.
    let plugin = (step == PAYMENT).then_some(&case.plugin);
    match case.standing() {
        Standing::Collected { reference, .. } => {
            tracing::info!(invoice, plugin, attempt, reference, "an invoice is paid");
        }
        Standing::NothingOwed { total, .. } => {
            tracing::info!(invoice, %total, "an invoice has its price, and nothing is owed");
        }
        Standing::Declined { why, .. } => {
            tracing::warn!(
                invoice,
                plugin,
                attempt,
                why,
                "an invoice was declined; a person must see to it"
            );
        }
        Standing::Waiting(_) if step == RATING => {
            tracing::info!(invoice, "an invoice has its price");
        }
        Standing::Unrated(wait) | Standing::Waiting(wait) if outcome != "pending" => {
            let why = wait.why;
            match wait.due {
                Some(due) => {
                    tracing::warn!(invoice, plugin, attempt, step, outcome, why, due = %due.shortest(), "an attempt at an invoice came to nothing, and another one follows");
                }
                None => {
                    tracing::warn!(
                        invoice,
                        attempt,
                        why,
                        "an invoice has no price; a person must see to it"
                    );
                }
            }
        }
        Standing::Unrated(_) | Standing::Waiting(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::collecting::case::tests::{billable, quote};
    use crate::billing::collecting::{CollectMetrics, Collecting};
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_price_that_could_not_be_written_is_kept_and_written_before_anything_else() {
        let (dir, clock) = (
            tempfile::tempdir().unwrap(),
            Clock::manual(UnixMillis::EPOCH),
        );
        let metrics = CollectMetrics::new().unwrap();
        let collecting = Collecting::open(dir.path(), clock.clone(), metrics).unwrap();
        let id = billable().id;
        collecting.hand_in_unrated("pay", billable()).await.unwrap();
        let queue = &collecting.0;
        let [key] = queue.take_due(2).try_into().unwrap();
        let case = queue.settled(&key).await.unwrap();
        let (priced, _) = case.begun().after(quote(7), clock.now());
        queue.remember(&key, priced.clone(), None);
        assert!(matches!(
            collecting.standing(&id).await.unwrap(),
            Standing::Waiting(_)
        ));
        let told = collecting.invoice(&id).await.unwrap();
        assert_eq!(told, None, "a price that may be lost is told to nobody");
        assert!(queue.take_due(1).is_empty());
        let Clock::Manual(millis) = &clock else {
            panic!("{clock:?}");
        };
        millis.store(DISK_PAUSE_MILLIS, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(queue.take_due(1), std::slice::from_ref(&key));
        assert_eq!(queue.settled(&key).await.unwrap(), priced);
        let told = collecting.invoice(&id).await.unwrap().unwrap();
        assert_eq!(told.total.micros, 7);
    }
}
