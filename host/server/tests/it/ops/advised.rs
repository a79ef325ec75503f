//! A host whose configuration plugins have a say in.

use super::host::{get, settings};
use crate::support::plugins::dist;
use holdfast::clock::Clock;
use holdfast::commands::{Host, inspect};
use holdfast::config::{self, Live, Sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const OVERLAY: &str = "config-env-overlay";
const GUARD: &str = "config-guard";

const HOSTILE: &str = "hostile-config";

/// What the host is waited for at most.
const PATIENCE: Duration = Duration::from_secs(60);

const GRANTED: &str = "[environment]\nallow = [\"HOLDFAST_OVERLAY_*\"]\n";

/// No node may have more than 20 pins under way.
const RULES: &str = "[settings]\nrules = [{ key = \"kubo.concurrency\", max = 20 }]\n";

/// What the rules forbid.
const FORBIDDEN: [(&str, &str); 1] = [("HOLDFAST_KUBO__CONCURRENCY", "64")];

/// Puts a plugin into the folder of the host that will keep its data below `dir`.
fn put(dir: &Path, plugin: &str, manifest: &str) {
    let folder = dir.join("data/plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{plugin}.toml")), manifest).unwrap();
    let wasm = format!("{plugin}.wasm");
    fs::copy(dist().join(&wasm), folder.join(wasm)).unwrap();
}

async fn start(dir: &Path, variables: &[(&str, &str)]) -> (Arc<Live>, anyhow::Result<Host>) {
    let file = dir.join("holdfast.toml");
    let variable = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let sources = Sources {
        file: Some(match file.exists() {
            true => file,
            false => settings(dir),
        }),
        environment: variables.iter().map(variable).collect(),
        ..Sources::default()
    };
    let loaded = config::load(&sources, inspect).unwrap_or_else(|problems| panic!("{problems}"));
    let live = Arc::new(Live::new(sources, inspect, loaded));
    let host = Host::start(Arc::clone(&live), &[], Clock::System, None).await;
    (live, host)
}

/// Why a host does not start.
async fn why_not_started(dir: &Path, variables: &[(&str, &str)]) -> String {
    let (_, host) = start(dir, variables).await;
    format!("{:#}", host.unwrap_err())
}

async fn start_and_stop(dir: &Path, variables: &[(&str, &str)]) {
    let (_, host) = start(dir, variables).await;
    assert!(host.unwrap().stop().await);
}

