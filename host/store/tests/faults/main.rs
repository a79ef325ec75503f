//! The store through faults of its cluster: `make test-faults`.
//!
//!     cargo test -p holdfast-store --test faults -- [FAULT ...] [--two-homes | --global]
//!         [--memory] [--plain] [--seed N]
//!
//! Under a steady load through two stores (two processes of a service), each fault in turn happens
//! to a cluster of two datacenters. Afterwards everything that was acknowledged must be there, by
//! content; what was refused must not; the feed must have told of every change; the books must
//! balance; the history of conditional updates must be linearizable. It prints a table and keeps it
//! as target/faults.md (or faults-two-homes.md, faults-global.md). Before all that it must notice
//! what is done to a store behind its back.
//!
//! With `--two-homes` half of the keys have their home in the other datacenter; with `--global`
//! conditions are decided by a majority of all replicas. With `--plain` the cluster has no TLS, and
//! certificates are not rotated. With `--memory` nothing is hurt and the store is the one in
//! memory: a test of the harness itself.
#![cfg(test)]

mod cluster;
mod fault;
mod feed;
mod layout;
mod ledger;
mod lists;
mod load;
mod registers;
mod report;
mod sabotage;
mod timeline;
mod verify;

use self::cluster::Cluster;
use self::fault::{Fault, Stage};
use self::feed::Follower;
use self::layout::Layout;
use self::load::{Load, World};
use self::registers::Registers;
use self::report::Row;
use holdfast_store::{CqlSettings, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the load runs before a fault: what `before` is measured on.
const BEFORE: Duration = Duration::from_secs(5);
/// How long no call may fail until the store counts as well again.
const STEADY: Duration = Duration::from_secs(4);
/// By when that must be.
const RECOVERY_MAX: Duration = Duration::from_secs(90);
/// How long the load goes on then: what `after` is measured on.
const AFTER: Duration = Duration::from_secs(5);

/// What was asked for.
struct Wanted {
    faults: Vec<Fault>,
    is_in_memory: bool,
    is_plain: bool,
    layout: Layout,
    seed: u64,
}

impl Wanted {
    fn from_arguments() -> Self {
        let mut wanted = Self {
            faults: Vec::new(),
            is_in_memory: false,
            is_plain: false,
            layout: Layout::default(),
            seed: rand::random(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--memory" => wanted.is_in_memory = true,
                "--plain" => wanted.is_plain = true,
                "--two-homes" => wanted.layout = Layout::TwoHomes,
                "--global" => wanted.layout = Layout::Global,
                "--seed" => wanted.seed = arguments.next().unwrap().parse().unwrap(),
                name => {
                    let named = Fault::ALL.into_iter().find(|fault| fault.name() == name);
                    let known = Fault::ALL.map(Fault::name).join(", ");
                    let named = named.unwrap_or_else(|| panic!("no fault {name:?}: {known}"));
                    wanted.faults.push(named);
                }
            }
        }
        if wanted.faults.is_empty() {
            wanted.faults = Fault::ALL.to_vec();
        }
        if wanted.is_plain {
            wanted.faults.retain(|fault| *fault != Fault::Certificates);
        }
        wanted
    }
}

fn main() {
    let wanted = Wanted::from_arguments();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let is_well = runtime.block_on(run(&wanted));
    // The guard wipes the cluster once this process is gone.
    std::process::exit(i32::from(!is_well));
}

async fn run(wanted: &Wanted) -> bool {
    println!("seed {}, {}", wanted.seed, wanted.layout.name());
    let folder = folder();
    std::fs::create_dir_all(&folder).unwrap();
    sabotage::must_be_noticed(wanted.seed).await;
    let keyspace = format!("faults_{}", std::process::id());
    let cluster = match wanted.is_in_memory {
        true => None,
        false => Some(Cluster::start(&folder.join("cluster"), wanted.is_plain).await),
    };
    let mut settings = match &cluster {
        Some(cluster) => cluster.settings(&keyspace).await,
        None => CqlSettings::new(Vec::new(), "", ""),
    };
    wanted.layout.apply(&mut settings);
    let stores = stores(cluster.as_ref(), &settings).await;
    let mut rows = Vec::new();
    for (number, fault) in (1..).zip(&wanted.faults) {
        println!("{} ...", fault.name());
        let world = World::new(stores.clone(), fault.name(), number, wanted.seed);
        let world = Arc::new(world);
        let stage = Stage {
            world: &world,
            cluster: cluster.as_ref(),
            settings: &settings,
            layout: wanted.layout,
        };
        let row = through(*fault, &world, &stage).await;
        println!("{}", report::text(std::slice::from_ref(&row)));
        rows.push(row);
    }
    let (seed, layout) = (wanted.seed, wanted.layout.name());
    let text = format!("seed {seed}, {layout}\n\n{}", report::text(&rows));
    println!("{text}");
    std::fs::write(folder.with_file_name(wanted.layout.report()), text).unwrap();
    rows.iter().all(|row| row.wrong.0 == 0)
}

/// Where histories and the report go: target/faults.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("faults")
}

async fn stores(cluster: Option<&Cluster>, settings: &CqlSettings) -> [Store; 2] {
    if cluster.is_none() {
        let store = Store::memory();
        return [store.clone(), store];
    }
    let first = Store::cql(settings.clone()).await.unwrap();
    let second = Store::cql(settings.clone()).await.unwrap();
    [first, second]
}

/// One fault, from a calm beginning to the reading back of everything.
async fn through(fault: Fault, world: &Arc<World>, stage: &Stage<'_>) -> Row {
    let begun = Instant::now();
    let failed_before = report::failed_attempts(&world.stores);
    let follower = Follower::start(world);
    let registers = Registers::start(world).await;
    let load = Load::start(world);
    let times = &world.timeline;
    sleep(BEFORE).await;

    let struck = times.now();
    fault.strike(stage).await;
    sleep(fault.hold()).await;
    fault.mend(stage).await;
    let mended = times.now();

    while !times.is_steady(STEADY) && times.now() < mended + RECOVERY_MAX {
        sleep(Duration::from_millis(100)).await;
    }
    if !times.is_steady(STEADY) {
        world
            .ledger
            .wrong(format!("not well {RECOVERY_MAX:?} after it was mended"));
    }
    let well = times.now();
    sleep(AFTER).await;
    load.finish().await;
    let history = registers.finish(&folder()).await.to_string();
    let hurt = struck..well;
    let (calls, errors) = times.counts(&hurt);
    if stage.layout.hides(fault) && errors > 0 {
        world.ledger.wrong(format!("{errors} calls failed"));
    }
    let (recovery, slowest, kinds) = (times.recovery(), times.slowest(), times.errors());
    let p99 = [Duration::ZERO..struck, struck..mended, well..Duration::MAX];
    let p99 = p99.map(|stretch| times.p99(&stretch));
    let read_errors = times.read_errors(&hurt);

    verify::settle(world, &world.stores[0]).await;
    for store in &world.stores {
        verify::all(world, store).await;
    }
    follower.finish().await;
    Row {
        name: fault.name(),
        acknowledged: world.ledger.acknowledged(),
        calls,
        errors,
        read_errors,
        recovery,
        p99,
        slowest,
        history,
        kinds,
        attempts: report::since(&failed_before, report::failed_attempts(&world.stores)),
        wrong: world.ledger.complaints(),
        lasted: begun.elapsed(),
    }
}
