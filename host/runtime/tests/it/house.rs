//! What the tests stand on: built components, a folder, and calls.

use holdfast_model::usage::Operations;
use holdfast_model::{
    AccountId, Action, Cid, Currency, Money, Period, PrincipalId, Role, Roles, TenantId,
    UnixMillis, Usage,
};
use holdfast_runtime::attack::Kit;
use holdfast_runtime::{
    AuthorizeCall, Heard, Invoice, JobsConfig, PluginError, PluginInfo, Plugins, PluginsConfig,
    Progress, Quote, QuoteCall, QuoteLine, Verdict,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// Longer than any load takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A plugins folder and the door to it.
pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) plugins: Plugins,
}

impl House {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A folder with something in it before it is opened.
    pub(crate) fn with(fill: impl FnOnce(&Path)) -> Self {
        Self::open(PluginsConfig::default(), fill)
    }

    /// An empty folder, and code kept from one run of the tests to the next: an interpreter takes
    /// half a minute to compile.
    pub(crate) fn cached() -> Self {
        let config = PluginsConfig {
            cache: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins-cache")),
            ..PluginsConfig::default()
        };
        Self::open(config, |_| {})
    }

    /// An empty folder, in a program that was started with these variables.
    pub(crate) fn in_environment(variables: &[(&str, &str)]) -> Self {
        let jobs = JobsConfig {
            environment: Arc::new(pairs(variables)),
            ..JobsConfig::default()
        };
        let config = PluginsConfig {
            jobs,
            ..PluginsConfig::default()
        };
        Self::open(config, |_| {})
    }

    fn open(config: PluginsConfig, fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let plugins = Plugins::open(PluginsConfig {
            dir: dir.path().to_owned(),
            ..config
        })
        .unwrap();
        Self { dir, plugins }
    }

    /// Puts a component under a name, by rename as an installer does, and takes it in.
    pub(crate) fn install(&self, component: &str, name: &str, manifest: &str) -> PluginInfo {
        put(self.dir.path(), component, name, manifest);
        self.plugins.rescan();
        self.last(name)
    }

    /// What is listed last under a name: the refusal, if its newest file was refused.
    pub(crate) fn last(&self, name: &str) -> PluginInfo {
        let infos = self.plugins.list();
        infos.into_iter().rfind(|info| info.name == name).unwrap()
    }

    /// A quote for a small usage.
    pub(crate) fn quote(&self) -> Result<Quote, PluginError> {
        self.quote_for(&usage(2_592_000_000_000, Operations::default()))
    }

    /// A quote for some usage.
    pub(crate) fn quote_for(&self, usage: &Usage) -> Result<Quote, PluginError> {
        let account = account();
        self.plugins.quote(&QuoteCall {
            account: &account,
            tenant: account.tenant(),
            attributes: &BTreeMap::new(),
            usage,
        })
    }
}

/// A call to ask authorizers about.
pub(crate) struct Ask {
    pub(crate) action: Action,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) meta: Option<BTreeMap<String, String>>,
    pub(crate) cid: Option<Cid>,
    pub(crate) request_count: u64,
    pub(crate) pinned_bytes: u128,
    pub(crate) dag_size: Option<u64>,
    pub(crate) time: UnixMillis,
}

impl Ask {
    /// A new request by a tenant with these attributes.
    pub(crate) fn new(attributes: &[(&str, &str)]) -> Self {
        Self {
            action: Action::CreateRequest,
            attributes: pairs(attributes),
            meta: None,
            cid: None,
            request_count: 0,
            pinned_bytes: 0,
            dag_size: None,
            time: UnixMillis::EPOCH,
        }
    }

    /// Asks.
    pub(crate) fn of(&self, plugins: &Plugins) -> Result<Verdict, PluginError> {
        self.put(|call| plugins.authorize(call))
    }

    /// Asks, and listens to who says what.
    pub(crate) fn heard(
        &self,
        plugins: &Plugins,
        heard: &mut Vec<Heard>,
    ) -> Result<Verdict, PluginError> {
        self.put(|call| plugins.authorize_heard(call, heard))
    }

    fn put<T>(&self, ask: impl FnOnce(&AuthorizeCall<'_>) -> T) -> T {
        ask(&AuthorizeCall {
            action: self.action,
            principal: &PrincipalId::of_worker("test"),
            roles: Roles::NONE.with(Role::TenantUser),
            account: &account(),
            attributes: &self.attributes,
            cid: self.cid,
            meta: self.meta.as_ref(),
            request_count: self.request_count,
            pinned_bytes: self.pinned_bytes,
            dag_size: self.dag_size,
            time: self.time,
        })
    }
}

/// The sum of a metric's series.
pub(crate) fn gauge(plugins: &Plugins, name: &str) -> f64 {
    plugins
        .metrics()
        .iter()
        .flat_map(|collector| collector.collect())
        .filter(|family| family.name() == name)
        .flat_map(|family| family.get_metric().to_vec())
        .map(|metric| metric.get_gauge().get_value())
        .sum()
}

/// Waits for what other threads do.
pub(crate) fn wait_for(patience: Duration, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "it never came");
        std::thread::yield_now();
    }
}

/// A map of texts.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// The account of all calls.
pub(crate) fn account() -> AccountId {
    AccountId::new(&TenantId::parse("acme").unwrap(), "web").unwrap()
}

/// Usage over a January.
pub(crate) fn usage(byte_seconds: u128, operations: Operations) -> Usage {
    Usage {
        period: Period {
            start: UnixMillis::parse("2026-01-01T00:00:00Z").unwrap(),
            end: UnixMillis::parse("2026-02-01T00:00:00Z").unwrap(),
        },
        byte_millis: byte_seconds * 1_000,
        level_bytes: 0,
        operations,
    }
}

