//! A whole host in this process, on a random port, and a client for it.

use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use holdfast::api::{ApiMetrics, Settings, router};
use holdfast::app::App;
use holdfast::aside::Aside;
use holdfast::clock::Clock;
use holdfast::identity::jwt::Issuers;
use holdfast::identity::{Authenticator, Identity, keys};
use holdfast::ops::audit::{Audit, AuditSettings, Auditor, AuditorSettings, Notary};
use holdfast::ops::listen::{Bounds, Listener};
use holdfast::policies::Policies;
use holdfast::workers::metrics::WorkMetrics;
use holdfast::workers::peers::Peers;
use holdfast_model::{AccountId, Origin, Role};
use holdfast_policy::{Gate, GateSettings};
use holdfast_runtime::{Plugins, PluginsConfig, SigningKey};
use holdfast_store::Store;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The one address that this host hands out.
pub(crate) const DELEGATE: &str =
    "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";

/// What a test may want otherwise.
pub(crate) struct Options {
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) embedded: bool,
    /// A store that is there already, in the place of both.
    pub(crate) store: Option<Store>,
    pub(crate) identity: Identity,
    pub(crate) issuers: Issuers,
    /// How long a request's head may take to arrive.
    pub(crate) head_timeout: Duration,
    /// The folder of policies; without it the built-in ones.
    pub(crate) policies: Option<PathBuf>,
    /// What proves tenants' policies before they are taken.
    pub(crate) solver: Option<PathBuf>,
    /// The audit log's file, if not one in the host's folder.
    pub(crate) audit: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            settings: Settings::default(),
            embedded: false,
            store: None,
            identity: Identity::default(),
            issuers: Issuers::default(),
            head_timeout: Duration::from_secs(10),
            policies: None,
            solver: None,
            audit: None,
        }
    }
}

/// A running host. Stops when it is dropped; its folder goes with it.
pub(crate) struct Host {
    pub(crate) app: App,
    pub(crate) metrics: ApiMetrics,
    pub(crate) door: Authenticator,
    pub(crate) address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Tells the host to stop.
    pub(crate) stop: CancellationToken,
    _stop: DropGuard,
    _auditor: Auditor,
}

/// A file on a disk that is full, in a folder: Linux's device that always is.
pub(crate) fn full_disk(dir: &Path) -> PathBuf {
    let path = dir.join("full");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    path
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body of an answer that must have this status.
    pub(crate) fn with(&self, status: u16) -> Value {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{shown}");
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }
}

/// What decides: the policies of a folder, or those that are built in, and the tenants' own.
fn gate(dir: &Option<PathBuf>) -> Arc<Gate> {
    let settings = GateSettings {
        dir: dir.clone(),
        asks_tenants: true,
        ..GateSettings::default()
    };
    Arc::new(Gate::open_with(settings).unwrap())
}

/// Carries the audit log, and signs it by a key of its own.
fn audited(app: &App) -> Auditor {
    let auditing = AuditorSettings {
        notary: Some(Arc::new(Notary::new(SigningKey::generate().unwrap()))),
        checkpoint_entries: 1_000,
        checkpoint_every: Duration::from_secs(900),
        keep: None,
    };
    let (store, clock) = (app.store.clone(), app.clock.clone());
    Auditor::start(&app.audit, store, clock, auditing).unwrap()
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = match options.store {
            Some(store) => store,
            None if options.embedded => Store::embedded(&dir.path().join("store")).await.unwrap(),
            None => Store::memory(),
        };
        let audit = AuditSettings {
            path: options
                .audit
                .unwrap_or_else(|| dir.path().join("audit.jsonl")),
            rotate_bytes: 1 << 30,
            backlog_bytes: 1 << 30,
        };
        let plugins = PluginsConfig {
            dir: dir.path().join("plugins"),
            ..PluginsConfig::default()
        };
        let gate = gate(&options.policies);
        let app = App {
            store: store.clone(),
            policies: Policies::new(store.clone(), Arc::clone(&gate), options.clock.clone())
                .proved_by(options.solver.as_deref()),
            gate,
            plugins: Arc::new(Plugins::open(plugins).unwrap()),
            aside: Aside::start().unwrap(),
            clock: options.clock.clone(),
            audit: Audit::open(audit).unwrap(),
            identity: Arc::new(options.identity),
            peers: Peers::open(&[], vec![Origin::parse(DELEGATE).unwrap()], None),
        };
        let auditor = audited(&app);
        let issuers = options.issuers;
        let identity = Arc::clone(&app.identity);
        let authenticator = Authenticator::new(store, options.clock, identity, issuers).unwrap();
        let metrics = ApiMetrics::new(WorkMetrics::new().unwrap().kubo).unwrap();
        let door = authenticator.clone();
        let stop = CancellationToken::new();
        let settings = Settings {
            stop: stop.clone(),
            ..options.settings
        };
        let router = router(app.clone(), authenticator, settings, &metrics);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, "test").await.unwrap();
        let address = listener.address();
        let bounds = Bounds {
            connections_max: 1_000,
            header_timeout: options.head_timeout,
            drain_timeout: Duration::from_secs(1),
            announces_trailers: false,
        };
        tokio::spawn(listener.serve(router, None, bounds, stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            app,
            metrics,
            door,
            address,
            dir,
            client,
            stop: stop.clone(),
            _stop: stop.drop_guard(),
            _auditor: auditor,
        }
    }

    /// The audit log's file.
    pub(crate) fn audit_file(&self) -> PathBuf {
        self.dir.path().join("audit.jsonl")
    }

    /// A key for an account, straight into the store.
    pub(crate) async fn key(&self, account: &str, roles: &[Role]) -> String {
        let account = AccountId::parse(account).unwrap();
        let roles = roles.iter().copied().collect();
        let now = self.app.clock.now();
        let (key, token) =
            keys::mint()
                .unwrap()
                .into_key(account, roles, "test".to_owned(), now, None);
        self.app.store.add_key(key).await.unwrap();
        token
    }

    /// One call; a body goes as JSON.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(request.body(Full::from(bytes)).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.call("GET", path, Some(key), None).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.call("POST", path, Some(key), Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, key: &str) -> Answer {
        self.call("DELETE", path, Some(key), None).await
    }

    /// An answer whose body is still to come.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }
}
