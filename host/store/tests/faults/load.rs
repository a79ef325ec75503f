//! The load: tasks that write and read through two stores, as two processes of a service would.

use crate::ledger::{Ledger, PinStep, Step};
use crate::lists;
use crate::timeline::{Call, Timeline};
use holdfast_model::{
    AccountId, Cid, ErrorKind, NewRequest, Pin, RequestId, RequestStatus, UnixMillis,
};
use holdfast_store::contract::sample;
use holdfast_store::{Expect, Outcome, RequestDraft, Store, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// Tasks that take requests through their lives.
const LIVES: u64 = 8;
/// Accounts that they share: each is written by tasks of both stores.
const ACCOUNTS: u64 = 4;
/// Tasks that put, place and delete pins of their own.
const OWNERS: u64 = 2;
/// Tasks that contend for a few pins.
const RIVALS: u64 = 4;
/// Those few.
const CONTENDED: u64 = 2;
/// Tasks that read.
const READERS: u64 = 4;
/// How many milliseconds a task thinks between two calls: the load is to be steady, and not the
/// most that four nodes on two processors can bear. With a tenth of it, conditional writes took
/// seconds there, and servers gave up on them without any fault.
const THINK: std::ops::Range<u64> = 100..300;

/// What all tasks of a run share.
#[derive(Debug)]
pub(crate) struct World {
    /// Two stores on the same data.
    pub(crate) stores: [Store; 2],
    pub(crate) ledger: Ledger,
    pub(crate) timeline: Timeline,
    /// The run's name: its accounts bear it.
    pub(crate) name: &'static str,
    /// Where its CIDs begin, so that runs on one keyspace do not meet.
    pub(crate) first_cid: u64,
    pub(crate) seed: u64,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl World {
    pub(crate) fn new(stores: [Store; 2], name: &'static str, number: u64, seed: u64) -> Self {
        Self {
            stores,
            ledger: Ledger::default(),
            timeline: Timeline::new(),
            name,
            first_cid: number << 32,
            seed,
            // The first ones are for those that are shared.
            next: AtomicU64::new(1_000),
            is_over: AtomicBool::new(false),
        }
    }

    /// The store that a task works with.
    pub(crate) fn store(&self, task: u64) -> &Store {
        &self.stores[usize::from(!task.is_multiple_of(2))]
    }

    /// A CID that others know too.
    pub(crate) fn cid(&self, n: u64) -> Cid {
        sample::cid(self.first_cid + n).unwrap()
    }

    /// A number that nobody has had.
    pub(crate) fn fresh(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn account(&self, n: u64) -> AccountId {
        AccountId::parse(&format!("{}/a{}", self.name, n % ACCOUNTS)).unwrap()
    }

    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        (0..ACCOUNTS).map(|n| self.account(n)).collect()
    }

    /// Chance that can be had again.
    pub(crate) fn chance(&self, task: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ self.first_cid ^ task)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// A call of a task that is alone with what it writes. It cannot be refused: whoever says that
    /// the row has changed means the task's own write, which he has lost sight of.
    async fn alone<T>(
        &self,
        what: &str,
        made: impl Future<Output = holdfast_store::Result<T>>,
    ) -> Option<T> {
        match self.timeline.note(Call::Write, made).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                if is_refusal(&error) {
                    self.ledger.wrong(format!("{what} was refused: {error}"));
                }
                None
            }
        }
    }
}

fn is_refusal(error: &StoreError) -> bool {
    !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded)
}

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis::new(u64::try_from(since.unwrap().as_millis()).unwrap())
}

pub(crate) async fn think(chance: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(chance.random_range(THINK))).await;
}

/// A load that runs.
pub(crate) struct Load {
    world: Arc<World>,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(world: &Arc<World>) -> Self {
        let mut tasks = JoinSet::new();
        for task in 0..LIVES {
            tasks.spawn(live_on(Arc::clone(world), task));
        }
        for task in 100..100 + OWNERS {
            tasks.spawn(own(Arc::clone(world), task));
        }
        for task in 200..200 + RIVALS {
            tasks.spawn(contend(Arc::clone(world), task));
        }
        for task in 300..300 + READERS {
            tasks.spawn(read(Arc::clone(world), task));
        }
        Self {
            world: Arc::clone(world),
            tasks,
        }
    }