/// Why a plugin failed; panics if it did not.
pub(crate) fn why<T: std::fmt::Debug>(result: Result<T, PluginError>) -> String {
    match result {
        Err(PluginError::Failed { why, .. }) => why,
        other => panic!("did not fail: {other:?}"),
    }
}

/// What a metric of the runtime counts, over all series that have a label with this value; over all
/// series for an empty one.
pub(crate) fn counted(plugins: &Plugins, metric: &str, label: &str) -> u64 {
    let collectors = plugins.metrics();
    let families = collectors.iter().flat_map(|collector| collector.collect());
    let metrics = families
        .filter(|family| family.name() == metric)
        .flat_map(|family| family.get_metric().to_vec());
    let wanted = metrics.filter(|series| {
        label.is_empty() || series.get_label().iter().any(|pair| pair.value() == label)
    });
    // One of the two is zero.
    let values = |series: prometheus::proto::Metric| {
        let (counter, gauge) = (series.get_counter(), series.get_gauge());
        [counter.get_value(), gauge.get_value()]
    };
    wanted.flat_map(values).sum::<f64>() as u64
}

/// A manifest that tells a hostile component what to do.
pub(crate) fn told(deed: &str) -> String {
    format!("[settings]\ndo = \"{deed}\"\n")
}

/// Puts a component and its manifest into a folder.
pub(crate) fn put(dir: &Path, component: &str, name: &str, manifest: &str) {
    put_bytes(dir, &component_bytes(component), name, manifest);
}

/// Puts a file and its manifest into a folder, by rename as an installer does.
pub(crate) fn put_bytes(dir: &Path, wasm: &[u8], name: &str, manifest: &str) {
    let place = |file: String, bytes: &[u8]| {
        let beside = dir.join(format!(".{file}.tmp"));
        fs::write(&beside, bytes).unwrap();
        fs::rename(beside, dir.join(file)).unwrap();
    };
    place(format!("{name}.toml"), manifest.as_bytes());
    place(format!("{name}.wasm"), wasm);
}

/// The component with a custom section at its end: another file, and the same plugin.
pub(crate) fn variant(component: &str, mark: u8) -> Vec<u8> {
    let mut bytes = component_bytes(component);
    bytes.extend([0, 3, 1, b'v', mark]);
    bytes
}

/// SHA-256 in hex, as plugins are listed with it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A built component.
pub(crate) fn component_bytes(component: &str) -> Vec<u8> {
    fs::read(dist().join(format!("{component}.wasm"))).unwrap()
}

/// The hostile kit.
pub(crate) fn kit() -> Kit {
    Kit::read(dist()).unwrap()
}

/// Where the built components are. They are built if one is missing or older than what it is built
/// from; the lock is for test binaries that run side by side.
pub(crate) fn dist() -> &'static Path {
    static DIST: OnceLock<PathBuf> = OnceLock::new();
    DIST.get_or_init(|| {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let dist = plugins.join("dist");
        fs::create_dir_all(&dist).unwrap();
        let lock = File::create(dist.join(".lock")).unwrap();
        lock.lock().unwrap();
        let newest_source = [plugins.clone(), plugins.join("../wit")]
            .iter()
            .filter_map(|root| newest(root))
            .max();
        let is_built = |name: &&str| {
            let built = modified(&dist.join(format!("{name}.wasm")));
            built.is_some() && built >= newest_source
        };
        if !COMPONENTS.iter().all(is_built) {
            let built = Command::new(plugins.join("build")).status().unwrap();
            assert!(built.success(), "plugins/build failed");
        }
        dist
    })
}

const COMPONENTS: &[&str] = &[
    "authorizer-quota",
    "authorizer-time-window",
    "config-env-overlay",
    "config-guard",
    "frozen-1-0-0-authorizer",
    "frozen-1-0-0-config",
    "frozen-1-0-0-payment",
    "frozen-1-0-0-pricing",
    "hostile-authorizer",
    "hostile-config",
    "hostile-payment",
    "hostile-pricing",
    "payment-webhook",
    "pricing-per-operation",
    "pricing-tiered",
    "pricing-volume-discount",
];

/// When the newest source below a folder was written.
pub(crate) fn newest(folder: &Path) -> Option<SystemTime> {
    fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let is_output = ["target", "dist", "node_modules", "venv"]
                .iter()
                .any(|name| path.ends_with(name));
            let is_source = path.extension().is_some_and(|end| {
                ["rs", "toml", "wit", "lock", "json", "js", "py"]
                    .iter()
                    .any(|source| end == *source)
            });
            match path.is_dir() {
                true if is_output => None,
                true => newest(&path),
                false if is_source => modified(&path),
                false => None,
            }
        })
        .max()
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// An invoice over twelve and a half euros.
pub(crate) fn invoice() -> Invoice {
    let amount = Money {
        micros: 12_500_000,
        currency: Currency::parse("EUR").unwrap(),
    };
    Invoice {
        id: "2026-01-acme".into(),
        account: account(),
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

/// The first attempt at it.
pub(crate) fn progress() -> Progress {
    Progress {
        attempt: 1,
        idempotency_key: "key-2026-01-acme".into(),
        memo: String::new(),
        time: UnixMillis::parse("2026-02-02T00:00:00Z").unwrap(),
    }
}

/// Runs a test that is marked as ignored, alone in a process of its own.
pub(crate) fn passes_in_a_process_of_its_own(test: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&child.stderr)
    );
}
