//! The queue of payments: whatever becomes of plugins, of collectors and of this host, an invoice
//! is collected in the end, and once.

#[cfg(test)]
mod rating;

use crate::support::plugins::dist;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use holdfast::aside::Aside;
use holdfast::billing::collecting::{CollectMetrics, Collecting, CollectingError, Standing};
use holdfast::clock::Clock;
use holdfast_model::{AccountId, Currency, Money, Period, UnixMillis};
use holdfast_runtime::{Invoice, JobsConfig, Plugins, PluginsConfig, QuoteLine};
use parking_lot::Mutex;
use prometheus::Registry;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The name under which payment plugins are installed.
const PLUGIN: &str = "pay";

/// Somebody who collects, and remembers what and by which keys.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    keys: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<StatusCode>>,
}

impl Collector {
    async fn start(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            keys: Arc::default(),
            bodies: Arc::default(),
            status: Arc::new(Mutex::new(status)),
        };
        let of = collector.clone();
        let pay = move |headers: HeaderMap, body: String| async move {
            let key = headers["idempotency-key"].to_str().unwrap().to_owned();
            of.keys.lock().push(key);
            of.bodies.lock().push(body);
            (
                *of.status.lock(),
                r#"{"reference": "r-1", "message": "no card"}"#,
            )
        };
        let router = Router::new().route("/pay", post(pay));
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    /// A manifest that sends invoices here.
    fn manifest(&self) -> String {
        let port = self.address.port();
        format!(
            "[settings]\nurl = \"http://127.0.0.1:{port}/pay\"\n\
             [[egress]]\nscheme = \"http\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             methods = [\"POST\"]\npath_prefix = \"/pay\"\nallow_private = [\"127.0.0.1\"]\n\
             secrets = {{ authorization = \"Bearer {{env:PAY_KEY}}\" }}\n"
        )
    }
}

/// A queue and the plugins that it goes to.
struct Till {
    dir: TempDir,
    plugins: Arc<Plugins>,
    aside: Aside,
    millis: Arc<AtomicU64>,
    open: Option<Open>,
}

/// The queue at work.
struct Open {
    collecting: Collecting,
    registry: Registry,
    _work: AbortOnDropHandle<()>,
}

