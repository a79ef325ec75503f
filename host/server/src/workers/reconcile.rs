//! Compares what is wanted with what is, in full and both ways, and mends the difference.
//!
//! The feed and the queue do the daily work; a round finds what they cannot: a pin that a node lost
//! or that somebody removed there, a pin that was never placed, a placement that nobody wants any
//! more. Only what we placed is ever removed from a node, unless the nodes are ours alone
//! (`kubo.exclusive`).
//!
//! A round reads pins and placements in pages; of each node's pins and
//! placements it holds eight bytes ([`Held`]): 160 MB for ten million of both.

mod held;

use super::crew::{Crew, WorkError, together};
use super::kubo::{Depth, Kubo};
use super::peers::Node;
use crate::pins::place::{Occasion, let_go, place};
use crate::pins::report;
use held::Held;
use holdfast_model::action::DriveWork;
use holdfast_model::{Cid, Placement, PlacementState, UnixMillis};
use holdfast_policy::Permit;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

const WORKER: &str = "reconcile";

/// Strays that one round lets go of; the next finds the rest.
const STRAYS_MAX: usize = 10_000;

/// Rows read at once.
const PAGE_ROWS: u32 = 500;

/// Rows looked at together: enough to share a group commit.
const AT_ONCE: usize = 16;

/// Somebody's wish for a round.
#[derive(Debug)]
pub(super) struct Asked(Option<oneshot::Sender<bool>>);

impl Asked {
    /// A wish that nobody waits for.
    pub(super) const fn by_nobody() -> Self {
        Self(None)
    }

    /// Asks for a round and waits until one that begins from now on has ended; says whether it
    /// looked at all that there is.
    pub(super) async fn and_wait(rounds: &mpsc::Sender<Self>) -> bool {
        let (done, ended) = oneshot::channel();
        // An error means that the workers stop: then there is nothing to wait for.
        rounds.send(Self(Some(done))).await.is_ok() && ended.await.unwrap_or(false)
    }
}

/// The node clients, by RPC address.
pub(super) type Nodes = Arc<BTreeMap<Arc<str>, Kubo>>;

/// Makes rounds until `stop`.
pub(super) async fn run(
    crew: Crew,
    nodes: Nodes,
    mut asked: mpsc::Receiver<Asked>,
    stop: CancellationToken,
) {
    loop {
        let wish = tokio::select! {
            () = stop.cancelled() => return,
            wish = asked.recv() => wish,
            () = tokio::time::sleep(crew.tuning().reconcile) => None,
        };
        let mut wishes: Vec<Asked> = wish.into_iter().collect();
        while let Ok(wish) = asked.try_recv() {
            wishes.push(wish);
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = round(&crew, &nodes) => outcome,
        };
        let is_whole = outcome.is_ok();
        if let Err(error) = outcome {
            crew.failed(WORKER, &error);
        }
        for Asked(wish) in wishes {
            // Whoever asked may have gone.
            let _ = wish.map(|done| done.send(is_whole));
        }
    }
}

async fn round(crew: &Crew, nodes: &Nodes) -> Result<(), WorkError> {
    let begun = crew.now();
    let permit = crew.permit(WORKER)?;
    place_pins(crew, &permit).await?;
    let mut seen = BTreeMap::new();
    for node in crew.peers.nodes().iter() {
        let Some(kubo) = nodes.get(&node.api).filter(|_| node.healthy) else {
            continue;
        };
        // One node's failure keeps nobody from mending the others.
        if let Err(error) = mend(crew, &permit, node, kubo, &mut seen).await {
            crew.failed(WORKER, &error);
        }
    }
    for state in PlacementState::ALL {
        let count = seen.get(&state).copied().unwrap_or(0);
        crew.metrics
            .placements
            .with_label_values(&[state.as_str()])
            .set(count);
    }
    tracing::debug!(
        millis = crew.now().millis_since(begun),
        "a full round ended"
    );
    Ok(())
}

/// Places every pin that is not placed as it should be.
async fn place_pins(crew: &Crew, permit: &Permit<DriveWork>) -> Result<(), WorkError> {
    let fleet = crew.fleet();
    if fleet.peers.is_empty() {
        return Ok(());
    }
    let mut after = None;
    loop {
        let page = crew.store.pins(after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.pin.cid);
        let work = page
            .iter()
            .map(|stored| place_one(crew, permit, &stored.pin.cid, &fleet));
        together(work.collect(), AT_ONCE).await?;
    }
}

async fn place_one(
    crew: &Crew,
    permit: &Permit<DriveWork>,
    cid: &Cid,
    fleet: &crate::pins::place::Fleet,
) -> Result<(), WorkError> {
    let placed = place(&crew.store, permit, cid, fleet, Occasion::Round, crew.now()).await?;
    if !placed.changed.is_empty() {
        crew.metrics.mended.with_label_values(&["unplaced"]).inc();
        crew.bells.ring(&placed.changed);
        crew.settle(permit, cid, None).await?;
    }
    Ok(())
}

