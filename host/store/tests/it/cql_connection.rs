//! The connection to the cluster: what is refused and why, and changing it while calls go on.

use holdfast_model::{Cid, Pin, UnixMillis};
use holdfast_store::contract::cassandra::{Cluster, Network, Tls};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::{
    Compression, Cql, CqlSettings, Expect, Level, Pool, Store, StoreError, schema,
};
use prometheus::proto::MetricType;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// A new session takes some hundred milliseconds here; beside compilers, some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Within this a connection on which nothing comes back is given up: several times what the
/// settings say (`timeouts.keepalive`, twice), and less than the driver takes by itself (a minute).
const FOUND_OUT: Duration = Duration::from_secs(25);

fn cid(n: u64) -> Cid {
    let digest = [n.to_be_bytes(); 4].concat();
    Cid::from_bytes(&[&[0x01, 0x55, 0x12, 0x20], digest.as_slice()].concat()).unwrap()
}

fn pin(n: u64) -> Pin {
    Pin::recursive(cid(n), UnixMillis::new(1))
}

async fn open(settings: CqlSettings) -> Cql {
    match Store::cql(settings).await.unwrap() {
        Store::Cql(cql) => cql,
        Store::Memory(_) | Store::Embedded(_) => unreachable!("it was opened as CQL"),
    }
}

