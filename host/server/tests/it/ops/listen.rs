//! A listener holds its bounds, whatever clients do.

use axum::Router;
use axum::routing::get;
use holdfast::config::{Config, Server};
use holdfast::ops::listen::{Bounds, ListenError, Listener};
use holdfast::ops::tls::{self, Certificate};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing here should take longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn bounds() -> Bounds {
    Bounds {
        connections_max: 64,
        header_timeout: PATIENCE,
        drain_timeout: PATIENCE,
        announces_trailers: false,
    }
}

struct Scene {
    address: SocketAddr,
    /// Calls of `/wait` that have come in.
    came: Arc<Semaphore>,
    /// Lets calls of `/wait` go on.
    go: Arc<Semaphore>,
    stop: CancellationToken,
    served: JoinHandle<bool>,
}

impl Scene {
    async fn new(bounds: Bounds, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "server.listen")
            .await
            .unwrap();
        let address = listener.address();
        let (came, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (coming, going) = (Arc::clone(&came), Arc::clone(&go));
        let wait = move || async move {
            coming.add_permits(1);
            going.acquire().await.unwrap().forget();
            "waited"
        };
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/wait", get(wait));
        let stop = CancellationToken::new();
        let served = tokio::spawn(listener.serve(router, tls, bounds, stop.clone()));
        Self {
            address,
            came,
            go,
            stop,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends text and reads to the end.
    async fn exchange(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    async fn hello(&self) -> String {
        self.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end too.
    drop(read.expect("the connection was not closed"));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_setting_that_mends_it() {
    let scene = Scene::new(bounds(), None).await;
    let refused = Listener::bind(scene.address, "server.listen")
        .await
        .unwrap_err();
    assert!(matches!(refused, ListenError::InUse { .. }));
    let said = refused.to_string();
    assert!(
        said.contains(&format!("port {}", scene.address.port())),
        "{said}"
    );
    assert!(said.contains("set server.listen"), "{said}");
    let foreign = Listener::bind("192.0.2.1:0".parse().unwrap(), "ops.listen")
        .await
        .unwrap_err();
    assert!(foreign.to_string().contains("set ops.listen"), "{foreign}");
}

#[tokio::test]
async fn slow_clients_are_cut_off_and_others_are_served() {
    let header_timeout = Duration::from_millis(300);
    let scene = Scene::new(
        Bounds {
            header_timeout,
            ..bounds()
        },
        None,
    )
    .await;
    let mut silent = scene.connect().await;
    let mut stalled = scene.connect().await;
    stalled.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
    let mut first_letter = scene.connect().await;
    first_letter.write_all(b"P").await.unwrap();
    assert!(scene.hello().await.ends_with("hello"));
    for stream in [&mut silent, &mut stalled, &mut first_letter] {
        let answer = rest(stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    assert!(scene.hello().await.ends_with("hello"));
}

#[tokio::test]
async fn a_head_without_end_and_garbage_are_refused() {
    let scene = Scene::new(bounds(), None).await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "a".repeat(64 * 1024)
    );
    for text in [
        long.as_str(),
        "\u{1}\u{2}nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = scene.exchange(text).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert!(scene.hello().await.ends_with("hello"));
}

#[tokio::test]
async fn connections_over_the_bound_wait_and_are_served_then() {
    let scene = Scene::new(
        Bounds {
            connections_max: 1,
            ..bounds()
        },
        None,
    )
    .await;
    let mut first = scene.connect().await;
    first
        .write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    scene.came.acquire().await.unwrap().forget();
    let mut second = scene.connect().await;
    second
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(early.is_err(), "the second was served beside the first");
    scene.go.add_permits(1);
    assert!(rest(&mut first).await.ends_with("waited"));
    assert!(rest(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn calls_under_way_end_before_the_listener_does() {
    let scene = Scene::new(bounds(), None).await;
    let mut idle = scene.connect().await;
    let mut busy = scene.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    scene.came.acquire().await.unwrap().forget();
    scene.stop.cancel();
    assert!(rest(&mut idle).await.is_empty());
    scene.go.add_permits(1);
    assert!(rest(&mut busy).await.ends_with("waited"));
    assert!(scene.served.await.unwrap(), "all calls ended in time");
    assert!(TcpStream::connect(scene.address).await.is_err());
}

#[tokio::test]
async fn a_call_that_never_ends_does_not_hold_the_host() {
    let drain_timeout = Duration::from_millis(100);
    let scene = Scene::new(
        Bounds {
            drain_timeout,
            ..bounds()
        },
        None,
    )
    .await;
    let mut stuck = scene.connect().await;
    stuck
        .write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    scene.came.acquire().await.unwrap().forget();
    scene.stop.cancel();
    assert!(!scene.served.await.unwrap());
}

pub(super) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/ops/tls")
        .join(name)
}

fn server(cert: &str, key: &str) -> Server {
    Server {
        tls_cert: Some(file(cert)),
        tls_key: Some(file(key)),
        ..Config::default().server
    }
}

/// The protocol that was agreed on with a client that trusts `pem` only, and the answer.
async fn over_tls(address: SocketAddr, pem: &str, alpn: &[u8]) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file(pem)).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return Ok("h2".to_owned());
    }
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_certificate_is_replaced_while_it_serves() {
    let first = tls::read(&server("one.pem", "one.key")).unwrap().unwrap();
    let certificate = Arc::new(Certificate::new(first));
    let config = tls::server_config(Arc::clone(&certificate)).unwrap();
    let scene = Scene::new(bounds(), Some(config)).await;
    assert!(
        over_tls(scene.address, "one.pem", b"http/1.1")
            .await
            .unwrap()
            .ends_with("hello")
    );
    assert_eq!(
        over_tls(scene.address, "one.pem", b"h2").await.unwrap(),
        "h2"
    );
    assert!(
        over_tls(scene.address, "two.pem", b"http/1.1")
            .await
            .is_err()
    );
    certificate.replace(tls::read(&server("two.pem", "two.key")).unwrap().unwrap());
    assert!(
        over_tls(scene.address, "two.pem", b"http/1.1")
            .await
            .unwrap()
            .ends_with("hello")
    );
    assert!(
        over_tls(scene.address, "one.pem", b"http/1.1")
            .await
            .is_err()
    );
    // Plain HTTP to a TLS port costs its own connection only.
    scene.hello().await;
    assert!(
        over_tls(scene.address, "two.pem", b"http/1.1")
            .await
            .is_ok()
    );
}

#[test]
fn certificates_that_cannot_serve_are_named() {
    for (cert, key, wrong) in [
        ("one.pem", "two.key", "server.tls_key"),
        ("absent.pem", "one.key", "server.tls_cert"),
        ("one.key", "one.key", "server.tls_cert"),
        ("one.pem", "one.pem", "server.tls_key"),
    ] {
        let complaint = tls::read(&server(cert, key)).unwrap_err();
        assert_eq!(complaint.key, wrong, "{cert} {key}: {complaint:?}");
    }
}