/// Has the file say how many pins may be under way.
fn write_concurrency(dir: &Path, concurrency: u64) {
    let file = settings(dir);
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "[kubo]\n",
        &format!("[kubo]\nconcurrency = {concurrency}\n"),
    );
    fs::write(&file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_lays_values_over_the_file_and_below_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    write_concurrency(dir.path(), 7);
    put(dir.path(), OVERLAY, GRANTED);
    let variables = [
        ("HOLDFAST_OVERLAY_KUBO__CONCURRENCY", "5"),
        ("HOLDFAST_OVERLAY_KUBO__ATTEMPTS_MAX", "9"),
        ("HOLDFAST_KUBO__ATTEMPTS_MAX", "3"),
    ];
    let (live, host) = start(dir.path(), &variables).await;
    let host = host.unwrap();
    let kubo = live.get().kubo.clone();
    assert_eq!((kubo.concurrency.get(), kubo.attempts_max.get()), (5, 3));
    // It was so at the start, so nothing waits for a restart.
    assert_eq!(live.waiting_for_restart(), Vec::<String>::new());
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_refuses_keeps_the_former_configuration() {
    let dir = tempfile::tempdir().unwrap();
    write_concurrency(dir.path(), 10);
    put(dir.path(), GUARD, RULES);
    let (live, host) = start(dir.path(), &[]).await;
    let host = host.unwrap();
    write_concurrency(dir.path(), 64);
    host.reload().await;
    assert_eq!(live.get().kubo.concurrency.get(), 10);
    let refused = live.reload().unwrap_err().to_string();
    assert!(
        refused.contains(GUARD) && refused.contains("kubo.concurrency"),
        "{refused}"
    );
    write_concurrency(dir.path(), 18);
    host.reload().await;
    assert_eq!(live.get().kubo.concurrency.get(), 18);
    assert!(host.stop().await);
}

/// Whatever a plugin dies of when the configuration is read again, what was good stays in force,
/// and the operator reads which plugin it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_traps_at_a_reload_keeps_the_former_configuration() {
    // Neither taken out of service for its failures nor taken back for them.
    let told = |deed: &str| {
        let calm = "[breaker]\nfailures = 1000000\n[promote]\nwatch_ms = 0\n";
        format!("[settings]\ndo = \"{deed}\"\n{calm}")
    };
    let dir = tempfile::tempdir().unwrap();
    write_concurrency(dir.path(), 10);
    put(dir.path(), HOSTILE, &told("nothing"));
    let (live, host) = start(dir.path(), &[]).await;
    let host = host.unwrap();
    let manifest = dir.path().join(format!("data/plugins/{HOSTILE}.toml"));
    // The host sees by itself that the plugin is another one.
    let reloaded = async |is_good: bool| {
        let start = Instant::now();
        loop {
            let outcome = live.reload();
            if outcome.is_ok() == is_good {
                return outcome.map_err(|problems| problems.to_string());
            }
            assert!(start.elapsed() < PATIENCE, "{outcome:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut good = 10;
    for deed in ["trap", "check-trap"] {
        fs::write(&manifest, told(deed)).unwrap();
        let why = reloaded(false).await.unwrap_err();
        assert!(why.contains("plugin hostile-config: trapped"), "{why}");
        let counted = refused(&host).await;
        write_concurrency(dir.path(), good + 1);
        host.reload().await;
        assert_eq!(live.get().kubo.concurrency.get(), good, "{deed}");
        assert!(refused(&host).await > counted);
        // Mended, it lets through what waits.
        fs::write(&manifest, told("nothing")).unwrap();
        reloaded(true).await.unwrap();
        good += 1;
        assert_eq!(live.get().kubo.concurrency.get(), good, "{deed}");
    }
    assert!(host.stop().await);
}

/// How many configurations the host has refused.
async fn refused(host: &Host) -> u64 {
    let (_, page) = get(host.ops_address(), "/metrics", "").await;
    let name = "holdfast_config_reloads_total{outcome=\"refused\"} ";
    let value = page.lines().find_map(|line| line.strip_prefix(name));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_a_plugin_refuses_or_fails_does_not_start() {
    let refused = async |plugin: &str, manifest: &str, named: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_concurrency(dir.path(), 64);
        put(dir.path(), plugin, manifest);
        let variables = [("HOLDFAST_OVERLAY_KUBO__CONCURRENCY", "many")];
        let (_, host) = start(dir.path(), &variables).await;
        let why = format!("{:#}", host.unwrap_err());
        assert!(
            why.contains(plugin) && why.contains(named),
            "{named}: {why}"
        );
    };
    // It forbids what the file says; it is granted nothing; what it is to supply makes no sense;
    // its settings are wrong.
    refused(GUARD, RULES, "kubo.concurrency").await;
    refused(OVERLAY, "", "allow = [\"HOLDFAST_OVERLAY_*\"]").await;
    refused(OVERLAY, GRANTED, "HOLDFAST_OVERLAY_KUBO__CONCURRENCY").await;
    refused(GUARD, "[settings]\nrules = 1\n", "expected a sequence").await;
}

/// A file that cannot be read does not say that it was a guard, and one that is gone says nothing:
/// the operator's configuration does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_does_not_start_without_a_plugin_that_it_requires() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        format!("{text}\n[plugins]\nrequired = [\"{GUARD}\"]\n"),
    )
    .unwrap();
    let refused = async || {
        let (_, host) = start(dir.path(), &[]).await;
        format!("{:#}", host.unwrap_err())
    };
    let why = refused().await;
    assert!(
        why.contains(GUARD) && why.contains("plugins.required") && why.contains("nothing in"),
        "{why}"
    );
    put(dir.path(), GUARD, RULES);
    let wasm = dir.path().join(format!("data/plugins/{GUARD}.wasm"));
    let whole = fs::read(&wasm).unwrap();
    fs::write(&wasm, &whole[..whole.len() / 2]).unwrap();
    let why = refused().await;
    assert!(
        why.contains("plugins.required") && why.contains("is a broken WebAssembly component"),
        "{why}"
    );
    fs::write(&wasm, &whole).unwrap();
    let (_, host) = start(dir.path(), &[]).await;
    assert!(host.unwrap().stop().await);
}

/// The component as the host keeps it, of the one plugin that serves.
fn kept(dir: &Path) -> PathBuf {
    let mut packages = fs::read_dir(dir.join("data/plugins-state/packages")).unwrap();
    let package = packages.next().unwrap().unwrap().path();
    assert!(packages.next().is_none(), "more than one package is kept");
    package.join("plugin.wasm")
}

/// Leaves the first half of a component: of which kind it was cannot be told from that.
fn halve(wasm: &Path) {
    let whole = fs::read(wasm).unwrap();
    fs::write(wasm, &whole[..whole.len() / 2]).unwrap();
}

/// What served is known beyond a restart: whoever spoils a guard does not get a host without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_does_not_start_without_a_guard_that_served_before() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, GUARD, RULES);
    let wasm = dir.join(format!("data/plugins/{GUARD}.wasm"));
    let whole = fs::read(&wasm).unwrap();
    start_and_stop(dir, &[]).await;
    let guards = async || {
        let why = why_not_started(dir, &FORBIDDEN).await;
        assert!(
            why.contains(GUARD) && why.contains("kubo.concurrency"),
            "{why}"
        );
    };
    // While only the folder's file is spoilt, the one that the host kept guards.
    halve(&wasm);
    guards().await;
    halve(&kept(dir));
    // Twice: what one start misses is not forgotten by the next.
    for _ in 0..2 {
        let why = why_not_started(dir, &[]).await;
        let said = format!("config plugin {GUARD}: {GUARD}.wasm is a broken WebAssembly component");
        assert!(
            why.starts_with(&said) && why.contains("copy or build it again"),
            "{why}"
        );
    }
    // Mended, it guards again, and does not keep the host from starting.
    fs::write(&wasm, &whole).unwrap();
    guards().await;
    start_and_stop(dir, &[]).await;
    // Whoever takes its file away means it, and what comes after has never served.
    fs::remove_file(&wasm).unwrap();
    start_and_stop(dir, &FORBIDDEN).await;
    fs::write(&wasm, &whole[..whole.len() / 2]).unwrap();
    start_and_stop(dir, &FORBIDDEN).await;
}

/// A guard that nobody vouches for is not left out but missed, whether it ever served or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_requires_signatures_does_not_start_with_an_unsigned_guard() {
    let required = [("HOLDFAST_PLUGINS__REQUIRE_SIGNATURES", "true")];
    let dir = tempfile::tempdir().unwrap();
    // What only prices is left out, and keeps no host from starting.
    put(dir.path(), "pricing-tiered", "");
    start_and_stop(dir.path(), &required).await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, GUARD, RULES);
    let refused = async || {
        let why = why_not_started(dir, &required).await;
        let said = format!("config plugin {GUARD}: {GUARD}.sig is missing");
        assert!(
            why.starts_with(&said)
                && why.contains("holdfast plugin sign")
                && why.contains("plugins.require_signatures = false"),
            "{why}"
        );
    };
    refused().await;
    start_and_stop(dir, &[]).await;
    refused().await;
    // Nor is what the host kept of it taken, which is as unsigned.
    halve(&dir.join(format!("data/plugins/{GUARD}.wasm")));
    refused().await;
}
