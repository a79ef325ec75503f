//! A history of concurrent conditional updates, for a checker that looks for an order of them in
//! which one machine would have given the same answers.
//!
//! Clients of two stores put, delete and read a few pins, and settle and read a few requests. What
//! a client was not told (an error may mean that the write took effect, or will) stays open. The
//! checker is Porcupine, in tests/linearizability.

use crate::load::{World, draft, named, now, think};
use holdfast_model::{AccountId, ErrorKind, RequestId, RequestStatus};
use holdfast_store::{Expect, Outcome, Store, StoreError};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

/// Clients, every second one of the other store.
const CLIENTS: u64 = 6;
/// Pins that they contend for. They lie behind those of the load.
const PINS: std::ops::Range<u64> = 500..504;
/// Requests that they settle.
const REQUESTS: usize = 2;
/// Seconds that the checker may look for an order.
const CHECK_SECONDS: &str = "120";

/// One line of the history.
#[derive(Debug, Default, Serialize)]
struct Event {
    client: usize,
    key: String,
    op: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    expect: &'static str,
    version: u64,
    value: u64,
    call: u128,
    #[serde(rename = "return")]
    end: Option<u128>,
    outcome: &'static str,
    seen_version: u64,
    seen_value: u64,
}

/// What the checker said.
#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    verdict: String,
    #[serde(default)]
    why: String,
    operations: usize,
    open: usize,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            operations, open, ..
        } = self;
        write!(f, "{} ({operations}, {open} open)", self.verdict)
    }
}

/// Clients that run.
pub(crate) struct Registers {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    world: Arc<World>,
    begun: Instant,
    events: Mutex<Vec<Event>>,
    /// A client whose call stays open goes on as another.
    clients: AtomicUsize,
    is_over: AtomicBool,
    requests: Vec<RequestId>,
}

/// A put, a deletion or a read as it was called.
struct Called {
    key: String,
    op: &'static str,
    expect: Expect,
    value: u64,
    at: u128,
}

impl Registers {
    /// Makes the requests that will be settled, and starts the clients.
    pub(crate) async fn start(world: &Arc<World>) -> Self {
        let mut shared = Shared {
            world: Arc::clone(world),
            begun: Instant::now(),
            events: Mutex::default(),
            clients: AtomicUsize::new(usize::try_from(CLIENTS).unwrap()),
            is_over: AtomicBool::new(false),
            requests: Vec::new(),
        };
        for _ in 0..REQUESTS {
            let mut draft = draft(world, 0, world.cid(world.fresh()));
            // An account of their own: nobody keeps books on them.
            draft.account = AccountId::parse(&format!("{}/registers", world.name)).unwrap();
            let id = draft.id;
            let called =
                shared.called(format!("request {id}"), "put", Expect::Absent, value(world));
            let made = world.stores[0].create_request(draft, now()).await.unwrap();
            shared.requests.push(id);
            shared.put(0, called, Ok(made.version));
            // Its first state names no value: one is settled at once.
            let called = shared.called(
                format!("request {id}"),
                "put",
                Expect::Version(made.version),
                value(world),
            );
            let outcome = outcome(called.value);
            let settled = world.stores[0].settle_request(id, made.version, outcome, now());
            let settled = settled.await.unwrap();
            shared.put(0, called, Ok(settled.version));
        }
        let shared = Arc::new(shared);
        let mut tasks = JoinSet::new();
        for task in 0..CLIENTS {
            tasks.spawn(client(Arc::clone(&shared), task));
        }
        Self { shared, tasks }
    }

    /// Lets the clients finish, writes the history down and has it checked.
    pub(crate) async fn finish(mut self, folder: &Path) -> Verdict {
        self.shared.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let world = &self.shared.world;
        let path = folder.join(format!("{}.jsonl", world.name));
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        for event in self.shared.events.lock().iter() {
            writeln!(file, "{}", serde_json::to_string(event).unwrap()).unwrap();
        }
        file.flush().unwrap();
        let seed = world.seed;
        let verdict = tokio::task::spawn_blocking(move || check(&path, seed));
        let verdict = verdict.await.unwrap();
        if verdict.verdict != "linearizable" {
            let Verdict { verdict, why, .. } = &verdict;
            world
                .ledger
                .wrong(format!("the history is {verdict}: {why}"));
        }
        verdict
    }
}

fn check(history: &Path, seed: u64) -> Verdict {
    let picture = history.with_extension("html");
    let done = Command::new(checker())
        .args(["-seconds", CHECK_SECONDS, "-seed", &seed.to_string()])
        .arg("-html")
        .arg(picture)
        .arg(history)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {told}"))
}

/// The checker's binary, built on first use.
fn checker() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/linearizability");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linearizability");
    let go = Command::new("go")
        .args(["build", "-o"])
        .arg(&built)
        .arg(".")
        .current_dir(source)
        .output()
        .expect("go is installed");
    let told = String::from_utf8_lossy(&go.stderr);
    assert!(go.status.success(), "the checker was not built: {told}");
    built
}

/// A value that no other put writes.
fn value(world: &World) -> u64 {
    world.fresh()
}