    /// Lets every task finish what it has begun.
    pub(crate) async fn finish(mut self) {
        self.world.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// One request after another, each from its making to its end or to the first call that fails.
async fn live_on(world: Arc<World>, task: u64) {
    let mut chance = world.chance(task);
    while !world.is_over() {
        let _ended = live(&world, task, &mut chance).await;
        think(&mut chance).await;
    }
}

async fn live(world: &World, task: u64, chance: &mut StdRng) -> Option<()> {
    let store = world.store(task);
    // Half of them want content that others want too.
    let of = match chance.random_range(0..2) {
        0 => world.cid(100 + chance.random_range(0..16)),
        _ => world.cid(world.fresh()),
    };
    let draft = draft(world, task, of);
    let (id, account) = (draft.id, draft.account.clone());
    world.ledger.begin(&draft, Step::Create);
    let made = store.create_request(draft, now());
    let made = world.alone("a creation", made).await?;
    let version = made.version;
    world.ledger.reached(made);
    think(chance).await;

    let outcome = Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(chance.random_range(1..1_000_000)),
        details: Some(format!("by task {task}")),
    };
    world.ledger.step(id, Step::Settle(outcome.clone()));
    let settled = store.settle_request(id, version, outcome, now());
    let settled = world.alone("a settlement", settled).await?;
    world.ledger.reached(settled);
    think(chance).await;

    match chance.random_range(0..6) {
        0 => replace(world, task, id).await,
        1 | 2 => {
            world.ledger.step(id, Step::Delete);
            let deleted = store.delete_request(&account, id, now());
            world.alone("a deletion", deleted).await?;
            world.ledger.ended(id);
            Some(())
        }
        _ => Some(()),
    }
}

async fn replace(world: &World, task: u64, old: RequestId) -> Option<()> {
    let draft = draft(world, task, world.cid(world.fresh()));
    world.ledger.step(old, Step::Replace(draft.id));
    world.ledger.begin(&draft, Step::InPlaceOf(old));
    let replaced = world.store(task).replace_request(old, draft, now());
    let replaced = world.alone("a replacement", replaced).await?;
    world.ledger.ended(old);
    world.ledger.reached(replaced);
    Some(())
}

pub(crate) fn draft(world: &World, task: u64, of: Cid) -> RequestDraft {
    RequestDraft {
        id: RequestId(uuid::Uuid::now_v7()),
        // Tasks of one account work with different stores.
        account: world.account(task / 2),
        asked: NewRequest {
            cid: of,
            name: Some(format!("of task {task}")),
            origins: Vec::new(),
            meta: BTreeMap::from([("task".to_owned(), task.to_string())]),
            expires: None,
        },
    }
}

/// Pins of the task's own: put, placed, put again, every second one deleted.
async fn own(world: Arc<World>, task: u64) {
    let mut chance = world.chance(task);
    while !world.is_over() {
        let cid = world.cid(world.fresh());
        let _ended = keep(&world, task, cid, &mut chance).await;
        think(&mut chance).await;
    }
}

async fn keep(world: &World, task: u64, cid: Cid, chance: &mut StdRng) -> Option<()> {
    let store = world.store(task);
    let ledger = &world.ledger;
    let mut pin = named(cid, "first");
    ledger.pin_step(cid, PinStep::Put(Box::new(pin.clone())));
    let put = store.put_pin(pin.clone(), Expect::Absent);
    let put = world.alone("a first put", put).await?;
    let version = put.version;
    ledger.pin_reached(&cid, Some(put), true);
    think(chance).await;

    pin.allocations = vec![sample::peer(1).unwrap(), sample::peer(2).unwrap()];
    ledger.pin_step(cid, PinStep::Put(Box::new(pin.clone())));
    let placed = store.allocate_pin(&cid, version, pin.allocations.clone());
    let placed = world.alone("an allocation", placed).await?;
    let version = placed.version;
    ledger.pin_reached(&cid, Some(placed), false);
    think(chance).await;

    let pin = named(cid, "second");
    ledger.pin_step(cid, PinStep::Put(Box::new(pin.clone())));
    let put = store.put_pin(pin, Expect::Version(version));
    let put = world.alone("a second put", put).await?;
    let version = put.version;
    ledger.pin_reached(&cid, Some(put), true);
    think(chance).await;

    if chance.random_range(0..2) == 0 {
        return Some(());
    }
    ledger.pin_step(cid, PinStep::Delete);
    let deleted = store.delete_pin(&cid, Expect::Version(version));
    world.alone("a pin's deletion", deleted).await?;
    ledger.pin_reached(&cid, None, true);
    Some(())
}

pub(crate) fn named(cid: Cid, name: &str) -> Pin {
    let mut pin = Pin::recursive(cid, UnixMillis::from_seconds(now().as_seconds()));
    name.clone_into(&mut pin.options.name);
    pin
}

/// Puts over what was read, on pins that others put too.
async fn contend(world: Arc<World>, task: u64) {
    let mut chance = world.chance(task);
    let store = world.store(task);
    while !world.is_over() {
        think(&mut chance).await;
        let cid = world.cid(chance.random_range(0..CONTENDED));
        let Ok(found) = world.timeline.note(Call::Read, store.pin(&cid)).await else {
            continue;
        };
        let expect = found.map_or(Expect::Absent, |found| Expect::Version(found.version));
        let pin = named(cid, &format!("{task}/{}", world.fresh()));
        let put = store.put_pin(pin, expect);
        if let Ok(won) = world.timeline.note(Call::Contend, put).await {
            world.ledger.won(&won);
        }
    }
}

/// Reads what is known, and complains about what is older.
async fn read(world: Arc<World>, task: u64) {
    let mut chance = world.chance(task);
    let store = world.store(task);
    while !world.is_over() {
        think(&mut chance).await;
        let account = world.account(chance.random_range(0..ACCOUNTS));
        match chance.random_range(0..6) {
            0 => lists::list(&world, store, &account).await,
            1 => lists::list_and_count(&world, store, &account).await,
            2 => lists::count(&world, store, &account).await,
            _ => look_up(&world, store, chance.random_range(0..1_000_000)).await,
        }
    }
}

async fn look_up(world: &World, store: &Store, chance: usize) {
    let Some(before) = world.ledger.settled_request(chance) else {
        return;
    };
    let id = before.draft.id;
    let Ok(found) = world.timeline.note(Call::Read, store.request(id)).await else {
        return;
    };
    // Its writer may have gone on meanwhile; then only what came before would be too old.
    let before = before.acknowledged.filter(|_| !before.is_gone);
    let (then, now) = (before.map(|r| r.version), found.map(|r| r.version));
    if now.is_some() && now < then {
        world.ledger.wrong(format!(
            "request {id} was read at version {now:?} after {then:?} had been acknowledged"
        ));
    }
    if then.is_none() && now.is_some() {
        world
            .ledger
            .wrong(format!("request {id} was read after its deletion"));
    }
}
