//! The guard against real connections: a server on loopback that says and does what a test tells.

mod connections;
mod pace;

use super::error::EgressError;
use super::metrics::EgressMetrics;
use super::resolve::{Lookup, Resolve};
use super::rule::{Rule, RuleText};
use super::{Allowance, Guard, Outbound, Outside, Owner, Waits};
use crate::job::JobsConfig;
use crate::logs::Ring;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::Request;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What the server does after it has read a request's head.
#[derive(Clone)]
enum Act {
    Say(&'static str),
    /// Says it again and again.
    Repeat(&'static str),
    /// Says nothing more and keeps the connection.
    Hang,
}

/// A server, and the heads of the requests that it was sent.
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(acts: &[Act]) -> Self {
        Self::start(acts, None).await
    }

    async fn start(acts: &[Act], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (acts, seen) = (acts.to_vec(), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, seen, tls) = (acts.clone(), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, acts, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, acts, seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heads }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    acts: Vec<Act>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    seen.lock().push(String::from_utf8(head).unwrap());
    for act in acts {
        match act {
            Act::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Act::Repeat(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
            Act::Hang => std::future::pending().await,
        }
    }
    let _ = stream.shutdown().await;
}

/// A resolver with a script: each look-up takes the next answer, the last one stays.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    lookups: Mutex<usize>,
}

impl Script {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let addresses = |texts: &&[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(addresses).collect()),
            lookups: Mutex::default(),
        })
    }
}

impl Resolve for Script {
    fn lookup<'a>(&'a self, _: &'a str) -> Lookup<'a> {
        *self.lookups.lock() += 1;
        let mut answers = self.answers.lock();
        let answer = match answers.len() {
            0 | 1 => answers.front().cloned().unwrap_or_default(),
            _ => answers.pop_front().unwrap(),
        };
        Box::pin(async move { Ok(answer) })
    }
}

struct Scene {
    guard: Guard,
    waits: Waits,
    allowance: Arc<Allowance>,
    ring: Arc<Ring>,
    metrics: EgressMetrics,
}

impl Scene {
    fn new(rule: &str, resolver: Option<Arc<dyn Resolve>>) -> Self {
        Self::trusting(rule, resolver, None)
    }

    fn trusting(rule: &str, resolver: Option<Arc<dyn Resolve>>, roots: Option<&Path>) -> Self {
        let metrics = EgressMetrics::new().unwrap();
        let outside = outside(resolver, roots, JobsConfig::CONNECTIONS, &metrics);
        Self::of("pay", rule, 4, outside, metrics)
    }

    /// A plugin with this rule that may hold so many connections, and shares this outside.
    fn of(
        plugin: &str,
        rule: &str,
        connections: usize,
        outside: Arc<Outside>,
        metrics: EgressMetrics,
    ) -> Self {
        let text: RuleText = toml::from_str(rule).unwrap();
        let short = Duration::from_millis(300);
        let ring = Arc::new(Ring::default());
        let owner = Owner {
            plugin: plugin.into(),
            generation: 1,
            ring: Arc::clone(&ring),
            connections,
            bytes_per_second: 1_000_000,
        };
        Self {
            guard: Guard::new(owner, vec![Rule::parse(&text).unwrap()], outside),
            waits: Waits {
                connect: Duration::from_secs(5),
                first_byte: short,
                between_bytes: short,
            },
            allowance: Arc::new(Allowance::new(16, 100_000)),
            ring,
            metrics,
        }
    }

    /// Requests that came so far.
    fn counted(&self, outcome: &str) -> u64 {
        let families = self.metrics.collectors();
        let families = families.iter().flat_map(|one| one.collect());
        families
            .flat_map(|family| family.get_metric().to_vec())
            .filter(|series| series.get_label().iter().any(|l| l.value() == outcome))
            .map(|series| series.get_counter().get_value() as u64)
            .sum()
    }

