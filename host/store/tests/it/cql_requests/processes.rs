//! Several processes change one account at once.

use super::{Process, must_be_clean, sent};
use holdfast_model::{Period, PinRequest, RequestFilter, RequestId, RequestStatus, UnixMillis};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{account, at, cid, draft};
use holdfast_store::{Outcome, Store, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use uuid::Uuid;

const TASKS: u64 = 8;
const STEPS: u64 = 25;
const CIDS: u64 = 3;

/// What one task did to the requests that it made: nobody else touches those.
#[derive(Debug, Default)]
struct Diary {
    alive: BTreeMap<RequestId, PinRequest>,
    /// In the order in which they were answered.
    made: Vec<PinRequest>,
    replaced: u64,
    deleted: u64,
}

#[derive(Clone)]
struct Worker {
    store: Store,
    ids: Arc<AtomicU64>,
}

impl Worker {
    fn fresh(&self, random: &mut StdRng) -> holdfast_store::RequestDraft {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut draft = draft(number, random.random_range(0..CIDS)).unwrap();
        draft.id = RequestId(Uuid::from_u128(u128::from(number) << 64));
        draft
    }

    async fn run(self, seed: u64) -> Diary {
        let mut random = StdRng::seed_from_u64(seed);
        let mut diary = Diary::default();
        for step in 0..STEPS {
            let now = at(1_000 + step);
            let some = diary.alive.keys().nth(random.random_range(0..4)).copied();
            match (random.random_range(0..6), some) {
                (0, Some(old)) => {
                    let new = self.fresh(&mut random);
                    let made = self.store.replace_request(old, new, now).await.unwrap();
                    diary.alive.remove(&old);
                    diary.replaced += 1;
                    diary.keep(made);
                }
                (1, Some(id)) => {
                    let account = account().unwrap();
                    self.store.delete_request(&account, id, now).await.unwrap();
                    diary.alive.remove(&id);
                    diary.deleted += 1;
                }
                (2 | 3, Some(id)) => {
                    let outcome = Outcome {
                        status: RequestStatus::ALL[random.random_range(0..4)],
                        dag_size: Some(random.random_range(0..1_000)),
                        details: None,
                    };
                    let version = diary.alive[&id].version;
                    let stale = self
                        .store
                        .settle_request(id, version + 1, outcome.clone(), now);
                    assert!(matches!(stale.await, Err(StoreError::Conflict(_))));
                    let settled = self.store.settle_request(id, version, outcome, now);
                    diary.alive.insert(id, settled.await.unwrap());
                }
                _ => {
                    let new = self.fresh(&mut random);
                    let made = self.store.create_request(new, now).await.unwrap();
                    diary.keep(made);
                }
            }
        }
        diary
    }
}

impl Diary {
    fn keep(&mut self, made: PinRequest) {
        self.alive.insert(made.id, made.clone());
        self.made.push(made);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_an_account() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let keyspace = Keyspace::empty().await.unwrap();
    let processes = [Process::on(&keyspace).await, Process::on(&keyspace).await];
    let ids = Arc::new(AtomicU64::new(1));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let worker = Worker {
                store: processes[usize::try_from(task % 2).unwrap()].store.clone(),
                ids: Arc::clone(&ids),
            };
            tokio::spawn(worker.run(seed.wrapping_add(task)))
        })
        .collect();
    let mut diaries = Vec::new();
    for task in tasks {
        diaries.push(task.await.unwrap());
    }
    for process in &processes {
        must_agree(&process.store, &diaries).await;
    }
    must_be_clean(&processes[0], &keyspace).await;
    for process in &processes {
        process.store.close().await.unwrap();
    }
}

/// However many clients change an account at once, its head is moved by few conditions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_on_one_account_is_carried_together() {
    const CROWD: u64 = 256;
    let keyspace = Keyspace::empty().await.unwrap();
    let process = Process::on(&keyspace).await;
    let began = Instant::now();
    let calls: Vec<_> = (1..=CROWD)
        .map(|id| {
            let store = process.store.clone();
            tokio::spawn(async move { store.create_request(draft(id, id).unwrap(), at(100)).await })
        })
        .collect();
    let mut instants = HashSet::new();
    for call in calls {
        instants.insert(call.await.unwrap().unwrap().created);
    }
    println!("{CROWD} requests of one account in {:?}", began.elapsed());
    assert_eq!(instants.len() as u64, CROWD);
    let sent = sent(&process);
    let of = |label: &str| sent.get(label).map_or(0, |(_, count)| *count);
    let moves = of("head_move") + of("head_begin");
    assert!(
        moves <= CROWD / 16,
        "{moves} conditions for {CROWD} requests"
    );
    must_be_clean(&process, &keyspace).await;
    process.store.close().await.unwrap();
}

/// The store holds what the diaries say, in lists, counts, usage and pins.
async fn must_agree(store: &Store, diaries: &[Diary]) {
    let account = account().unwrap();
    let mut expected: Vec<_> = diaries.iter().flat_map(|d| d.alive.values()).collect();
    expected.sort_by_key(|request| std::cmp::Reverse(request.created));
    let all = RequestFilter::default();
    let listed = store.requests(&account, &all, 10_000).await.unwrap();
    let stray = listed.iter().find(|r| !expected.contains(r));
    assert_eq!(stray, None, "is listed, and should not be");
    assert_eq!(listed.iter().collect::<Vec<_>>(), expected);
    let counts = store.holdings(&account).await.unwrap().counts;
    for status in RequestStatus::ALL {
        let of_status = listed.iter().filter(|r| r.status == status).count() as u64;
        assert_eq!(counts.get(status), of_status, "{status:?}");
    }
    let level: u128 = listed.iter().map(|r| u128::from(r.billable_bytes())).sum();
    assert_eq!(store.holdings(&account).await.unwrap().pinned_bytes, level);
    let period = Period {
        start: UnixMillis::EPOCH,
        end: at(1_000_000),
    };
    let operations = store.usage(&account, period).await.unwrap().operations;
    let sum = |of: fn(&Diary) -> u64| diaries.iter().map(of).sum::<u64>();
    let replaced = sum(|d| d.replaced);
    assert_eq!(operations.replace, replaced);
    assert_eq!(operations.unpin, sum(|d| d.deleted));
    assert_eq!(operations.pin, sum(|d| d.made.len() as u64) - replaced);

    let mut instants = HashSet::new();
    for diary in diaries {
        assert!(diary.made.is_sorted_by(|a, b| a.created < b.created));
        for made in &diary.made {
            assert!(
                instants.insert(made.created),
                "{} is used twice",
                made.created
            );
        }
    }
    for of in 0..CIDS {
        let cid = cid(of).unwrap();
        let wanting = listed.iter().filter(|r| r.asked.cid == cid).count();
        let pin = store.pin(&cid).await.unwrap();
        let expected = (wanting > 0).then_some(wanting as u64);
        assert_eq!(pin.map(|pin| pin.requests), expected, "{cid}");
        let found = store.requests_of_pin(&cid, None, 10_000).await.unwrap();
        assert_eq!(found.len(), wanting);
    }
}
