//! Drives one Kubo node: takes the placements that are due there, pins and unpins, and reports.
//!
//! All there is to know stands in the store. What is *queued* is due at its time; what is being
//! fetched is due when its claim's lease ends, so that a crash delays it and no more; what has come
//! to an end is due until its requests are settled. A tracker that is alone on its peer takes over
//! at once, when it starts, what a predecessor left behind.
//!
//! While the node does not answer nothing is begun and no attempt is counted.

mod attempt;

use super::crew::{Crew, WorkError, millis};
use super::kubo::Kubo;
use crate::pins::report;
use attempt::{Attempt, Why};
use holdfast_model::{Cid, PeerId, Placement, PlacementState, UnixMillis};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Unpins and settlements under way at once, beside the pins: they are short, and must not wait
/// behind content that nobody has.
const SHORT_AT_ONCE: usize = 8;

/// Placements taken over at the start. More than any tracker has under way.
const TAKE_OVER_ROWS: u32 = 1_000;

/// Drives one peer.
pub(super) struct Tracker {
    crew: Crew,
    peer: PeerId,
    kubo: Kubo,
    bell: Arc<Notify>,
    health: watch::Sender<bool>,
    tasks: JoinSet<()>,
    under_way: HashMap<Cid, UnderWay>,
    /// The last round failed; said once.
    failing: bool,
}

/// One call that is under way.
struct UnderWay {
    task: Id,
    long: bool,
    cancel: watch::Sender<Option<Why>>,
}

impl Tracker {
    pub(super) fn new(crew: Crew, peer: PeerId, kubo: Kubo, health: watch::Sender<bool>) -> Self {
        Self {
            bell: crew.bells.of(&peer),
            crew,
            peer,
            kubo,
            health,
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            failing: false,
        }
    }

    /// Works until `stop`; then puts back what is under way.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut health = self.health.subscribe();
        let mut inherited = false;
        while !stop.is_cancelled() {
            if *health.borrow_and_update() {
                let mut outcome = Ok(());
                if !inherited {
                    outcome = self.take_over().await;
                    inherited = outcome.is_ok();
                }
                let outcome = match outcome {
                    Ok(()) => self.begin_due().await,
                    failed => failed,
                };
                self.note(outcome);
            }
            let poll = self.crew.tuning().poll;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.ended(ended);
                }
                () = self.bell.notified() => {}
                _ = health.changed() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
        for work in self.under_way.values() {
            work.cancel.send_replace(Some(Why::Stopping));
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Makes due what a predecessor had claimed: its leases end within one lease from now.
    async fn take_over(&mut self) -> Result<(), WorkError> {
        let crew = &self.crew;
        if !crew.tuning().alone {
            return Ok(());
        }
        let permit = crew.permit("tracker")?;
        let now = crew.now();
        let horizon = now.plus_millis(millis(crew.tuning().lease));
        let due = crew
            .store
            .due_placements(&self.peer, horizon, TAKE_OVER_ROWS)
            .await?;
        for placement in due.iter().filter(|p| p.state == PlacementState::Pinning) {
            report::put_back(&crew.store, &permit, placement, None, now, now).await?;
        }
        Ok(())
    }

    /// Begins what is due, as far as there is room.
    async fn begin_due(&mut self) -> Result<(), WorkError> {
        let room = self
            .crew
            .tuning()
            .concurrency
            .saturating_sub(self.count(true));
        // What is under way and has been changed meanwhile is due too, and is passed over.
        let rows = room + SHORT_AT_ONCE + self.under_way.len();
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let now = self.crew.now();
        let due = self
            .crew
            .store
            .due_placements(&self.peer, now, rows)
            .await?;
        let label = self.peer.to_string();
        let shown = i64::try_from(due.len()).unwrap_or(i64::MAX);
        self.crew
            .metrics
            .due
            .with_label_values(&[&label])
            .set(shown);
        for placement in due {
            self.consider(placement, now)?;
        }
        let busy = i64::try_from(self.under_way.len()).unwrap_or(i64::MAX);
        self.crew
            .metrics
            .in_flight
            .with_label_values(&[&label])
            .set(busy);
        Ok(())
    }

    fn count(&self, long: bool) -> usize {
        self.under_way
            .values()
            .filter(|work| work.long == long)
            .count()
    }

    /// Begins one piece of work if there is room, or cancels the one that it puts an end to.
    fn consider(&mut self, placement: Placement, now: UnixMillis) -> Result<(), WorkError> {
        if let Some(work) = self.under_way.get(&placement.cid) {
            if work.long && placement.state == PlacementState::UnpinQueued {
                work.cancel.send_replace(Some(Why::Unwanted));
            }
            return Ok(());
        }
        let long = matches!(
            placement.state,
            PlacementState::PinQueued | PlacementState::Pinning
        );
        let room = if long {
            self.crew.tuning().concurrency
        } else {
            SHORT_AT_ONCE
        };
        if self.count(long) >= room {
            return Ok(());
        }
        let (cancel, cancelled) = watch::channel(None);
        let attempt = Attempt {
            permit: self.crew.permit("tracker")?,
            crew: self.crew.clone(),
            kubo: self.kubo.clone(),
            health: self.health.clone(),
            tuning: self.crew.tuning(),
            cancelled,
        };
        tracing::debug!(cid = %placement.cid, peer = %self.peer, state = placement.state.as_str(), at = %now, "begun");
        let cid = placement.cid;
        let task = self.tasks.spawn(attempt.run(placement)).id();
        self.under_way.insert(cid, UnderWay { task, long, cancel });
        Ok(())
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                // Its claim runs out, and the work is taken up again.
                tracing::error!(peer = %self.peer, %error, "a piece of work ended badly");
                error.id()
            }
        };
        self.under_way.retain(|_, work| work.task != task);
    }

    /// Logs a failure when it begins and when it ends, not each time it is met again.
    fn note(&mut self, outcome: Result<(), WorkError>) {
        match outcome {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(peer = %self.peer, "the queue can be read again");
            }
            Ok(()) => {}
            Err(error) if !self.failing => {
                self.failing = true;
                self.crew.failed("tracker", &error);
            }
            Err(_) => self
                .crew
                .metrics
                .failures
                .with_label_values(&["tracker"])
                .inc(),
        }
    }
}

/// How long before a claim is renewed: a third of its lease, so that two renewals may be late.
fn renewal(lease: Duration) -> Duration {
    (lease / 3).max(Duration::from_millis(10))
}