fn outcome(value: u64) -> Outcome {
    Outcome {
        status: RequestStatus::Pinning,
        dag_size: None,
        details: Some(value.to_string()),
    }
}

async fn client(shared: Arc<Shared>, task: u64) {
    let mut chance = shared.world.chance(500 + task);
    let mut client = usize::try_from(task).unwrap();
    let store = shared.world.store(task);
    while !shared.is_over.load(Ordering::Relaxed) {
        think(&mut chance).await;
        let goes_on = if chance.random_range(0..3) == 0 {
            let which = chance.random_range(0..shared.requests.len());
            settle(&shared, client, store, shared.requests[which]).await
        } else {
            on_pin(&shared, client, store, &mut chance).await
        };
        if !goes_on {
            client = shared.clients.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Reads a request and settles it over what was read; answers whether all was told.
async fn settle(shared: &Shared, client: usize, store: &Store, id: RequestId) -> bool {
    let key = format!("request {id}");
    let called = shared.called(key.clone(), "read", Expect::Any, 0);
    let found = store.request(id).await;
    let found = found.map(|found| {
        found.map(|r| {
            let value = r.details.as_deref().map(str::parse);
            (value.unwrap().unwrap(), r.version)
        })
    });
    let Some(Some(version)) = shared.read(client, called, found) else {
        return true;
    };
    let value = value(&shared.world);
    let called = shared.called(key, "put", Expect::Version(version), value);
    let settled = store.settle_request(id, version, outcome(value), now());
    let settled = settled.await.map(|r| r.version);
    shared.put(client, called, settled)
}

/// Reads a pin, puts or deletes it; answers whether all was told.
async fn on_pin(shared: &Shared, client: usize, store: &Store, chance: &mut StdRng) -> bool {
    let number = chance.random_range(PINS);
    let cid = shared.world.cid(number);
    let key = format!("pin {number}");
    let called = shared.called(key.clone(), "read", Expect::Any, 0);
    let found = store.pin(&cid).await;
    let found = found.map(|found| found.map(|f| (f.pin.options.name.parse().unwrap(), f.version)));
    // Who cannot read does not write either: each write without an answer stays open, and some
    // dozens of them are more than any checker can place.
    let Some(version) = shared.read(client, called, found) else {
        return true;
    };
    let seen = version.map_or(Expect::Absent, Expect::Version);
    let value = value(&shared.world);
    match chance.random_range(0..10) {
        0..2 => true,
        2..8 => {
            let expect = if chance.random_range(0..4) == 0 {
                Expect::Any
            } else {
                seen
            };
            let called = shared.called(key, "put", expect, value);
            let put = store.put_pin(named(cid, &value.to_string()), expect).await;
            shared.put(client, called, put.map(|p| p.version))
        }
        _ => {
            let expect = match seen {
                Expect::Absent => Expect::Any,
                seen => seen,
            };
            let called = shared.called(key, "delete", expect, 0);
            let deleted = store.delete_pin(&cid, expect).await;
            shared.put(client, called, deleted.map(|()| 0))
        }
    }
}

impl Shared {
    fn called(&self, key: String, op: &'static str, expect: Expect, value: u64) -> Called {
        Called {
            key,
            op,
            expect,
            value,
            at: self.begun.elapsed().as_nanos(),
        }
    }

    /// Notes a put's or a deletion's end; answers whether the client was told how it went.
    fn put(&self, client: usize, called: Called, answer: Result<u64, StoreError>) -> bool {
        let end = self.begun.elapsed().as_nanos();
        let (expect, version) = match called.expect {
            Expect::Any => ("any", 0),
            Expect::Absent => ("absent", 0),
            Expect::Version(version) => ("version", version),
        };
        let (outcome, seen_version) = match answer {
            Ok(version) => ("ok", version),
            // Turned away before anything was sent: it did not happen.
            Err(error) if error.kind() == ErrorKind::Overloaded => return true,
            Err(StoreError::Conflict(_)) => ("conflict", 0),
            Err(_) => ("unknown", 0),
        };
        let is_told = outcome != "unknown";
        self.events.lock().push(Event {
            client,
            key: called.key,
            op: called.op,
            expect,
            version,
            value: called.value,
            call: called.at,
            end: is_told.then_some(end),
            outcome,
            seen_version,
            ..Event::default()
        });
        is_told
    }

    /// Notes a read's end; answers the version that was found, if any. A read that failed says
    /// nothing.
    fn read(
        &self,
        client: usize,
        called: Called,
        answer: Result<Option<(u64, u64)>, StoreError>,
    ) -> Option<Option<u64>> {
        let end = self.begun.elapsed().as_nanos();
        let found = answer.ok()?;
        let (seen_value, seen_version) = found.unwrap_or_default();
        self.events.lock().push(Event {
            client,
            key: called.key,
            op: called.op,
            call: called.at,
            end: Some(end),
            outcome: if found.is_some() { "ok" } else { "absent" },
            seen_version,
            seen_value,
            ..Event::default()
        });
        Some(found.map(|(_, version)| version))
    }
}