impl Till {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("plugins");
        let environment = BTreeMap::from([("PAY_KEY".to_owned(), "s3cret".to_owned())]);
        let plugins = tokio::task::spawn_blocking(move || {
            Plugins::open(PluginsConfig {
                dir: folder,
                jobs: JobsConfig {
                    environment: Arc::new(environment),
                    ..JobsConfig::default()
                },
                ..PluginsConfig::default()
            })
        });
        let mut till = Self {
            dir,
            plugins: Arc::new(plugins.await.unwrap().unwrap()),
            aside: Aside::start().unwrap(),
            millis: Arc::new(AtomicU64::new(1_000_000)),
            open: None,
        };
        till.reopen().await;
        till
    }

    /// Ends the queue, as a host does that stops, and opens it again.
    async fn reopen(&mut self) {
        self.open = None;
        // What was under way is given up a moment after its task is dropped.
        let start = Instant::now();
        let (collecting, registry) = loop {
            let metrics = CollectMetrics::new().unwrap();
            let registry = Registry::new();
            for collector in metrics.collectors() {
                registry.register(collector).unwrap();
            }
            let clock = Clock::Manual(Arc::clone(&self.millis));
            match Collecting::open(&self.dir.path().join("payments"), clock, metrics) {
                Ok(collecting) => break (collecting, registry),
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let (plugins, aside) = (Arc::clone(&self.plugins), self.aside.clone());
        let work = tokio::spawn(collecting.clone().run(plugins, aside));
        self.open = Some(Open {
            collecting,
            registry,
            _work: AbortOnDropHandle::new(work),
        });
    }

    fn collecting(&self) -> &Collecting {
        &self.open.as_ref().unwrap().collecting
    }

    /// Moves the clock on.
    fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    async fn install(&self, component: &str, manifest: &str) {
        self.install_as(PLUGIN, component, manifest).await;
    }

    async fn install_as(&self, name: &'static str, component: &str, manifest: &str) {
        let (folder, plugins) = (self.dir.path().join("plugins"), Arc::clone(&self.plugins));
        let (from, manifest) = (
            dist().join(format!("{component}.wasm")),
            manifest.to_owned(),
        );
        let installed = tokio::task::spawn_blocking(move || {
            fs::write(folder.join(format!("{name}.toml")), manifest).unwrap();
            fs::copy(from, folder.join(".new")).unwrap();
            fs::rename(folder.join(".new"), folder.join(format!("{name}.wasm"))).unwrap();
            plugins.rescan();
            let infos = plugins.list();
            infos.into_iter().rfind(|info| info.name == name).unwrap()
        });
        let info = installed.await.unwrap();
        assert_eq!((info.state.as_str(), info.error), ("live", None));
    }

    /// Waits until an invoice stands as it should.
    async fn until(&self, id: &str, is_there: impl Fn(&Standing) -> bool) -> Standing {
        let start = Instant::now();
        loop {
            let standing = self.collecting().standing(id).await.unwrap();
            if is_there(&standing) {
                return standing;
            }
            assert!(start.elapsed() < PATIENCE, "{standing:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The same while time goes by: an attempt that was under way may fail once more.
    async fn until_later(&self, id: &str, is_there: impl Fn(&Standing) -> bool) -> Standing {
        let hour_by_hour = |standing: &Standing| {
            self.pass(Duration::from_secs(3_600));
            is_there(standing)
        };
        self.until(id, hour_by_hour).await
    }

    /// A metric once it has come to a value: it is counted after an invoice is kept.
    async fn counted(&self, name: &str, labels: &[&str], at_least: f64) -> f64 {
        let start = Instant::now();
        loop {
            let now = self.metric(name, labels);
            if now >= at_least {
                return now;
            }
            assert!(start.elapsed() < PATIENCE, "{name} {labels:?} is {now}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let families = self.open.as_ref().unwrap().registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        let metric = family.get_metric().iter().find(|metric| {
            let pairs = metric.get_label();
            let has = |label: &&str| pairs.iter().any(|pair| pair.value() == *label);
            labels.iter().all(has)
        });
        let metric = metric.unwrap();
        // One of the two is zero.
        let (counter, gauge) = (metric.get_counter(), metric.get_gauge());
        counter.get_value().max(gauge.get_value())
    }
}

fn invoice(id: &str) -> Invoice {
    let amount = Money {
        micros: 12_500_000,
        currency: Currency::parse("EUR").unwrap(),
    };
    Invoice {
        id: id.to_owned(),
        account: AccountId::parse("acme/web").unwrap(),
        attributes: BTreeMap::new(),
        period: Period {
            start: UnixMillis::parse("2026-01-01T00:00:00Z").unwrap(),
            end: UnixMillis::parse("2026-02-01T00:00:00Z").unwrap(),
        },
        lines: vec![QuoteLine {
            item: "storage".into(),
            explanation: "500 GB for a month".into(),
            quantity: 500,
            unit: "gb-month".into(),
            amount,
        }],
        total: amount,
        due: UnixMillis::parse("2026-02-15T00:00:00Z").unwrap(),
    }
}

fn is_paid(standing: &Standing) -> bool {
    matches!(standing, Standing::Collected { reference, .. } if reference == "r-1")
}

/// Waits for so many failures in a row, and answers the last.
fn failed(times: u32) -> impl Fn(&Standing) -> bool {
    move |standing| matches!(standing, Standing::Waiting(wait) if wait.failures >= times)
}

/// Whether it waits to be collected, for this reason.
fn waits_for(cause: &str) -> impl Fn(&Standing) -> bool {
    move |standing| matches!(standing, Standing::Waiting(wait) if wait.why.contains(cause))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_outlives_a_plugin_that_traps_and_a_restart_and_is_collected_once() {
    let collector = Collector::start(StatusCode::OK).await;
    let mut till = Till::new().await;
    till.install("hostile-payment", "[settings]\ndo = \"trap\"\n")
        .await;
    till.collecting()
        .hand_in(PLUGIN, invoice("inv-1"))
        .await
        .unwrap();
    let standing = till.until("inv-1", failed(1)).await;
    let Standing::Waiting(wait) = standing else {
        panic!("{standing:?}");
    };
    assert!(wait.is_plugins_fault);
    assert_eq!(wait.why, "plugin pay: trapped: it panicked or aborted");
    let counted = till
        .counted("holdfast_billing_invoices", &["waiting"], 1.0)
        .await;
    assert_eq!(counted, 1.0);
    // Before its time it is not tried; then it is, and its wait doubles.
    till.pass(Duration::from_secs(5));
    till.until("inv-1", failed(2)).await;
    let counted = till
        .counted(
            "holdfast_billing_attempts_total",
            &["payment", "plugin_failed"],
            2.0,
        )
        .await;
    assert_eq!(counted, 2.0);
    till.reopen().await;
    till.install("payment-webhook", &collector.manifest()).await;
    // The clock stands still: it is the other plugin that has it tried.
    till.until("inv-1", is_paid).await;
    let again = till
        .collecting()
        .hand_in(PLUGIN, invoice("inv-1"))
        .await
        .unwrap();
    assert!(is_paid(&again), "{again:?}");
    till.reopen().await;
    till.pass(Duration::from_secs(86_400));
    let again = till
        .collecting()
        .hand_in(PLUGIN, invoice("inv-1"))
        .await
        .unwrap();
    assert!(is_paid(&again), "{again:?}");
    // Another invoice shows that the worker has been by.
    till.collecting()
        .hand_in(PLUGIN, invoice("inv-2"))
        .await
        .unwrap();
    till.until("inv-2", is_paid).await;
    let keys = collector.keys.lock().clone();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_ne!(keys[0], keys[1]);
    let counted = till
        .counted("holdfast_billing_invoices", &["collected"], 2.0)
        .await;
    assert_eq!(counted, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_breaker_refuses_or_nobody_collects_waits() {
    let collector = Collector::start(StatusCode::OK).await;
    let till = Till::new().await;
    till.collecting()
        .hand_in(PLUGIN, invoice("inv-1"))
        .await
        .unwrap();
    let standing = till.until("inv-1", failed(1)).await;
    assert!(waits_for("no payment component")(&standing), "{standing:?}");
    let manifest = "[settings]\ndo = \"trap\"\n[breaker]\nfailures = 1\nopen_ms = 600000\n\
                    [promote]\nwatch_ms = 0\n";
    till.install("hostile-payment", manifest).await;
    // It is tried as soon as there is a plugin; that one traps, which opens its breaker.
    till.until("inv-1", waits_for("trapped")).await;
    till.until_later("inv-1", waits_for("out of service")).await;
    till.counted(
        "holdfast_billing_attempts_total",
        &["payment", "not_asked"],
        2.0,
    )
    .await;
    till.install("payment-webhook", &collector.manifest()).await;
    till.until("inv-1", is_paid).await;
    assert_eq!(collector.keys.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_is_asked_again_by_the_same_key_and_a_declined_one_by_hand() {
    let collector = Collector::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let till = Till::new().await;
    till.install("payment-webhook", &collector.manifest()).await;
    till.collecting()
        .hand_in(PLUGIN, invoice("inv-1"))
        .await
        .unwrap();
    for failures in 1..=3 {
        till.until("inv-1", failed(failures)).await;
        till.pass(Duration::from_secs(60));
    }
    *collector.status.lock() = StatusCode::PAYMENT_REQUIRED;
    let is_declined = |standing: &Standing| matches!(standing, Standing::Declined { why, .. } if why == "no card");
    till.until_later("inv-1", is_declined).await;
    *collector.status.lock() = StatusCode::OK;
    // What came of the attempt is on the disk a moment before the next one may begin.
    let start = Instant::now();
    while let Err(busy) = till.collecting().retry("inv-1").await {
        assert!(start.elapsed() < PATIENCE, "{busy}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    till.until_later("inv-1", is_paid).await;
    let keys = collector.keys.lock().clone();
    assert!(
        keys.len() >= 5 && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
    assert!(
        till.collecting().retry("inv-1").await.is_err(),
        "it is paid"
    );
    assert!(is_paid(&till.collecting().forget("inv-1").await.unwrap()));
    let gone = till.collecting().standing("inv-1").await;
    assert!(
        matches!(gone, Err(CollectingError::NotFound(_))),
        "{gone:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_told_and_what_is_broken_stays() {
    let mut till = Till::new().await;
    let refusal = |taken: Result<Standing, CollectingError>| taken.unwrap_err().to_string();
    till.collecting()
        .hand_in(PLUGIN, invoice("inv-1"))
        .await
        .unwrap();
    let other = Invoice {
        due: UnixMillis::EPOCH,
        ..invoice("inv-1")
    };
    let told = refusal(till.collecting().hand_in(PLUGIN, other).await);
    assert!(told.contains("its own id"), "{told}");
    let empty = Invoice {
        lines: Vec::new(),
        ..invoice("inv-2")
    };
    let told = refusal(till.collecting().hand_in(PLUGIN, empty).await);
    assert!(told.contains("sum up"), "{told}");
    let told = refusal(till.collecting().forget("inv-1").await);
    assert!(told.contains("not paid"), "{told}");
    let payments = till.dir.path().join("payments");
    let clock = Clock::Manual(Arc::clone(&till.millis));
    let second = Collecting::open(&payments, clock, CollectMetrics::new().unwrap());
    assert!(second.unwrap_err().to_string().contains("another process"));
    let mut files = fs::read_dir(&payments)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .unwrap();
    till.until("inv-1", failed(1)).await;
    till.open = None;
    fs::write(&file, "half of").unwrap();
    till.reopen().await;
    let told = refusal(till.collecting().hand_in(PLUGIN, invoice("inv-1")).await);
    assert!(told.contains("what was paid"), "{told}");
    assert_eq!(fs::read(&file).unwrap(), b"half of");
}
