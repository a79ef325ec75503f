//! The whole host: starts, tells how it fares, takes other settings, stops.

use holdfast::clock::Clock;
use holdfast::commands::{Host, Role, inspect};
use holdfast::config::{self, Live, Sources};
use holdfast_model::{Tenant, TenantId, UnixMillis};
use holdfast_store::Store;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "0123456789abcdefghijklmnopqrstuv";

/// What the host is waited for at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for a host of its own: any port, no Kubo node, everything below `dir`.
pub(super) fn settings(dir: &Path) -> PathBuf {
    let file = dir.join("holdfast.toml");
    let text = format!(
        "data = '{}'\n[server]\nlisten = '127.0.0.1:0'\n[ops]\nlisten = '127.0.0.1:0'\n\
         [kubo]\napi = ['http://127.0.0.1:9']\n[auth]\nbootstrap_admin_key = '{KEY}'\n",
        dir.join("data").display(),
    );
    std::fs::write(&file, text).unwrap();
    file
}

pub(super) async fn start(file: &Path, roles: &[Role]) -> Host {
    let sources = Sources {
        file: Some(file.to_path_buf()),
        ..Sources::default()
    };
    let loaded = config::load(&sources, inspect).unwrap_or_else(|problems| panic!("{problems}"));
    let live = Arc::new(Live::new(sources, inspect, loaded));
    Host::start(live, roles, Clock::System, None).await.unwrap()
}

/// Status and body.
pub(super) async fn get(address: SocketAddr, path: &str, key: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

/// Waits until the metrics page has a line.
async fn metric(host: &Host, line: &str) {
    let begun = Instant::now();
    loop {
        let (_, page) = get(host.ops_address(), "/metrics", "").await;
        if page.lines().any(|l| l == line) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{line}\nis not in\n{page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_starts_tells_how_it_fares_and_keeps_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path());
    let host = start(&file, &[]).await;
    let (status, body) = get(host.ops_address(), "/health/ready", "").await;
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &report["status"]),
        (200, &Value::from("degraded")),
        "{report}"
    );
    for part in ["store", "policies", "audit", "workers"] {
        assert_eq!(report["checks"][part]["ok"], true, "{part}: {report}");
    }
    assert_eq!(report["checks"]["kubo"]["ok"], false);
    assert_eq!(get(host.ops_address(), "/health/live", "").await.0, 200);
    let address = host.address().unwrap();
    let (status, who) = get(address, "/v1/whoami", KEY).await;
    assert_eq!(status, 200, "{who}");
    assert!(who.contains("default/admin"), "{who}");
    assert_eq!(
        get(address, "/v1/whoami", "another-key-of-enough-length")
            .await
            .0,
        401
    );
    assert_eq!(get(address, "/v1/plugins", KEY).await.0, 200);
    let (_, page) = get(host.ops_address(), "/metrics", "").await;
    for area in [
        "api", "store", "policy", "plugin", "work", "kubo", "audit", "identity", "ops", "config",
    ] {
        assert!(
            page.contains(&format!("holdfast_{area}")),
            "{area} is not in\n{page}"
        );
    }
    assert!(host.stop().await);
    let audit = std::fs::read_to_string(dir.path().join("data/audit.jsonl")).unwrap();
    for words in [
        "\"outcome\":\"deny\",\"status\":401",
        "\"action\":\"listPlugins\"",
    ] {
        assert!(audit.contains(words), "{words} is not in\n{audit}");
    }
    assert_eq!(
        first_keys(dir.path()),
        [("intent", "begun"), ("outcome", "allow")].map(of_text)
    );

    // The same data, another first key: the one that was made stays, the other opens nothing.
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace(KEY, "never-seen-before-by-this-store");
    std::fs::write(&file, text).unwrap();
    let host = start(&file, &[]).await;
    assert_eq!(get(host.address().unwrap(), "/v1/whoami", KEY).await.0, 200);
    let other = get(
        host.address().unwrap(),
        "/v1/whoami",
        "never-seen-before-by-this-store",
    )
    .await;
    assert_eq!(other.0, 401);
    assert!(host.stop().await);
    assert_eq!(first_keys(dir.path()).len(), 2, "nothing was made again");
}

