//! What every worker carries: the handles, the settings, the bells.

use super::metrics::WorkMetrics;
use super::peers::Peers;
use super::tuning::Tuning;
use crate::clock::Clock;
use crate::pins::place::Fleet;
use arc_swap::ArcSwap;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::action::{DriveWork, Host};
use holdfast_model::{Cid, ErrorKind, PeerId, UnixMillis};
use holdfast_policy::{Context, Denial, Gate, Permit, system_principal};
use holdfast_store::{Store, StoreError};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// How long a worker waits after a failure of the store before it looks again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A worker's failures are logged this often at most.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// When each worker's failures were last logged.
pub(super) type Said = Arc<Mutex<HashMap<&'static str, Instant>>>;

/// A failure that ends a worker's round. The round is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policies do not let the host work.
    #[error("the policies deny {} to the host's own worker; allow it for the role system", .0.action)]
    Denied(Box<Denial>),
    /// A node's.
    #[error(transparent)]
    Kubo(#[from] super::kubo::KuboError),
}

impl WorkError {
    /// What kind of failure it is.
    #[must_use]
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Denied(_) => ErrorKind::Denied,
            Self::Kubo(error) => error.kind(),
        }
    }
}

/// The handles. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Crew {
    pub(super) store: Store,
    pub(super) gate: Arc<Gate>,
    pub(super) clock: Clock,
    pub(super) peers: Peers,
    pub(super) tuning: Arc<ArcSwap<Tuning>>,
    pub(super) metrics: WorkMetrics,
    pub(super) bells: Bells,
    pub(super) said: Said,
    /// Asks for a full round.
    pub(super) rounds: mpsc::Sender<super::reconcile::Asked>,
}

impl Crew {
    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(super) fn tuning(&self) -> Arc<Tuning> {
        self.tuning.load_full()
    }

    /// The peers that pins can be placed on, whoever drives them; none before all are known that
    /// others drive.
    pub(super) fn fleet(&self) -> Fleet {
        if self.is_alone_so_far() {
            return Fleet {
                peers: Vec::new(),
                complete: false,
            };
        }
        let mut peers = self.peers.ids();
        peers.extend(self.peers.others().iter().map(|node| node.peer));
        peers.sort_unstable();
        peers.dedup();
        Fleet {
            complete: self.peers.is_complete(),
            peers,
        }
    }

    /// Whether other processes may share the store, and nothing was heard of their nodes yet.
    pub(super) fn is_alone_so_far(&self) -> bool {
        self.store.is_shared() && !self.peers.has_heard()
    }

    /// The permit of one of the workers, for one round: a change of policy holds from the next on.
    pub(super) fn permit(&self, worker: &str) -> Result<Permit<DriveWork>, WorkError> {
        self.gate
            .permit::<DriveWork>(&system_principal(worker), Host, &Context::default())
            .map_err(|denial| WorkError::Denied(Box::new(denial)))
    }

    /// Notes a failed round: in the metrics each time, in the log now and then, since whoever
    /// fails once a second would fill it.
    pub(super) fn failed(&self, worker: &'static str, error: &WorkError) {
        self.metrics.failures.with_label_values(&[worker]).inc();
        let now = Instant::now();
        let mut said = self.said.lock();
        if said
            .get(worker)
            .is_some_and(|last| now.duration_since(*last) < SAID_AGAIN)
        {
            return;
        }
        said.insert(worker, now);
        drop(said);
        tracing::error!(worker, kind = %error.kind(), %error, "a round failed and will be repeated");
    }

    /// Moves the requests of a pin to where it stands.
    pub(super) async fn settle(
        &self,
        permit: &Permit<DriveWork>,
        cid: &Cid,
        progress: Option<&str>,
    ) -> Result<(), StoreError> {
        let settled =
            crate::pins::report::settle(&self.store, permit, cid, progress, self.now()).await?;
        for millis in settled.waited {
            self.metrics.waited(millis);
        }
        Ok(())
    }
}

/// One bell for each peer: who changes a placement rings, who drives the peer listens. A missed
/// ring costs one poll.
#[derive(Debug, Clone, Default)]
pub(super) struct Bells(Arc<Mutex<HashMap<PeerId, Arc<Notify>>>>);

impl Bells {
    pub(super) fn of(&self, peer: &PeerId) -> Arc<Notify> {
        self.0.lock().entry(*peer).or_default().clone()
    }

    pub(super) fn ring(&self, peers: &[PeerId]) {
        for peer in peers {
            self.of(peer).notify_one();
        }
    }
}

/// Does pieces of work, `at_once` of them at a time, up to the first failure.
pub(super) async fn together<F, E>(work: Vec<F>, at_once: usize) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    stream::iter(work)
        .buffer_unordered(at_once)
        .try_collect()
        .await
}

/// Milliseconds of a duration.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
