//! One piece of work on one node, from its claim to its report.

use super::renewal;
use crate::pins::report;
use crate::workers::crew::{Crew, WorkError, millis};
use crate::workers::kubo::{Depth, Kubo, KuboError};
use crate::workers::tuning::{Retry, Tuning};
use holdfast_model::action::DriveWork;
use holdfast_model::limits::ORIGINS_MAX;
use holdfast_model::{Origin, Placement, PlacementState, StoredPin};
use holdfast_policy::Permit;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Requests whose origins are tried: the newest pin has its own, others may add a few.
const ORIGIN_REQUESTS_MAX: u32 = 16;

/// Why work that is under way must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody wants the pin any more.
    Unwanted,
    /// The program ends; the work goes back into the queue.
    Stopping,
}

/// How fetching ended.
enum Fetch {
    Done(u64),
    Failed(KuboError),
    Cancelled(Why),
    /// Somebody else changed the placement.
    Overtaken,
}

/// What one piece of work needs.
pub(super) struct Attempt {
    pub(super) crew: Crew,
    pub(super) permit: Permit<DriveWork>,
    pub(super) kubo: Kubo,
    pub(super) health: watch::Sender<bool>,
    pub(super) tuning: Arc<Tuning>,
    pub(super) cancelled: watch::Receiver<Option<Why>>,
}

impl Attempt {
    pub(super) async fn run(mut self, placement: Placement) {
        let outcome = match placement.state {
            PlacementState::PinQueued | PlacementState::Pinning => self.pin(&placement).await,
            PlacementState::UnpinQueued => self.unpin(&placement).await,
            PlacementState::Pinned | PlacementState::PinError => self.end(&placement).await,
        };
        match outcome {
            Ok(label) => self.crew.metrics.attempts.with_label_values(&[label]).inc(),
            // Nothing is lost: the placement is due again when its claim ends.
            Err(error) => {
                self.crew.failed("attempt", &error);
                tokio::time::sleep(self.tuning.poll).await;
            }
        }
    }

