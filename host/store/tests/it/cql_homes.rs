//! A cluster whose two datacenters are both homes of keys, with one feed for all; and one in which
//! conditions are decided by both together.

use holdfast_model::{Cid, Cursor, Pin};
use holdfast_store::contract::cassandra::{Cluster, Network, Tls};
use holdfast_store::contract::sample::{at, cid};
use holdfast_store::{Cql, CqlSettings, Expect, Level, Serial, Store, StoreError};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long what must come about may take on a machine that compiles besides.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pins: so many that both homes have some, but for one run in two thousand, were chance in it.
const PINS: u64 = 12;

fn of(n: u64) -> Cid {
    cid(n).unwrap()
}

fn pin(n: u64) -> Pin {
    Pin::recursive(of(n), at(1_000))
}

/// A process in each datacenter.
struct Two {
    cluster: Cluster,
    here: Cql,
    there: Cql,
}

impl Two {
    async fn open(cluster: Cluster, mut settings: CqlSettings) -> Self {
        settings.timeouts.read = Duration::from_secs(4);
        settings.timeouts.write = Duration::from_secs(4);
        settings.timeouts.condition = Duration::from_secs(4);
        let here = Cql::open(settings.clone()).await.unwrap();
        settings.local_datacenter = "dc2".to_owned();
        let there = Cql::open(settings).await.unwrap();
        Self {
            cluster,
            here,
            there,
        }
    }

    fn stores(&self) -> [Store; 2] {
        [&self.here, &self.there].map(|cql| Store::Cql(cql.clone()))
    }

    /// Node numbers of both datacenters.
    fn nodes(&self) -> [u32; 2] {
        ["dc1", "dc2"].map(|datacenter| self.cluster.nodes_of(datacenter)[0])
    }

    /// Addresses of the nodes of both datacenters.
    fn addresses(&self) -> [IpAddr; 2] {
        self.nodes().map(|node| {
            let place = usize::try_from(node).unwrap() - 1;
            let address: std::net::SocketAddr = self.cluster.addresses()[place].parse().unwrap();
            address.ip()
        })
    }

