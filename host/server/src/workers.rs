//! The reconcilers: they follow the change feed and make the world what the store says.
//!
//! `placement` follows the feed and writes what each peer is to do; one `tracker` per Kubo node
//! does it and reports; `reconcile` compares in full now and then; `expiry` clears away. None has
//! input beyond a wake-up: all derive their work from the store, so a lost wake-up or a crash
//! delays work and loses none. `retention` trims the feed on hosts without the others too.
//!
//! *Architecture invariants:* workers change pins, requests and placements only through the verbs
//! in `pins`; a node that is down never stops the API.

mod crew;
mod expiry;
pub mod kubo;
pub mod metrics;
mod node;
pub mod peers;
mod placement;
mod reconcile;
pub mod retention;
mod tracker;
pub mod tuning;

use crate::app::App;
use crate::clock::Clock;
use arc_swap::ArcSwap;
use crew::{Bells, Crew};
use holdfast_model::Invalid;
use holdfast_policy::Gate;
use holdfast_store::Store;
use kubo::Kubo;
use metrics::WorkMetrics;
use peers::{Node, Peers};
use reconcile::{Asked, Nodes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tuning::Tuning;

/// Wishes for a round that may wait together; one round fulfils them all.
const ROUND_WISHES_MAX: usize = 64;

/// The workers, at work. Dropping them ends them at once, which loses nothing either.
#[derive(Debug)]
pub struct Workers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    tuning: Arc<ArcSwap<Tuning>>,
    rounds: mpsc::Sender<Asked>,
    peers: Peers,
}

/// How the workers fare, for health.
#[derive(Debug, Clone)]
pub struct Status {
    /// Whether every worker runs.
    pub running: bool,
    /// The nodes, as they were last seen.
    pub nodes: Arc<Vec<Node>>,
}

/// What the workers reach for: a part of [`App`].
#[derive(Debug, Clone)]
pub struct Handles {
    /// The pin store.
    pub store: Store,
    /// The policies: the host's own work needs permits too.
    pub gate: Arc<Gate>,
    /// The time.
    pub clock: Clock,
    /// The nodes.
    pub peers: Peers,
}

impl From<&App> for Handles {
    fn from(app: &App) -> Self {
        Self {
            store: app.store.clone(),
            gate: app.gate.clone(),
            clock: app.clock.clone(),
            peers: app.peers.clone(),
        }
    }
}

impl Workers {
    /// Starts the workers on the nodes that `handles.peers` is configured with.
    ///
    /// # Errors
    /// An RPC address that is none.
    pub fn spawn(handles: Handles, tuning: Tuning, metrics: WorkMetrics) -> Result<Self, Invalid> {
        let peers = handles.peers;
        let tuning = Arc::new(ArcSwap::from_pointee(tuning));
        let (rounds, asked) = mpsc::channel(ROUND_WISHES_MAX);
        let crew = Crew {
            store: handles.store,
            gate: handles.gate,
            clock: handles.clock,
            peers: peers.clone(),
            tuning: tuning.clone(),
            metrics,
            bells: Bells::default(),
            said: crew::Said::default(),
            rounds: rounds.clone(),
        };
        let mut nodes = BTreeMap::new();
        for api in peers.apis() {
            nodes.insert(api.clone(), Kubo::new(api, crew.metrics.kubo.clone())?);
        }
        let nodes: Nodes = Arc::new(nodes);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (api, kubo) in nodes.iter() {
            tasks.spawn(node::run(
                crew.clone(),
                api.clone(),
                kubo.clone(),
                stop.clone(),
            ));
        }
        tasks.spawn(placement::run(crew.clone(), stop.clone()));
        tasks.spawn(reconcile::run(crew.clone(), nodes, asked, stop.clone()));
        tasks.spawn(expiry::run(crew, stop.clone()));
        Ok(Self {
            tasks,
            stop,
            tuning,
            rounds,
            peers,
        })
    }

    /// Changes the settings. What is under way ends as it began.
    pub fn retune(&self, tuning: Tuning) {
        self.tuning.store(Arc::new(tuning));
    }

    /// Has desired and actual compared in full, and waits until that has been done.
    pub async fn reconcile(&self) {
        Asked::and_wait(&self.rounds).await;
    }

    /// How the workers fare.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            running: !self.stop.is_cancelled() && !self.tasks.is_empty(),
            nodes: self.peers.nodes(),
        }
    }

    /// Ends the workers: what is under way goes back into the queue, within `deadline`. What does
    /// not make it is taken up by the next start all the same. Answers whether all made it.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let made_it = tokio::time::timeout(deadline, all).await.is_ok();
        self.tasks.shutdown().await;
        made_it
    }
}