/// Without a first key a host may have tenants, made by somebody of an issuer's; whoever sets one
/// then gets an administrator all the same, and that is to be known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_key_is_recorded_wherever_it_is_made_and_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let acme = Tenant {
        id: TenantId::parse("acme").unwrap(),
        created: UnixMillis::EPOCH,
        attributes: BTreeMap::new(),
    };
    let store = Store::embedded(&dir.path().join("data/store"))
        .await
        .unwrap();
    store.put_tenant(acme).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let file = settings(dir.path());
    for asked in [1, 0] {
        let host = start(&file, &[]).await;
        let asked = format!(
            "holdfast_store_operations_total{{operation=\"add_first_key\",outcome=\"ok\"}} {asked}"
        );
        metric(&host, &asked).await;
        assert_eq!(get(host.address().unwrap(), "/v1/whoami", KEY).await.0, 200);
        assert!(host.stop().await);
        assert_eq!(
            first_keys(dir.path()),
            [("intent", "begun"), ("outcome", "allow")].map(of_text)
        );
    }
}

fn of_text((kind, outcome): (&str, &str)) -> (String, String) {
    (kind.to_owned(), outcome.to_owned())
}

/// What the audit log has of keys that the host made by itself, as kinds and outcomes.
fn first_keys(dir: &Path) -> Vec<(String, String)> {
    let log = std::fs::read_to_string(dir.join("data/audit.jsonl")).unwrap();
    let lines = log.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let made = lines.filter(|line| line["actor"]["id"] == "system:bootstrap");
    made.map(|line| {
        assert_eq!(
            (&line["action"], &line["tenant"]),
            (&"createKey".into(), &"".into())
        );
        assert!(!line.to_string().contains(KEY), "{line}");
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("kind"), text("outcome"))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_files_are_noticed_and_bad_ones_disturb_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path());
    let good = std::fs::read_to_string(&file).unwrap();
    let host = start(&file, &[]).await;
    std::fs::write(&file, format!("{good}nonsense = 1\n")).unwrap();
    metric(
        &host,
        "holdfast_config_reloads_total{outcome=\"refused\"} 1",
    )
    .await;
    assert_eq!(get(host.address().unwrap(), "/v1/whoami", KEY).await.0, 200);
    std::fs::write(&file, format!("{good}[log]\nlevel = 'debug'\n")).unwrap();
    metric(&host, "holdfast_config_reloads_total{outcome=\"done\"} 1").await;
    host.reload().await;
    metric(&host, "holdfast_config_reloads_total{outcome=\"done\"} 2").await;
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_alone_answers_no_calls_and_takes_no_port_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(&settings(dir.path()), &[Role::Worker]).await;
    assert!(host.address().is_none());
    assert_eq!(get(host.ops_address(), "/health/ready", "").await.0, 200);
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_host_on_the_same_address_ends_before_it_touches_data() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path());
    let host = start(&file, &[]).await;
    let other = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(settings(other.path())).unwrap();
    let taken = host.address().unwrap();
    let text = text.replacen("127.0.0.1:0", &taken.to_string(), 1);
    let file = other.path().join("holdfast.toml");
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let loaded = config::load(&sources, inspect).unwrap_or_else(|problems| panic!("{problems}"));
    let live = Arc::new(Live::new(sources, inspect, loaded));
    let refused = Host::start(live, &[], Clock::System, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&format!("port {}", taken.port())),
        "{refused}"
    );
    assert!(!other.path().join("data").exists());
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flame_graph_is_drawn_where_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path());
    let host = start(&file, &[]).await;
    let path = "/debug/pprof/flamegraph?seconds=1";
    // Something to be met at: a timer counts the processor's time and not the clock's.
    let busy = tokio::spawn(async move {
        let address = host.ops_address();
        let drawing = tokio::spawn(async move { get(address, path, "").await });
        while !drawing.is_finished() {
            get(address, "/metrics", "").await;
        }
        (host, drawing.await.unwrap())
    });
    let (host, (status, svg)) = busy.await.unwrap();
    assert_eq!(status, 200, "{svg}");
    assert!(svg.contains("<svg") && svg.contains("tokio"), "{svg}");
    let asked = "/debug/pprof/flamegraph?seconds=0";
    assert_eq!(get(host.ops_address(), asked, "").await.0, 400);
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[ops]\n", "[ops]\nprofiling = false\n");
    std::fs::write(&file, text).unwrap();
    host.reload().await;
    let (status, why) = get(host.ops_address(), path, "").await;
    assert_eq!(status, 404, "{why}");
    assert!(host.stop().await);
}
