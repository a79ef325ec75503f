//! TLS with certificates on both sides, and HTTP/2 over it.

use super::host::{settings, start};
use super::listen::file;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use holdfast::config::{ClusterApi, Config, Server};
use holdfast::ops::listen::{Bounds, Listener};
use holdfast::ops::tls::{self, Certificate};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Nothing here should take longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Streams of one connection that are served at once.
const STREAMS_MAX: usize = 128;

struct Scene {
    address: SocketAddr,
    /// Calls of `/wait` that are inside, and the most that ever were.
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// Lets calls of `/wait` go on.
    go: Arc<Semaphore>,
    _stop: DropGuard,
}

impl Scene {
    async fn new(tls: Arc<ServerConfig>) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "test").await;
        let listener = listener.unwrap();
        let address = listener.address();
        let (inside, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let go = Arc::new(Semaphore::new(0));
        let (entered, record, going) = (Arc::clone(&inside), Arc::clone(&most), Arc::clone(&go));
        let wait = move || async move {
            let now = entered.fetch_add(1, Ordering::SeqCst) + 1;
            record.fetch_max(now, Ordering::SeqCst);
            going.acquire().await.unwrap().forget();
            entered.fetch_sub(1, Ordering::SeqCst);
            "waited"
        };
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/wait", get(wait));
        let bounds = Bounds {
            connections_max: 64,
            header_timeout: PATIENCE,
            drain_timeout: Duration::from_secs(1),
            announces_trailers: false,
        };
        let stop = CancellationToken::new();
        tokio::spawn(listener.serve(router, Some(tls), bounds, stop.clone()));
        Self {
            address,
            inside,
            most,
            go,
            _stop: stop.drop_guard(),
        }
    }
}

/// A connection of HTTP/2 to who shows `one.pem`, by who shows a certificate or none.
async fn connect(
    address: SocketAddr,
    shown: Option<&str>,
) -> std::io::Result<SendRequest<Empty<Bytes>>> {
    connect_to("one", address, shown).await
}