    /// Both change each pin over the same version: one of them does.
    async fn race(&self) {
        let [here, there] = self.stores();
        for n in (0..PINS).cycle().take(3 * PINS as usize) {
            let found = there.pin(&of(n)).await.unwrap();
            let expect = found.map_or(Expect::Absent, |found| Expect::Version(found.version));
            let (one, other) =
                tokio::join!(here.put_pin(pin(n), expect), there.put_pin(pin(n), expect));
            let (won, lost) = match (one, other) {
                (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
                both => panic!("{both:?}"),
            };
            assert!(matches!(lost, StoreError::Conflict(_)), "{lost}");
            for store in [&here, &there] {
                assert_eq!(store.pin(&of(n)).await.unwrap().as_ref(), Some(&won));
            }
        }
    }
}

/// Puts a pin, and tells which nodes were asked for a statement of it.
async fn asked(cql: &Cql, n: u64, statement: &str) -> BTreeSet<IpAddr> {
    let store = Store::Cql(cql.clone());
    let (put, traces) = cql.traced(store.put_pin(pin(n), Expect::Any)).await;
    put.unwrap();
    let of_it = traces.iter().filter(|trace| trace.statement == statement);
    of_it.filter_map(|trace| trace.coordinator).collect()
}

async fn until_put(store: &Store, n: u64) {
    let back = async {
        while store.put_pin(pin(n), Expect::Any).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, back)
        .await
        .expect("it does not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_datacenters_are_homes_with_one_feed_or_decide_together() {
    let start = || Cluster::start("dc1=1,dc2=1", Tls::Off, Network::Loopback);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let mut settings = cluster.settings("two_homes");
    settings.layout.homes = vec!["dc1".to_owned(), "dc2".to_owned()];
    let two = Two::open(cluster, settings).await;
    two.race().await;
    let home = homes(&two).await;
    the_feed_tells_all(&two).await;
    the_local_datacenter_can_change(&two, home).await;
    a_home_that_is_away_stops_its_own_keys(&two, home[0], home[1]).await;

    let mut settings = two.cluster.settings("together");
    let levels = &mut settings.consistency;
    levels.serial = Serial::Global;
    [levels.read, levels.write, levels.stream] = [Level::Quorum; 3];
    let two = Two::open(two.cluster, settings).await;
    two.race().await;
    neither_decides_alone(&two).await;
}

/// A pin of each home. Whoever writes a pin has its home decide it, and announces it in the first.
async fn homes(two: &Two) -> [u64; 2] {
    let addresses = two.addresses();
    let mut of_home = [None; 2];
    for n in 0..PINS {
        let here = asked(&two.here, n, "pin_put").await;
        let there = asked(&two.there, n, "pin_put").await;
        // A condition that was not answered at once may have been traced at nobody.
        let decided: BTreeSet<_> = here.union(&there).copied().collect();
        assert_eq!(decided.len(), 1, "pin {n} was decided by {decided:?}");
        let place = addresses.iter().position(|a| decided.contains(a)).unwrap();
        of_home[place] = Some(n);
        for cql in [&two.here, &two.there] {
            let announced = asked(cql, n, "feed_add").await;
            assert_eq!(announced, BTreeSet::from([addresses[0]]), "pin {n}");
        }
    }
    of_home.map(|n| n.expect("a home has no pins"))
}

/// Each process is told of every pin, whoever wrote it and wherever it is decided, in one order.
async fn the_feed_tells_all(two: &Two) {
    let told = async |store: &Store| {
        let mut all = Vec::new();
        let mut after = Cursor::START;
        while all.iter().collect::<BTreeSet<_>>().len() < PINS as usize {
            let page = store.changes(after, 100).await.unwrap();
            assert!(page.is_sorted_by_key(|change| change.cursor));
            after = page.last().map_or(after, |last| last.cursor);
            all.extend(page.into_iter().map(|change| change.cid.to_bytes()));
            sleep(Duration::from_millis(20)).await;
        }
        all
    };
    let [here, there] = two.stores();
    // The last change is told of by both when it may be read.
    until_put(&here, 0).await;
    let both = async { tokio::join!(told(&here), told(&there)) };
    let (one, other) = timeout(PATIENCE, both).await.expect("the feed lacks a pin");
    let common = one.len().min(other.len());
    assert_eq!(one[..common], other[..common]);
}

/// A process that is said to be elsewhere goes on, and keys stay at home.
async fn the_local_datacenter_can_change(two: &Two, of_home: [u64; 2]) {
    let before = two.here.settings();
    let mut settings = before.clone();
    settings.local_datacenter = "dc2".to_owned();
    let [here, _] = two.stores();
    let writing = tokio::spawn(async move {
        for n in (0..PINS).cycle().take(4 * PINS as usize) {
            here.put_pin(pin(n), Expect::Any).await.unwrap();
        }
    });
    two.here.reconfigure(settings.clone()).await.unwrap();
    assert_eq!(two.here.settings(), settings);
    writing.await.unwrap();
    for (n, address) in of_home.into_iter().zip(two.addresses()) {
        let mut decided = BTreeSet::new();
        while decided.is_empty() {
            decided = asked(&two.here, n, "pin_put").await;
        }
        assert_eq!(decided, BTreeSet::from([address]), "pin {n}");
    }
    two.here.reconfigure(before).await.unwrap();
}

async fn a_home_that_is_away_stops_its_own_keys(two: &Two, first: u64, second: u64) {
    let [here, there] = two.stores();
    let [dc1, dc2] = two.nodes();
    let before = there.pin(&of(second)).await.unwrap();
    two.cluster.pause(dc2).unwrap();
    for store in [&here, &there] {
        store.put_pin(pin(first), Expect::Any).await.unwrap();
        let error = store.put_pin(pin(second), Expect::Any).await.unwrap_err();
        assert!(error.kind().is_transient(), "{error}");
    }
    two.cluster.resume(dc2).unwrap();
    until_put(&here, second).await;
    until_put(&there, second).await;
    let after = there.pin(&of(second)).await.unwrap();
    assert!(after.as_ref().map(|pin| pin.version) > before.map(|pin| pin.version));

    // The feed is in the first home: what cannot be announced is not changed, wherever it lies.
    two.cluster.pause(dc1).unwrap();
    assert_eq!(there.pin(&of(second)).await.unwrap(), after);
    let error = there.put_pin(pin(second), Expect::Any).await.unwrap_err();
    assert!(error.kind().is_transient(), "{error}");
    assert_eq!(there.pin(&of(second)).await.unwrap(), after);
    two.cluster.resume(dc1).unwrap();
    until_put(&there, second).await;
    until_put(&here, first).await;
    for store in two.stores() {
        assert_eq!(store.check().await.unwrap(), [] as [String; 0]);
    }
}

/// With one replica in each, a majority is both.
async fn neither_decides_alone(two: &Two) {
    let [here, there] = two.stores();
    for (node, store) in two.nodes().into_iter().rev().zip([&here, &there]) {
        two.cluster.pause(node).unwrap();
        let error = store.put_pin(pin(0), Expect::Any).await.unwrap_err();
        assert!(error.kind().is_transient(), "{error}");
        two.cluster.resume(node).unwrap();
        until_put(&here, 0).await;
        until_put(&there, 0).await;
    }
    assert_eq!(
        here.pin(&of(0)).await.unwrap(),
        there.pin(&of(0)).await.unwrap()
    );
}