    async fn pin(&mut self, placement: &Placement) -> Result<&'static str, WorkError> {
        let crew = self.crew.clone();
        let cid = &placement.cid;
        let Some(stored) = crew.store.pin(cid).await? else {
            return self.orphan(placement).await;
        };
        let lease = millis(self.tuning.lease);
        let claim = report::claim(&crew.store, &self.permit, placement, lease, crew.now());
        let Some(mut claimed) = claim.await? else {
            return Ok("overtaken");
        };
        crew.settle(&self.permit, cid, None).await?;
        let outcome = self.fetch(&stored, &mut claimed).await?;
        match outcome {
            Fetch::Done(dag_size) => self.fetched(&claimed, dag_size).await,
            Fetch::Failed(error) => self.failed(&claimed, &error).await,
            Fetch::Cancelled(Why::Stopping) => {
                let now = crew.now();
                report::put_back(&crew.store, &self.permit, &claimed, None, now, now).await?;
                Ok("stopped")
            }
            Fetch::Cancelled(Why::Unwanted) | Fetch::Overtaken => Ok("cancelled"),
        }
    }

    /// Work for a pin that is gone: its feed entry may not have been read yet, and will be. A round
    /// finds it otherwise.
    async fn orphan(&self, placement: &Placement) -> Result<&'static str, WorkError> {
        let now = self.crew.now();
        let later = now.plus_millis(millis(self.tuning.retry.first));
        report::put_back(&self.crew.store, &self.permit, placement, None, later, now).await?;
        Ok("orphan")
    }

    /// Has the node fetch the content, while the claim is renewed, progress shown, and a
    /// cancellation waited for. Whatever ends first ends the rest.
    async fn fetch(
        &mut self,
        stored: &StoredPin,
        claimed: &mut Placement,
    ) -> Result<Fetch, WorkError> {
        let cid = stored.pin.cid;
        let depth = depth(stored);
        let patience = self.tuning.patience;
        let (progress, mut blocks) = watch::channel(0_u64);
        let origins = self.origins(stored).await?;
        let kubo = self.kubo.clone();
        let work = async {
            kubo.pin_add(&cid, depth, patience, &progress).await?;
            kubo.size(&cid, depth, patience).await
        };
        let introduce = introduce(self.kubo.clone(), origins);
        tokio::pin!(work, introduce);
        let mut renew = ticks(renewal(self.tuning.lease));
        let mut show = ticks(self.tuning.progress);
        let mut introduced = false;
        loop {
            tokio::select! {
                biased;
                why = cancellation(&mut self.cancelled) => return Ok(Fetch::Cancelled(why)),
                done = &mut work => {
                    return Ok(done.map_or_else(Fetch::Failed, Fetch::Done));
                }
                () = &mut introduce, if !introduced => introduced = true,
                _ = renew.tick() => {
                    if !self.renew(claimed).await? {
                        return Ok(Fetch::Overtaken);
                    }
                }
                _ = show.tick() => {
                    if blocks.has_changed().unwrap_or(false) {
                        let text = format!("{} blocks are here", *blocks.borrow_and_update());
                        self.crew.settle(&self.permit, &cid, Some(&text)).await?;
                    }
                }
            }
        }
    }

    /// Keeps the claim for another lease; false if it is ours no more.
    async fn renew(&self, claimed: &mut Placement) -> Result<bool, WorkError> {
        let (crew, lease) = (&self.crew, millis(self.tuning.lease));
        let renewed = report::claim(&crew.store, &self.permit, claimed, lease, crew.now()).await?;
        let held = renewed.is_some();
        if let Some(renewed) = renewed {
            *claimed = renewed;
        }
        Ok(held)
    }

    /// Where the content is said to be: the pin's own origins, and those of others who want it.
    async fn origins(&self, stored: &StoredPin) -> Result<Vec<Origin>, WorkError> {
        let mut origins = stored.pin.options.origins.clone();
        if stored.requests > 1 {
            let store = &self.crew.store;
            let others = store
                .requests_of_pin(&stored.pin.cid, None, ORIGIN_REQUESTS_MAX)
                .await?;
            origins.extend(others.into_iter().flat_map(|request| request.asked.origins));
        }
        let mut each: Vec<Origin> = Vec::new();
        for origin in origins {
            if each.len() < ORIGINS_MAX && !each.contains(&origin) {
                each.push(origin);
            }
        }
        Ok(each)
    }

    async fn fetched(&self, claimed: &Placement, size: u64) -> Result<&'static str, WorkError> {
        let store = &self.crew.store;
        let now = self.crew.now();
        match report::fetched(store, &self.permit, claimed, size, now).await? {
            Some(pinned) => {
                self.end(&pinned).await?;
                Ok("pinned")
            }
            None => {
                // It was let go in the meantime. If that has been done already, it was too early.
                if store
                    .placement(&claimed.cid, &claimed.peer)
                    .await?
                    .is_none()
                {
                    self.kubo.pin_rm(&claimed.cid).await?;
                }
                Ok("cancelled")
            }
        }
    }

    /// The placement has come to an end: tells the requests, and then is due no more.
    async fn end(&self, placement: &Placement) -> Result<&'static str, WorkError> {
        self.crew.settle(&self.permit, &placement.cid, None).await?;
        report::rest(&self.crew.store, &self.permit, placement).await?;
        Ok("settled")
    }

    async fn failed(
        &self,
        placement: &Placement,
        error: &KuboError,
    ) -> Result<&'static str, WorkError> {
        // A node that hangs up on this pin and answers otherwise has failed; one that does not
        // answer at all is down, and the pin is not to blame.
        if matches!(error, KuboError::Unreachable { .. }) && self.kubo.id().await.is_err() {
            return self.node_is_down(placement).await;
        }
        let crew = &self.crew;
        let now = crew.now();
        let failures = placement.attempts.saturating_add(1);
        let retry = &self.tuning.retry;
        let is_pin = placement.state != PlacementState::UnpinQueued;
        // Letting go is never given up: it would be paid for by us for ever.
        let again = (!is_pin || failures < retry.attempts_max)
            .then(|| now.plus_millis(wait_millis(retry, failures)));
        let why = for_people(error);
        tracing::debug!(cid = %placement.cid, peer = %placement.peer, failures, %error, "an attempt failed");
        let written =
            report::failed(&crew.store, &self.permit, placement, &why, again, now).await?;
        match (written, again) {
            (None, _) => Ok("overtaken"),
            (Some(given_up), None) => {
                tracing::warn!(cid = %placement.cid, peer = %placement.peer, failures, %error, "given up");
                self.end(&given_up).await?;
                Ok("given_up")
            }
            (Some(_), Some(_)) if is_pin => {
                crew.settle(&self.permit, &placement.cid, None).await?;
                Ok(error.label())
            }
            _ => Ok("unpin_failed"),
        }
    }

    /// Puts the work back without counting it, and stops the tracker until the node answers again.
    async fn node_is_down(&self, placement: &Placement) -> Result<&'static str, WorkError> {
        let now = self.crew.now();
        let why = Some("the IPFS node does not answer; waiting for it");
        let store = &self.crew.store;
        if report::put_back(store, &self.permit, placement, why, now, now)
            .await?
            .is_some()
        {
            self.crew.settle(&self.permit, &placement.cid, None).await?;
        }
        self.health.send_replace(false);
        Ok("node_down")
    }

    async fn unpin(&self, placement: &Placement) -> Result<&'static str, WorkError> {
        match self.kubo.pin_rm(&placement.cid).await {
            Ok(()) => {
                report::removed(&self.crew.store, &self.permit, placement).await?;
                Ok("unpinned")
            }
            Err(error) => self.failed(placement, &error).await,
        }
    }
}

/// Waits for the word to end.
async fn cancellation(cancelled: &mut watch::Receiver<Option<Why>>) -> Why {
    match cancelled.wait_for(Option::is_some).await {
        Ok(why) => why.unwrap_or(Why::Stopping),
        // The tracker is gone, and with it whoever could say more.
        Err(_) => Why::Stopping,
    }
}

/// Dials those who are said to have the content. Best effort: who cannot be reached may not be
/// needed.
async fn introduce(kubo: Kubo, origins: Vec<Origin>) {
    let calls: Vec<_> = origins.iter().map(|origin| dial(&kubo, origin)).collect();
    futures_util::future::join_all(calls).await;
}

async fn dial(kubo: &Kubo, origin: &Origin) {
    if let Err(error) = kubo.connect(origin).await {
        tracing::debug!(%origin, %error, "an origin cannot be dialled");
    }
}

fn depth(stored: &StoredPin) -> Depth {
    if stored.pin.max_depth.is_direct() {
        Depth::Direct
    } else {
        Depth::Recursive
    }
}

/// A failure in words for those who wait for the pin.
fn for_people(error: &KuboError) -> String {
    match error {
        KuboError::Stalled { after, .. } => {
            format!(
                "no block came for {} s; perhaps nobody provides the content",
                after.as_secs()
            )
        }
        KuboError::Refused { message, .. } => message.clone(),
        KuboError::Unreachable { .. } | KuboError::Protocol { .. } => {
            "the IPFS node did not answer as it should".into()
        }
    }
}

fn wait_millis(retry: &Retry, failures: u32) -> u64 {
    retry.wait_millis(failures, rand::random_range(Retry::JITTER))
}

fn ticks(every: std::time::Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