/// Compares one node's placements with its pins, both ways.
async fn mend(
    crew: &Crew,
    permit: &Permit<DriveWork>,
    node: &Node,
    kubo: &Kubo,
    seen: &mut BTreeMap<PlacementState, i64>,
) -> Result<(), WorkError> {
    let look = Look {
        crew,
        permit,
        node,
        kubo,
        begun: crew.now(),
        held: held::read(kubo).await?,
    };
    let mut placed = look.held.nothing();
    let mut after = None;
    loop {
        let page = crew
            .store
            .placements_of_peer(&node.peer, after.as_ref(), PAGE_ROWS)
            .await?;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.cid);
        for placement in &page {
            *seen.entry(placement.state).or_default() += 1;
            placed.add(&placement.cid);
        }
        let work = page.iter().map(|placement| look.at(placement));
        together(work.collect(), AT_ONCE).await?;
    }
    placed.sort();
    if crew.tuning().exclusive {
        look.let_go_of_strays(&placed).await?;
    }
    crew.bells.ring(&[node.peer]);
    Ok(())
}

/// A look at one node.
struct Look<'a> {
    crew: &'a Crew,
    permit: &'a Permit<DriveWork>,
    node: &'a Node,
    kubo: &'a Kubo,
    begun: UnixMillis,
    held: Held,
}

impl Look<'_> {
    async fn at(&self, placement: &Placement) -> Result<(), WorkError> {
        let Some(stored) = self.crew.store.pin(&placement.cid).await? else {
            return self.at_unwanted(placement).await;
        };
        // What changed after the node was asked cannot be compared with its answer.
        let steady = placement.updated < self.begun;
        let held = self.held.contains(&placement.cid);
        match placement.state {
            PlacementState::Pinned if steady && !held => {
                let direct = stored.pin.max_depth.is_direct();
                self.at_lost(
                    placement,
                    if direct {
                        Depth::Direct
                    } else {
                        Depth::Recursive
                    },
                )
                .await
            }
            PlacementState::PinQueued | PlacementState::PinError if steady && held => {
                self.at_found(placement).await
            }
            _ => Ok(()),
        }
    }

    async fn at_unwanted(&self, placement: &Placement) -> Result<(), WorkError> {
        if placement.state == PlacementState::UnpinQueued {
            return Ok(());
        }
        self.mended("unwanted", &placement.cid);
        let (crew, fleet) = (self.crew, self.crew.fleet());
        let now = crew.now();
        place(
            &crew.store,
            self.permit,
            &placement.cid,
            &fleet,
            Occasion::Round,
            now,
        )
        .await?;
        Ok(())
    }

    /// The node's list lacks what it should have. The list is old by now, so it is asked again.
    async fn at_lost(&self, placement: &Placement, depth: Depth) -> Result<(), WorkError> {
        if self.kubo.holds(&placement.cid, depth).await? {
            return Ok(());
        }
        self.mended("lost", &placement.cid);
        self.queue(
            placement,
            Some("the node lost the pin; it is fetched again"),
        )
        .await
    }

    /// The node has what it is still to fetch: no reason to wait.
    async fn at_found(&self, placement: &Placement) -> Result<(), WorkError> {
        self.mended("found", &placement.cid);
        self.queue(placement, None).await
    }

    async fn queue(&self, placement: &Placement, why: Option<&str>) -> Result<(), WorkError> {
        let (crew, now) = (self.crew, self.crew.now());
        let fresh = Placement {
            attempts: 0,
            ..placement.clone()
        };
        report::put_back(&crew.store, self.permit, &fresh, why, now, now).await?;
        crew.settle(self.permit, &placement.cid, None).await?;
        Ok(())
    }

    /// Lets go of pins on the node of which nothing is known here.
    async fn let_go_of_strays(&self, placed: &Held) -> Result<(), WorkError> {
        let mut strays = Vec::new();
        for depth in [Depth::Recursive, Depth::Direct] {
            let each = |cid| {
                if strays.len() < STRAYS_MAX && !placed.contains(&cid) {
                    strays.push(cid);
                }
            };
            self.kubo.pins(depth, each).await?;
        }
        let work = strays.iter().map(|cid| self.at_listed(cid));
        together(work.collect(), AT_ONCE).await
    }

    async fn at_listed(&self, cid: &Cid) -> Result<(), WorkError> {
        let store = &self.crew.store;
        let known = store.placement(cid, &self.node.peer).await?.is_some();
        if known || store.pin(cid).await?.is_some() {
            return Ok(());
        }
        self.mended("stray", cid);
        Ok(let_go(store, self.permit, cid, &self.node.peer, self.crew.now()).await?)
    }

    fn mended(&self, what: &str, cid: &Cid) {
        tracing::info!(what, %cid, peer = %self.node.peer, "a difference is mended");
        self.crew.metrics.mended.with_label_values(&[what]).inc();
    }
}