    /// Sends a request; its status, its headers and its body, or what went wrong first.
    async fn get(&self, uri: &str) -> Result<(u16, hyper::HeaderMap, String), EgressError> {
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(uri).header("authorization", "guess");
        self.send(request.body(empty).unwrap()).await
    }

    async fn send(
        &self,
        request: Request<Outbound>,
    ) -> Result<(u16, hyper::HeaderMap, String), EgressError> {
        let allowance = Arc::clone(&self.allowance);
        let (response, driver) = self.guard.send(request, self.waits, allowance).await?;
        let driving = tokio::spawn(driver);
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        driving.abort();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Ok((parts.status.as_u16(), parts.headers, body))
    }
}

fn outside(
    resolver: Option<Arc<dyn Resolve>>,
    roots: Option<&Path>,
    connections: usize,
    metrics: &EgressMetrics,
) -> Arc<Outside> {
    let environment = BTreeMap::from([("KEY".to_owned(), "s3cret".to_owned())]);
    let environment = Arc::new(environment);
    let metrics = metrics.clone();
    Arc::new(Outside::new(resolver, roots, environment, connections, metrics).unwrap())
}

fn rule(host: &str, port: u16, more: &str) -> String {
    format!(
        "scheme = 'http'\nhost = '{host}'\nport = {port}\nmethods = ['GET', 'POST']\n\
         path_prefix = '/v1'\n{more}"
    )
}

const OPEN: &str = "allow_private = ['127.0.0.0/8']\n";
const HELLO: Act = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");

#[tokio::test]
async fn a_secret_goes_out_and_does_not_come_back() {
    let answer = "HTTP/1.1 200 OK\r\nx-echo: Bearer s3cret\r\nx-other: kept\r\n\
                  content-length: 2\r\n\r\nhi";
    let server = Server::new(&[Act::Say(answer)]).await;
    let more = format!("{OPEN}secrets = {{ authorization = 'Bearer {{env:KEY}}' }}");
    let scene = Scene::new(&rule("127.0.0.1", server.port(), &more), None);
    let uri = format!("http://127.0.0.1:{}/v1/x?y=1", server.port());
    let (status, headers, body) = scene.get(&uri).await.unwrap();
    assert_eq!((status, body.as_str()), (200, "hi"));
    assert_eq!(headers["x-echo"], "[redacted]");
    assert_eq!(headers["x-other"], "kept");
    let head = server.heads.lock()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /v1/x?y=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: bearer s3cret\r\n"), "{head}");
    assert!(!head.contains("guess"), "{head}");
    let host = format!("host: 127.0.0.1:{}\r\n", server.port());
    assert_eq!(head.matches("host:").count(), 1, "{head}");
    assert!(head.contains(&host), "{head}");
}

#[tokio::test]
async fn what_no_rule_allows_is_not_sent() {
    let server = Server::new(&[HELLO]).await;
    let port = server.port();
    let scene = Scene::new(&rule("127.0.0.1", port, OPEN), None);
    for uri in [
        format!("http://127.0.0.1:{port}/v2/x"),
        format!("http://127.0.0.1:{port}/v1/../v2"),
        format!("http://localhost:{port}/v1/x"),
        format!("https://127.0.0.1:{port}/v1/x"),
        format!("http://u@127.0.0.1:{port}/v1/x"),
    ] {
        let refused = scene.get(&uri).await.unwrap_err();
        assert!(
            matches!(refused, EgressError::Denied(_)),
            "{uri}: {refused}"
        );
    }
    let told = scene.get("http://api.example/v2/x").await.unwrap_err();
    let told = told.to_string();
    assert!(
        told.contains("pay.toml") && told.contains("path_prefix = \"/v2/x\""),
        "{told}"
    );
    assert!(server.heads.lock().is_empty());
}