/// Reads and conditional writes until told to stop; any error ends the test.
struct Load {
    ends: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn begin(store: &Store) -> Self {
        let (ends, done) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let task = |n: u64| {
            let (store, ends) = (store.clone(), Arc::clone(&ends));
            let done: Arc<AtomicU64> = Arc::clone(&done);
            tokio::spawn(async move {
                while !ends.load(Ordering::Relaxed) {
                    store.put_pin(pin(n), Expect::Any).await.unwrap();
                    assert!(store.pin(&cid(n)).await.unwrap().is_some());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..8).map(task).collect();
        Self { ends, done, tasks }
    }

    /// Waits until calls that began after this moment have been answered.
    async fn go_on(&self) {
        let enough = self.done.load(Ordering::Relaxed) + 3 * self.tasks.len() as u64;
        let going = async {
            while self.done.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, going).await.expect("calls stand still");
    }

    async fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a call has failed");
        }
    }
}

/// Makes other settings of them.
type Edit = fn(&mut CqlSettings);

/// Spoils good settings.
type Change<'a> = &'a dyn Fn(&mut CqlSettings);

fn why(error: &StoreError) -> String {
    format!("{error:?} {error}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_changes_without_a_failed_call() {
    let keyspace = Keyspace::empty().await.unwrap();
    let settings = keyspace.settings();
    let cql = open(settings.clone()).await;
    let load = Load::begin(&Store::Cql(cql.clone()));
    load.go_on().await;
    for (key, change) in LIVE {
        let mut changed = settings.clone();
        change(&mut changed);
        assert_ne!(changed, settings, "{key} is what it was");
        cql.reconfigure(changed.clone()).await.expect(key);
        assert_eq!(cql.settings(), changed, "{key}");
        load.go_on().await;
    }
    cql.reconfigure(settings.clone()).await.unwrap();
    load.go_on().await;
    load.end().await;
}

/// Every key that may change while the store is open, but for logins, certificates and the read
/// cache, which have tests of their own, and the local datacenter, which there is but one of here.
const LIVE: [(&str, Edit); 25] = [
    ("contact_points", |s| {
        let port = s.contact_points[0].rsplit_once(':').unwrap().1;
        s.contact_points.push(format!("localhost:{port}"));
    }),
    ("local_rack", |s| s.local_rack = Some("rack1".to_owned())),
    ("connections.per_shard", |s| {
        s.connections.pool = Pool::PerShard(NonZeroUsize::new(2).unwrap());
    }),
    ("connections.per_node", |s| {
        s.connections.pool = Pool::PerNode(NonZeroUsize::new(3).unwrap());
    }),
    ("connections.shard_aware_port", |s| {
        s.connections.shard_aware_port = false;
    }),
    ("connections.compression", |s| {
        s.connections.compression = Compression::Lz4;
    }),
    ("connections.write_coalescing", |s| {
        s.connections.write_coalescing = false;
    }),
    ("connections.local_address", |s| {
        s.connections.local_address = Some([127, 0, 0, 1].into());
    }),
    ("timeouts.connect", |s| s.timeouts.connect *= 2),
    ("timeouts.session", |s| s.timeouts.session *= 2),
    ("timeouts.prepare", |s| s.timeouts.prepare *= 2),
    ("timeouts.read", |s| s.timeouts.read *= 2),
    ("timeouts.write", |s| s.timeouts.write *= 2),
    ("timeouts.condition", |s| s.timeouts.condition *= 2),
    ("timeouts.page", |s| s.timeouts.page *= 2),
    ("timeouts.schema", |s| s.timeouts.schema *= 2),
    ("timeouts.keepalive", |s| s.timeouts.keepalive *= 2),
    ("consistency, each level", |s| {
        let levels = &mut s.consistency;
        [levels.read, levels.write, levels.stream] = [Level::Quorum; 3];
    }),
    ("consistency.remote_reads", |s| {
        s.consistency.remote_reads = true;
    }),
    ("flow.in_flight", |s| s.flow.in_flight = 64),
    ("flow.node_in_flight", |s| s.flow.node_in_flight = 64),
    ("flow.queue", |s| s.flow.queue = 64),
    ("flow.stream_pages", |s| s.flow.stream_pages = 2),
    ("flow.speculate_after", |s| s.flow.speculate_after = None),
    ("flow.retry_percent and trace_one_in", |s| {
        (s.flow.retry_percent, s.flow.trace_one_in) = (50, 100);
    }),
];

/// A pool has as many connections as it is told, after a change too; the driver has one more for
/// itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_has_as_many_connections_as_it_is_told() {
    let keyspace = Keyspace::empty().await.unwrap();
    let mut settings = keyspace.settings();
    let cql = open(settings.clone()).await;
    let store = Store::Cql(cql.clone());
    let connections = || counted(&store, "holdfast_cql_connections");
    until(|| connections() >= 1.0).await;
    let beside = connections() - 1.0;
    for wanted in [3, 1, 5] {
        let number = NonZeroUsize::new(wanted).unwrap();
        settings.connections.pool = Pool::PerNode(number);
        cql.reconfigure(settings.clone()).await.unwrap();
        let expected = f64::from(u32::try_from(wanted).unwrap()) + beside;
        until(|| connections() == expected).await;
    }
}

/// A list that is being read when the connection changes is read to its end, and once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_goes_on_while_the_connection_changes() {
    const PINS: u64 = 600;
    const CHANGES: usize = 2;
    let keyspace = Keyspace::empty().await.unwrap();
    let settings = keyspace.settings();
    let cql = open(settings.clone()).await;
    let store = Store::Cql(cql.clone());
    for first in (0..PINS).step_by(100) {
        let some = (first..first + 100).map(|n| store.put_pin(pin(n), Expect::Absent));
        for put in futures_util::future::join_all(some).await {
            put.unwrap();
        }
    }
    let mut found = Vec::new();
    let (mut scan, mut changes) = (store.scan_pins(None).unwrap(), 0);
    while let Some(some) = scan.next().await.unwrap() {
        found.extend(some.into_iter().map(|stored| stored.pin.cid));
        if changes < CHANGES && found.len() < usize::try_from(PINS).unwrap() {
            cql.reconfigure(settings.clone()).await.unwrap();
            changes += 1;
        }
    }
    assert_eq!(changes, CHANGES, "the scan was over before");
    found.sort_unstable();
    let mut all: Vec<_> = (0..PINS).map(cid).collect();
    all.sort_unstable();
    assert!(found == all, "{} found", found.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_read_cache_can_be_turned_off_and_on_while_the_store_is_open() {
    let keyspace = Keyspace::empty().await.unwrap();
    let mut settings = keyspace.settings();
    settings.flow.cached_pins = 0;
    let cql = open(settings.clone()).await;
    let store = Store::Cql(cql.clone());
    let hits = "holdfast_cql_cache_total result=hit";
    let read_twice = async || {
        for _ in 0..2 {
            store.pin_lately(&cid(1)).await.unwrap();
        }
        counted(&store, hits)
    };
    assert_eq!(read_twice().await, 0.0);
    settings.flow.cached_pins = 10;
    cql.reconfigure(settings.clone()).await.unwrap();
    let hit = read_twice().await;
    assert!(hit >= 1.0, "nothing is kept after the reload");
    settings.flow.cached_pins = 0;
    cql.reconfigure(settings).await.unwrap();
    assert_eq!(read_twice().await, hit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_change_is_refused_and_the_old_connection_goes_on() {
    let keyspace = Keyspace::empty().await.unwrap();
    let settings = keyspace.settings();
    let cql = open(settings.clone()).await;
    let load = Load::begin(&Store::Cql(cql.clone()));
    let bad: [(&str, Change); 6] = [
        ("store.cql.password", &|s| {
            s.login.as_mut().unwrap().password = "not this one".to_owned();
        }),
        ("store.cql.username", &|s| s.login = None),
        ("127.0.0.1:1", &|s| {
            s.contact_points = vec!["127.0.0.1:1".to_owned()];
            s.timeouts.session = Duration::from_secs(3);
        }),
        ("store.cql.keyspace", &|s| s.keyspace = "another".to_owned()),
        ("store.cql.layout", &|s| s.layout.prefix_bits = 9),
        ("store.cql.flow.in_flight", &|s| s.flow.in_flight = 0),
    ];
    for (named, change) in bad {
        let mut new = settings.clone();
        change(&mut new);
        let error = cql.reconfigure(new).await.unwrap_err();
        assert!(why(&error).contains(named), "{named}: {}", why(&error));
        assert_eq!(cql.settings(), settings);
        load.go_on().await;
    }
    load.end().await;
}

#[tokio::test]
async fn a_datacenter_that_does_not_exist_is_refused_with_those_that_do() {
    let keyspace = Keyspace::empty().await.unwrap();
    let mut settings = keyspace.settings();
    let known = std::mem::replace(&mut settings.local_datacenter, "nowhere".to_owned());
    settings.replication.push(("nowhere".to_owned(), 1));
    let error = Store::cql(settings).await.unwrap_err();
    assert!(why(&error).contains("nowhere"), "{}", why(&error));
    assert!(why(&error).contains(&known), "{}", why(&error));
}

#[tokio::test]
async fn a_call_can_be_looked_into() {
    let keyspace = Keyspace::empty().await.unwrap();
    let cql = open(keyspace.settings()).await;
    let store = Store::Cql(cql.clone());
    let put = store.put_pin(pin(1), Expect::Absent);
    let (answer, traces) = cql.traced(put).await;
    answer.unwrap();
    let made = traces.iter().find(|trace| trace.statement == "pin_make");
    let made = made.unwrap_or_else(|| panic!("{traces:?}"));
    assert!(made.coordinator.is_some() && made.server_took.is_some());
    assert!(!made.events.is_empty());
}

#[tokio::test]
async fn a_pin_that_was_lately_read_is_never_older_than_ones_own_write() {
    let keyspace = Keyspace::empty().await.unwrap();
    let cql = open(keyspace.settings()).await;
    // What is kept ends by nothing but the feed here.
    cql.keep_pins_until_told();
    let store = Store::Cql(cql);
    let other = Store::cql(keyspace.settings()).await.unwrap();
    assert_eq!(store.pin_lately(&cid(1)).await.unwrap(), None);
    for _ in 0..3 {
        let put = store.put_pin(pin(1), Expect::Any).await.unwrap();
        assert_eq!(store.pin_lately(&cid(1)).await.unwrap(), Some(put));
    }
    // Another's write is seen as soon as the feed has told of it, whether a pin was kept or that
    // there was none.
    assert_eq!(store.pin_lately(&cid(2)).await.unwrap(), None);
    for n in [1, 2] {
        let put = other.put_pin(pin(n), Expect::Any).await.unwrap();
        let seen = async {
            while store.pin_lately(&cid(n)).await.unwrap().as_ref() != Some(&put) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen)
            .await
            .expect("the feed tells nothing");
    }
}

/// What a store's metrics show, as a page of them has it: a line for each.
fn page(store: &Store) -> Vec<(String, f64)> {
    let registry = prometheus::Registry::new();
    for collector in store.metrics() {
        registry.register(collector).unwrap();
    }
    let mut lines = Vec::new();
    for family in registry.gather() {
        for metric in family.get_metric() {
            let labels = metric.get_label().iter();
            let labels: String = labels
                .map(|l| format!(" {}={}", l.name(), l.value()))
                .collect();
            let value = match family.get_field_type() {
                MetricType::GAUGE => metric.get_gauge().get_value(),
                _ => metric.get_counter().get_value(),
            };
            lines.push((format!("{}{labels}", family.name()), value));
        }
    }
    lines
}

/// The value of a metric, all its labels together, or of those lines that begin so.
fn counted(store: &Store, name: &str) -> f64 {
    let lines = page(store).into_iter();
    let named = lines.filter(|(line, _)| line == name || line.starts_with(&format!("{name} ")));
    named.map(|(_, value)| value).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_the_pool_and_the_schema_can_be_seen() {
    let start = || Cluster::start("dc1=1", Tls::Off, Network::Loopback);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let settings = cluster.settings("seen");
    let store = Store::cql(settings.clone()).await.unwrap();
    let needed = schema::status(&settings).await.unwrap().needed;
    let shown = |name: &str| counted(&store, name);
    let schema = "holdfast_cql_schema_version";
    assert_eq!(shown(&format!("{schema} of=program")), f64::from(needed));
    assert_eq!(shown(&format!("{schema} of=keyspace")), f64::from(needed));
    let host = cluster.addresses()[0]
        .rsplit_once(':')
        .unwrap()
        .0
        .to_owned();
    let of_node = format!("datacenter=dc1 node={host}");
    let is_connected = format!("holdfast_cql_node_connected {of_node}");
    assert_eq!(shown(&is_connected), 1.0, "{:?}", page(&store));
    assert_eq!(
        shown(&format!("holdfast_cql_node_left_alone {of_node}")),
        0.0
    );
    assert!(shown("holdfast_cql_connections") >= 1.0);

    // A newer release brings the schema further; this process sees it within a sweep.
    let newer = format!(
        "INSERT INTO seen.schema_migrations (component, version, name, needed, state) \
         VALUES ('store', {}, 'later', {needed}, 'done') IF NOT EXISTS",
        needed + 1
    );
    cluster.cql(1, &newer).unwrap();
    let line = format!("{schema} of=keyspace");
    until(|| shown(&line) == f64::from(needed + 1)).await;
    assert_eq!(shown(&format!("{schema} of=program")), f64::from(needed));

    cluster.kill(1).unwrap();
    until(|| shown(&is_connected) == 0.0 && shown("holdfast_cql_connections") == 0.0).await;
    assert_eq!(shown("holdfast_cql_nodes datacenter=dc1 state=down"), 1.0);
}

/// Waits for something to be seen.
async fn until(is_so: impl Fn() -> bool) {
    let seen = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("it is not seen");
}

/// A node that hangs: its connections stay open and nothing is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_fall_over_to_another_datacenter_only_where_they_may() {
    let start = || Cluster::start("dc1=1,dc2=1", Tls::Off, Network::Loopback);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let mut settings = cluster.settings("holdfast");
    settings.timeouts.read = Duration::from_secs(4);
    settings.timeouts.condition = Duration::from_secs(4);
    let stays = Store::cql(settings.clone()).await.unwrap();
    settings.consistency.remote_reads = true;
    let falls_over = Store::cql(settings).await.unwrap();
    let put = stays.put_pin(pin(1), Expect::Absent).await.unwrap();
    let remote = "holdfast_cql_remote_reads_total";
    assert_eq!(falls_over.pin(&cid(1)).await.unwrap().as_ref(), Some(&put));
    // A machine that is busy enough lets reads fall over by itself.
    let before = counted(&falls_over, remote);

    let home = cluster.nodes_of("dc1")[0];
    cluster.pause(home).unwrap();
    assert_eq!(falls_over.pin(&cid(1)).await.unwrap(), Some(put));
    assert!(counted(&falls_over, remote) > before);
    for result in ["launched", "won"] {
        let name = format!("holdfast_cql_speculative_total result={result}");
        assert!(counted(&falls_over, &name) >= 1.0, "{result}");
    }
    let error = stays.pin(&cid(1)).await.unwrap_err();
    assert!(error.kind().is_transient(), "{}", why(&error));
    // A write is decided at its home and nowhere else.
    let error = falls_over.put_pin(pin(2), Expect::Any).await.unwrap_err();
    assert!(error.kind().is_transient(), "{}", why(&error));

    // Connections on which nothing comes back are found out, long before the driver would by
    // itself; new ones cannot be made.
    let is_connected = "holdfast_cql_node_connected datacenter=dc1";
    timeout(FOUND_OUT, until(|| counted(&stays, is_connected) == 0.0))
        .await
        .expect("a frozen node is taken to be connected");

    cluster.resume(home).unwrap();
    let back = async {
        while stays.put_pin(pin(3), Expect::Any).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, back)
        .await
        .expect("the node is not found again");
}

/// One cluster for all of this: it takes a while to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked_on_both_sides_and_renewed_certificates_are_taken_up() {
    let start = || Cluster::start("dc1=1", Tls::Mutual, Network::Loopback);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let settings = cluster.settings("holdfast");
    let cql = open(settings.clone()).await;
    let dir = cluster.certificates().unwrap().to_owned();
    refuse_wrong_certificates(&settings, &dir).await;

    let load = Load::begin(&Store::Cql(cql.clone()));
    load.go_on().await;
    // The node does not know the new authority yet, so the new certificates are no good.
    cluster.renew_certificates().unwrap();
    let error = cql.reconfigure(settings.clone()).await.unwrap_err();
    assert!(why(&error).contains("tls.cert"), "{}", why(&error));
    load.go_on().await;
    load.end().await;

    let restart = move || {
        cluster.stop(1).unwrap();
        cluster.start_all().unwrap();
        cluster
    };
    let _cluster = tokio::task::spawn_blocking(restart).await.unwrap();
    cql.reconfigure(settings).await.unwrap();
    let load = Load::begin(&Store::Cql(cql.clone()));
    load.go_on().await;
    load.end().await;
}

async fn refuse_wrong_certificates(settings: &CqlSettings, dir: &Path) {
    let rogue = (dir.join("rogue-client.crt"), dir.join("rogue-client.key"));
    let without: [(&str, Change<'_>); 5] = [
        // Nothing but TLS is spoken there.
        ("reach the cluster", &|s| s.tls = None),
        ("tls.cert", &|s| {
            s.tls.as_mut().unwrap().client = None;
        }),
        ("tls.", &|s| {
            s.tls.as_mut().unwrap().client = Some(rogue.clone());
        }),
        ("tls.ca", &|s| {
            s.tls.as_mut().unwrap().ca = rogue.0.clone();
        }),
        ("tls.server_name", &|s| {
            s.tls.as_mut().unwrap().server_name = Some("elsewhere.example".to_owned());
        }),
    ];
    for (named, change) in without {
        let mut settings = settings.clone();
        settings.timeouts.session = Duration::from_secs(10);
        change(&mut settings);
        let error = Store::cql(settings).await.unwrap_err();
        assert!(why(&error).contains(named), "{named}: {}", why(&error));
    }
    // The certificates are for this name as well as for the address.
    let mut named = settings.clone();
    named.tls.as_mut().unwrap().server_name = Some("localhost".to_owned());
    let store = Store::cql(named).await.unwrap();
    store.close().await.unwrap();
}