/// The same to who shows another one.
async fn connect_to(
    trusted: &str,
    address: SocketAddr,
    shown: Option<&str>,
) -> std::io::Result<SendRequest<Empty<Bytes>>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(file(&format!("{trusted}.pem"))).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        Some(name) => {
            let chain = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await?;
    let connecting =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = connecting.await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn call(
    mut sender: SendRequest<Empty<Bytes>>,
    path: &str,
    header: &str,
) -> Result<(StatusCode, String), hyper::Error> {
    let request = Request::get(format!("https://localhost{path}")).header("x-filling", header);
    let answer = sender.send_request(request.body(Empty::new()).unwrap());
    let answer = answer.await?.map(Body::new);
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

fn shown() -> Arc<ServerConfig> {
    let server = Server {
        tls_cert: Some(file("one.pem")),
        tls_key: Some(file("one.key")),
        ..Config::default().server
    };
    let first = tls::read(&server).unwrap().unwrap();
    tls::server_config(Arc::new(Certificate::new(first))).unwrap()
}

#[tokio::test]
async fn many_calls_share_a_connection_up_to_a_bound() {
    const CALLS: usize = 200;
    let scene = Scene::new(shown()).await;
    let sender = connect(scene.address, None).await.unwrap();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| tokio::spawn(call(sender.clone(), "/wait", "")))
        .collect();
    let full = async {
        while scene.inside.load(Ordering::SeqCst) < STREAMS_MAX {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, full)
        .await
        .expect("they come in side by side");
    scene.go.add_permits(CALLS);
    for waited in calls {
        assert_eq!(
            waited.await.unwrap().unwrap(),
            (StatusCode::OK, "waited".to_owned())
        );
    }
    assert_eq!(scene.most.load(Ordering::SeqCst), STREAMS_MAX);
}

#[tokio::test]
async fn a_head_without_end_costs_its_own_call() {
    let scene = Scene::new(shown()).await;
    let sender = connect(scene.address, None).await.unwrap();
    let (status, _) = call(sender.clone(), "/", &"x".repeat(40_000))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let (status, said) = call(sender, "/", &"x".repeat(8_000)).await.unwrap();
    assert_eq!((status, said.as_str()), (StatusCode::OK, "hello"));
}

#[tokio::test]
async fn who_shows_no_certificate_of_an_authority_is_not_let_in() {
    let cluster = ClusterApi {
        client_ca: Some(file("two.pem")),
        ..Config::default().cluster
    };
    let roots = tls::authorities(&cluster).unwrap().unwrap();
    let scene = Scene::new(tls::for_certified(&shown(), roots).unwrap()).await;
    let hello = async |certificate: Option<&str>| {
        let sender = connect(scene.address, certificate)
            .await
            .map_err(|e| e.to_string())?;
        let answer = call(sender, "/", "").await.map_err(|e| e.to_string())?;
        Ok::<_, String>(answer.1)
    };
    assert_eq!(hello(Some("two")).await.as_deref(), Ok("hello"));
    hello(None).await.unwrap_err();
    hello(Some("one")).await.unwrap_err();
    // They cost their own connections only.
    assert_eq!(hello(Some("two")).await.as_deref(), Ok("hello"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_asks_its_clusters_clients_for_certificates_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let path = |name: &str| file(name).display().to_string();
    let text = std::fs::read_to_string(&settings).unwrap().replace(
        "[server]\n",
        &format!(
            "[cluster]\nlisten = '127.0.0.1:0'\nclient_ca = '{}'\n\
             [server]\ntls_cert = '{}'\ntls_key = '{}'\n",
            path("two.pem"),
            path("one.pem"),
            path("one.key"),
        ),
    );
    std::fs::write(&settings, text).unwrap();
    let host = start(&settings, &[]).await;
    let (main, cluster) = (host.address().unwrap(), host.cluster_address().unwrap());
    let status = async |address, certificate: Option<&str>, path: &str| {
        let sender = connect(address, certificate).await.ok()?;
        let answer = call(sender, path, "").await.ok()?;
        Some(answer.0.as_u16())
    };
    assert_eq!(status(cluster, Some("two"), "/health").await, Some(204));
    // A certificate opens the door and says nothing of who calls.
    assert_eq!(status(cluster, Some("two"), "/version").await, Some(401));
    assert_eq!(status(cluster, Some("one"), "/health").await, None);
    assert_eq!(status(cluster, None, "/health").await, None);
    assert_eq!(status(main, None, "/v1/whoami").await, Some(401));
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_takes_up_renewed_certificates_and_no_half_ones() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, ending: &str, listener: &str| {
        let to = dir.path().join(format!("{listener}.{ending}"));
        std::fs::copy(file(&format!("{name}.{ending}")), to).unwrap();
    };
    for (listener, ending) in [
        ("main", "pem"),
        ("main", "key"),
        ("other", "pem"),
        ("other", "key"),
    ] {
        put("one", ending, listener);
    }
    let named = |listener: &str| {
        let path = dir.path().join(listener).display().to_string();
        format!("tls_cert = '{path}.pem'\ntls_key = '{path}.key'\n")
    };
    let settings = settings(dir.path());
    let sections = format!(
        "[cluster]\nlisten = '127.0.0.1:0'\n{}[server]\n{}",
        named("other"),
        named("main"),
    );
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("[server]\n", &sections)).unwrap();
    let host = start(&settings, &[]).await;
    let (main, cluster) = (host.address().unwrap(), host.cluster_address().unwrap());
    let shows = async |address, name: &str| connect_to(name, address, None).await.is_ok();
    assert!(shows(main, "one").await && shows(cluster, "one").await);
    // A call under way on the former certificate goes on.
    let before = connect(main, None).await.unwrap();
    put("two", "pem", "main");
    host.reload().await;
    assert!(
        shows(main, "one").await,
        "a certificate without its key was taken up"
    );
    put("two", "key", "main");
    put("two", "pem", "other");
    put("two", "key", "other");
    host.reload().await;
    for address in [main, cluster] {
        assert!(shows(address, "two").await && !shows(address, "one").await);
    }
    assert_eq!(
        call(before, "/v1/whoami", "").await.unwrap().0.as_u16(),
        401
    );
    assert!(host.stop().await);
}

#[test]
fn authorities_that_are_none_are_named() {
    let authorities = |name: Option<&str>| {
        let cluster = ClusterApi {
            client_ca: name.map(file),
            ..Config::default().cluster
        };
        tls::authorities(&cluster).map(|roots| roots.is_some())
    };
    assert!(!authorities(None).unwrap());
    for wrong in ["absent.pem", "one.key"] {
        let complaint = authorities(Some(wrong)).unwrap_err();
        assert_eq!(complaint.key, "cluster.client_ca", "{wrong}: {complaint:?}");
    }
}