#[tokio::test]
async fn a_refusal_never_tells_how_to_open_what_is_closed() {
    let server = Server::new(&[HELLO]).await;
    let port = server.port();
    let scene = Scene::new(&rule("127.0.0.1", port, OPEN), None);
    for (host, said) in [
        (
            "169.254.169.254",
            "169.254.169.254 (metadata), where plugins may never go",
        ),
        (
            "2852039166",
            "169.254.169.254 (metadata), where plugins may never go",
        ),
        (
            "[fd00:ec2::254]",
            "fd00:ec2::254 (metadata), where plugins may never go",
        ),
        (
            "metadata.google.internal",
            "metadata.google.internal (metadata), where plugins may never go",
        ),
        (
            "10.0.0.7",
            "10.0.0.7 (private), where plugins may not go unless allow_private in a rule of its \
             own opens it",
        ),
        (
            "localhost",
            "localhost (loopback), where plugins may not go unless allow_private in a rule of its \
             own opens it",
        ),
    ] {
        let refused = scene.get(&format!("http://{host}:{port}/v1")).await;
        let told = refused.unwrap_err().to_string();
        assert!(
            told.ends_with(&format!("no rule covers it, and it goes to {said}")),
            "{told}"
        );
        assert!(!told.contains("pay.toml") && !told.contains('"'), "{told}");
    }
    assert!(server.heads.lock().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_inside_leads_nowhere() {
    let server = Server::new(&[HELLO]).await;
    let port = server.port();
    for inside in [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
    ] {
        let scene = Scene::new(
            &rule("api.example", port, ""),
            Some(Script::of(&[&[inside]])),
        );
        let uri = format!("http://api.example:{port}/v1");
        let refused = scene.get(&uri).await.unwrap_err();
        assert!(
            matches!(refused, EgressError::Closed(_)),
            "{inside}: {refused}"
        );
    }
    // An address in the name's place goes the same way.
    let scene = Scene::new(&rule("127.0.0.1", port, ""), None);
    let refused = scene
        .get(&format!("http://2130706433:{port}/v1"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("allow_private"), "{refused}");
    assert!(server.heads.lock().is_empty());
}

#[tokio::test]
async fn what_was_vetted_is_what_is_connected_to() {
    let server = Server::new(&[HELLO]).await;
    // The name leads elsewhere from its second look-up on.
    let script = Script::of(&[&["10.0.0.1", "127.0.0.1"], &["169.254.169.254"]]);
    let lookups = Arc::clone(&script);
    let scene = Scene::new(&rule("api.example", server.port(), OPEN), Some(script));
    let uri = format!("http://api.example:{}/v1", server.port());
    assert_eq!(scene.get(&uri).await.unwrap().2, "hello");
    assert_eq!(*lookups.lookups.lock(), 1);
    let host = format!("host: api.example:{}\r\n", server.port());
    assert!(server.heads.lock()[0].to_ascii_lowercase().contains(&host));
    let refused = scene.get(&uri).await.unwrap_err();
    assert!(matches!(refused, EgressError::Closed(_)), "{refused}");
    assert_eq!(server.heads.lock().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\n\
                  content-length: 0\r\n\r\n";
    let server = Server::new(&[Act::Say(answer)]).await;
    let scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
    let uri = format!("http://127.0.0.1:{}/v1", server.port());
    assert_eq!(scene.get(&uri).await.unwrap().0, 302);
    assert_eq!(server.heads.lock().len(), 1);
}

#[tokio::test]
async fn whoever_keeps_a_plugin_waiting_is_left() {
    const BEGUN: Act = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhel");
    for acts in [
        &[Act::Hang][..],
        &[Act::Say("HTTP/1.1 100 Continue\r\n\r\n"), Act::Hang],
        &[BEGUN, Act::Hang],
    ] {
        let server = Server::new(acts).await;
        let scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
        let uri = format!("http://127.0.0.1:{}/v1", server.port());
        let left = scene.get(&uri).await.unwrap_err();
        assert!(matches!(left, EgressError::Timeout(_)), "{left}");
    }
}

#[tokio::test]
async fn what_is_too_much_or_broken_ends_the_request() {
    const CHUNKED: Act = Act::Say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const SHORT: Act = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhel");
    for (acts, label) in [
        (vec![CHUNKED, Act::Repeat("4\r\nmore\r\n")], "too_large"),
        (
            vec![Act::Say("HTTP/1.1 200 OK\r\n"), Act::Repeat("x: y\r\n")],
            "broken",
        ),
        (vec![Act::Repeat("HTTP/1.1 200 OK")], "broken"),
        (vec![Act::Say("SSH-2.0-hello\r\n\r\n")], "broken"),
        (vec![SHORT], "broken"),
        (vec![], "broken"),
    ] {
        let server = Server::new(&acts).await;
        let scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
        let uri = format!("http://127.0.0.1:{}/v1", server.port());
        let ended = scene.get(&uri).await.unwrap_err();
        assert_eq!(ended.label(), label, "{ended}");
        // It is counted once, by how far it came, also where that was well into its body.
        assert_eq!((scene.counted(label), scene.counted("ok")), (1, 0));
        let told = scene.ring.last(9);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].line, format!("request {label}: {ended}"));
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_once_a_call_and_counted_each_time() {
    let server = Server::new(&[HELLO]).await;
    let mut scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
    let uri = |path: &str| format!("http://127.0.0.1:{}{path}", server.port());
    for call in 1..=2 {
        scene.allowance = Arc::new(Allowance::new(16, 100_000));
        for path in ["/v2", "/v3", "/v1", "/v2", "/v2", "/v3"] {
            assert_eq!(scene.get(&uri(path)).await.is_ok(), path == "/v1");
        }
        assert_eq!(scene.counted("denied"), 5 * call);
        assert_eq!(scene.counted("ok"), call);
        assert_eq!(scene.ring.last(99).len() as u64, 2 * call);
    }
}

#[tokio::test]
async fn a_call_has_only_so_many_requests_and_bytes() {
    let server = Server::new(&[HELLO]).await;
    let mut scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
    let uri = format!("http://127.0.0.1:{}/v1", server.port());
    scene.allowance = Arc::new(Allowance::new(2, 1_000));
    assert!(scene.get(&uri).await.is_ok());
    assert!(scene.get(&uri).await.is_ok());
    let over = scene.get(&uri).await.unwrap_err();
    assert!(over.to_string().contains("egress_calls"), "{over}");
    assert_eq!(server.heads.lock().len(), 2);
    // What is sent counts as what is fetched does.
    scene.allowance = Arc::new(Allowance::new(2, 1_000));
    let body = Full::new(Bytes::from(vec![b'x'; 1_001]));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    assert!(
        scene
            .send(Request::post(&uri).body(body).unwrap())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn tls_is_checked_against_the_name() {
    let file = |name: &str| {
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        manifest.join("../server/tests/it/ops/tls").join(name)
    };
    let server = Server::start(&[HELLO], Some(acceptor(&file("one.pem"), &file("one.key")))).await;
    let port = server.port();
    let https = |host: &str| rule(host, port, OPEN).replace("'http'", "'https'");
    let resolver = || -> Option<Arc<dyn Resolve>> { Some(Script::of(&[&["127.0.0.1"]])) };
    let trusting =
        |host: &str, roots: &str| Scene::trusting(&https(host), resolver(), Some(&file(roots)));
    let scene = trusting("localhost", "one.pem");
    let uri = format!("https://localhost:{port}/v1");
    assert_eq!(scene.get(&uri).await.unwrap().2, "hello");
    // Somebody else's certificate, and somebody else's name.
    let refused = trusting("localhost", "two.pem")
        .get(&uri)
        .await
        .unwrap_err();
    assert!(matches!(refused, EgressError::Tls(_)), "{refused}");
    let scene = trusting("api.example", "one.pem");
    let refused = scene
        .get(&format!("https://api.example:{port}/v1"))
        .await
        .unwrap_err();
    assert!(matches!(refused, EgressError::Tls(_)), "{refused}");
    assert_eq!(server.heads.lock().len(), 1);
}

fn acceptor(certificate: &Path, key: &Path) -> TlsAcceptor {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
