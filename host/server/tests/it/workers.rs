//! The workers, over a store in memory and a real Kubo node.

mod any_order;
mod given_up;
mod mending;
mod outage;
mod pinning;
mod placing;
mod retention;
mod settling;
mod trimmed;

use crate::support::kubo::KuboNode;
use holdfast::clock::Clock;
use holdfast::workers::kubo::Patience;
use holdfast::workers::metrics::WorkMetrics;
use holdfast::workers::peers::Peers;
use holdfast::workers::tuning::{Retry, Tuning};
use holdfast::workers::{Handles, Workers};
use holdfast_model::{
    AccountId, Cid, NewRequest, PinRequest, Placement, PlacementState, RequestId, RequestStatus,
};
use holdfast_policy::Gate;
use holdfast_store::{RequestDraft, Store};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What must come to pass does so within this time, on a loaded machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Content that nobody has.
const NOWHERE: &str = "bafkreie2v3u4hdfg3efr4xyptxadvroajgglu4crjvtjtzbc7alx3pzb3a";

/// A host without its API: a store and workers on one node.
struct Scene {
    store: Store,
    /// Where the store is, if it is on disk.
    dir: Option<TempDir>,
    clock: Clock,
    gate: Arc<Gate>,
    peers: Peers,
    metrics: WorkMetrics,
    tuning: Tuning,
    workers: Option<Workers>,
}

impl Scene {
    fn new(api: &str, tuning: Tuning) -> Self {
        Self {
            store: Store::memory(),
            dir: None,
            clock: Clock::System,
            gate: gate(),
            peers: Peers::open(&[api.into()], Vec::new(), None),
            metrics: WorkMetrics::new().unwrap(),
            tuning,
            workers: None,
        }
    }

    fn begin(&mut self) {
        let handles = Handles {
            store: self.store.clone(),
            gate: self.gate.clone(),
            clock: self.clock.clone(),
            peers: self.peers.clone(),
        };
        let workers = Workers::spawn(handles, self.tuning.clone(), self.metrics.clone());
        self.workers = Some(workers.unwrap());
    }

    /// Puts the store on disk.
    async fn keep_on_disk(&mut self) {
        let dir = tempfile::tempdir().unwrap();
        self.store = Store::embedded(dir.path()).await.unwrap();
        self.dir = Some(dir);
    }

    /// Ends as a crash does: nothing is told to anybody. What is on disk is opened anew.
    async fn crash(&mut self) {
        self.workers = None;
        let Some(dir) = &self.dir else {
            return;
        };
        self.store = Store::memory();
        let mut opened = None;
        // Tasks that were aborted let go of the store in their own time.
        until("the store can be opened again", async || {
            opened = Store::embedded(dir.path()).await.ok();
            opened.is_some()
        })
        .await;
        self.store = opened.unwrap();
    }

    /// Begins and waits for the node.
    async fn begin_with_node(&mut self) {
        self.begin();
        until("the node is seen", async || {
            self.peers.nodes().iter().any(|n| n.healthy)
        })
        .await;
    }

    async fn on(node: &KuboNode) -> Self {
        let mut scene = Self::new(&node.api(), brisk());
        scene.begin_with_node().await;
        scene
    }

    async fn reconcile(&self) {
        self.workers.as_ref().unwrap().reconcile().await;
    }

    async fn ask(&self, account: &str, cid: &Cid) -> RequestId {
        self.ask_for(account, wish(cid)).await
    }

    async fn ask_for(&self, account: &str, asked: NewRequest) -> RequestId {
        let draft = RequestDraft {
            id: RequestId(uuid::Uuid::now_v7()),
            account: account_id(account),
            asked,
        };
        let now = self.clock.now();
        self.store.create_request(draft, now).await.unwrap().id
    }

    async fn give_up(&self, account: &str, id: RequestId) {
        let now = self.clock.now();
        self.store
            .delete_request(&account_id(account), id, now)
            .await
            .unwrap();
    }

    async fn request(&self, id: RequestId) -> PinRequest {
        self.store.request(id).await.unwrap().unwrap()
    }

    async fn until_status(&self, id: RequestId, status: RequestStatus) -> PinRequest {
        let what = format!("the request is {status}");
        until(&what, async || self.request(id).await.status == status).await;
        self.request(id).await
    }

    async fn placement(&self, cid: &Cid) -> Option<Placement> {
        self.store.placements_of_pin(cid).await.unwrap().pop()
    }

    async fn until_state(&self, cid: &Cid, state: PlacementState) -> Placement {
        let what = format!("the placement is {}", state.as_str());
        until(&what, async || {
            self.placement(cid).await.is_some_and(|p| p.state == state)
        })
        .await;
        self.placement(cid).await.unwrap()
    }

    async fn until_gone(&self, cid: &Cid) {
        until("the placement is gone", async || {
            self.placement(cid).await.is_none()
        })
        .await;
    }

    fn mended(&self, what: &str) -> u64 {
        self.metrics.mended.with_label_values(&[what]).get()
    }
}

/// Settings that wait for nothing long.
fn brisk() -> Tuning {
    Tuning {
        concurrency: 4,
        patience: Patience {
            stall: Duration::from_secs(30),
            attempt: Duration::from_secs(60),
            stat: Duration::from_secs(30),
        },
        retry: Retry {
            attempts_max: 3,
            first: Duration::from_millis(20),
            longest: Duration::from_millis(100),
        },
        poll: Duration::from_millis(20),
        watch_up: Duration::from_millis(200),
        watch_down: Duration::from_millis(50),
        lease: Duration::from_secs(600),
        progress: Duration::from_millis(50),
        reconcile: Duration::from_secs(3_600),
        expiry: Duration::from_millis(50),
        alone: true,
        exclusive: false,
    }
}

/// One gate for all tests: opening one takes longer than most of them.
fn gate() -> Arc<Gate> {
    static GATE: LazyLock<Arc<Gate>> = LazyLock::new(|| Arc::new(Gate::open(None).unwrap()));
    GATE.clone()
}

fn wish(cid: &Cid) -> NewRequest {
    NewRequest {
        cid: *cid,
        name: None,
        origins: vec![],
        meta: [].into(),
        expires: None,
    }
}

fn account_id(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn nowhere() -> Cid {
    Cid::parse(NOWHERE).unwrap()
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
