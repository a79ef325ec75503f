//! One configured Kubo node: who it is, whether it answers, and the tracker that drives it.

use super::crew::Crew;
use super::kubo::Kubo;
use super::peers::others::Telling;
use super::reconcile::Asked;
use super::tracker::Tracker;
use holdfast_model::PeerId;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Watches a node and drives it until `stop`.
pub(super) async fn run(crew: Crew, api: Arc<str>, kubo: Kubo, stop: CancellationToken) {
    let (health, _) = watch::channel(false);
    let mut node = Driven::default();
    loop {
        let healthy = look(&crew, &api, &kubo, &health, &mut node, &stop).await;
        let tuning = crew.tuning();
        let pause = if healthy {
            tuning.watch_up
        } else {
            tuning.watch_down
        };
        let mut changed = health.subscribe();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            // The tracker found the node dead before we did.
            _ = changed.wait_for(|up| *up != healthy) => {}
        }
    }
    if let Some(driver) = node.driver {
        driver.end().await;
    }
}

/// The node as it is driven.
#[derive(Default)]
struct Driven {
    driver: Option<Driver>,
    telling: Telling,
}

/// A tracker and the peer it drives.
struct Driver {
    peer: PeerId,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Driver {
    async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Asks the node who it is, and sees that a tracker drives just that peer.
async fn look(
    crew: &Crew,
    api: &Arc<str>,
    kubo: &Kubo,
    health: &watch::Sender<bool>,
    node: &mut Driven,
    stop: &CancellationToken,
) -> bool {
    let up = crew.metrics.up.with_label_values(&[api]);
    let id = match kubo.id().await {
        Ok(id) => id,
        Err(error) => {
            crew.peers.lost(api, &error);
            up.set(0);
            health.send_replace(false);
            node.telling.is_silent(crew).await;
            return false;
        }
    };
    up.set(1);
    let peer = id.peer;
    let told = node.telling.answers(crew, api, &id).await;
    let is_new = told.unwrap_or_else(|error| {
        crew.failed("node", &error);
        false
    });
    // Before others know of it, nothing may be placed on it: they would take it for gone.
    if crew.is_alone_so_far() || crew.store.is_shared() && !node.telling.is_of(&peer) {
        return false;
    }
    crew.peers.seen(api, id, crew.now()).await;
    health.send_if_modified(|healthy| !std::mem::replace(healthy, true));
    if is_new {
        // What is to be on every node is to be on this one.
        drop(crew.rounds.try_send(Asked::by_nobody()));
    }
    if node
        .driver
        .as_ref()
        .is_none_or(|driver| driver.peer != peer)
    {
        if let Some(other) = node.driver.take() {
            tracing::warn!(api = &**api, was = %other.peer, is = %peer, "another node answers; pins are placed anew");
            other.end().await;
            // A round that is under way may have looked too early; a full queue holds a later one.
            drop(crew.rounds.try_send(Asked::by_nobody()));
        }
        let child = stop.child_token();
        let tracker = Tracker::new(crew.clone(), peer, kubo.clone(), health.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(tracker.run(child.clone()));
        node.driver = Some(Driver {
            peer,
            stop: child,
            tasks,
        });
    }
    true
}
