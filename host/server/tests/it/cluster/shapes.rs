//! The shapes of the answers, beside those of a real peer of IPFS Cluster asked the same.

use super::calls::{Scene, free_address, program, shape};
use crate::support::ipfs_cluster::is_joined;
use crate::support::kubo::KuboNode;
use crate::support::process::{PATIENCE, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast_model::Cid;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

/// A peer of IPFS Cluster beside a Kubo node of its own. Killed when dropped.
struct Peer {
    child: Child,
    node: KuboNode,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Peer {
    async fn start() -> Self {
        let node = KuboNode::start().await;
        let dir = tempfile::tempdir().unwrap();
        let (address, swarm) = (free_address(), free_address());
        let service = |args: &[&str]| {
            let api = node.api();
            let api = api.rsplit_once(':').unwrap().1;
            let mut command = Command::new(program("ipfs-cluster-service"));
            command
                .args(["--config", dir.path().to_str().unwrap()])
                .args(args)
                .env("CLUSTER_PEERNAME", "peer")
                .env("CLUSTER_LISTENMULTIADDRESS", multiaddr(swarm))
                .env("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", multiaddr(address))
                .env("CLUSTER_RESTAPI_BASICAUTHCREDENTIALS", "user:password")
                .env(
                    "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS",
                    multiaddr(free_address()),
                )
                .env(
                    "CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS",
                    multiaddr(free_address()),
                )
                .env(
                    "CLUSTER_IPFSHTTP_NODEMULTIADDRESS",
                    format!("/ip4/127.0.0.1/tcp/{api}"),
                )
                .env("CLUSTER_METRICS_ENABLESTATS", "false")
                .stdin(Stdio::null());
            command
        };
        let made = service(&["init", "--consensus", "crdt"]).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let written = dir.path().join("log");
        let log = std::fs::File::create(&written).unwrap();
        let mut daemon = service(&["daemon"]);
        daemon.stdout(log.try_clone().unwrap()).stderr(log);
        let child = daemon.spawn().unwrap();
        let answers = || is_joined(&written) && TcpStream::connect(address).is_ok();
        until("a peer of IPFS Cluster", answers, |answers| *answers);
        Self {
            child,
            node,
            address,
            _dir: dir,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn multiaddr(address: SocketAddr) -> String {
    format!("/ip4/{}/tcp/{}", address.ip(), address.port())
}

/// One call as a user with a password.
fn ask(at: SocketAddr, user: &str, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let credentials = match user {
        "" => String::new(),
        user => format!("authorization: Basic {}\r\n", STANDARD.encode(user)),
    };
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{credentials}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Answer(super::Raw::of(answer))
}

#[derive(Debug)]
struct Answer(super::Raw);

impl Answer {
    /// What must be the same: status, type, trailers, and the shape of the first value.
    fn outline(&self) -> (u16, Option<&str>, &str, Value) {
        let first = serde_json::Deserializer::from_str(&self.0.body)
            .into_iter()
            .next();
        let value: Value = first.map_or(Value::Null, Result::unwrap);
        let content_type = match self.0.body.is_empty() {
            true => None,
            false => self.0.header("content-type"),
        };
        (
            self.0.status,
            content_type,
            &self.0.trailers,
            shape(&outlined(value)),
        )
    }
}

/// A value without what differs by its nature: the ids of peers as names, the text of errors, and
/// lists of addresses, of which a peer has several and a node perhaps none.
fn outlined(value: Value) -> Value {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let is_map = members.keys().all(|name| name.starts_with("12D3"));
            let members = members.into_iter().filter(|(name, _)| {
                !matches!(
                    name.as_str(),
                    "addresses"
                        | "cluster_peers_addresses"
                        | "ipfs_peer_addresses"
                        | "ipfs_peer_id"
                )
            });
            match is_map {
                true => {
                    let first = members.map(|(_, value)| outlined(value)).next();
                    Value::Object(
                        [("PEER".to_owned(), first.unwrap_or_default())]
                            .into_iter()
                            .collect(),
                    )
                }
                false => members
                    .map(|(name, value)| (name, outlined(value)))
                    .collect(),
            }
        }
        // What is not there is null or empty, as it happens; clients take both.
        Value::Object(_) => Value::Null,
        Value::Array(members) if members.is_empty() => Value::Null,
        Value::Array(members) => members.into_iter().take(1).map(outlined).collect(),
        other => other,
    }
}

/// Both sides, each with its credentials.
struct Sides {
    scene: Scene,
    peer: Peer,
    user: String,
}

impl Sides {
    async fn start() -> Self {
        let (scene, peer) = tokio::join!(Scene::start(), Peer::start());
        let user = format!("{}:{}", scene.user(), scene.key);
        Self { scene, peer, user }
    }

    /// What each side answers: ours, theirs.
    fn both(&self, method: &str, path: &str) -> (Answer, Answer) {
        let theirs = ask(self.peer.address, "user:password", method, path);
        let ours = ask(self.scene.cluster, &self.user, method, path);
        (ours, theirs)
    }

    fn same(&self, method: &str, path: &str) {
        let (ours, theirs) = self.both(method, path);
        assert_eq!(
            ours.outline(),
            theirs.outline(),
            "{method} {path}: {:?}\n{:?}",
            ours.0,
            theirs.0
        );
    }

    /// Content that both nodes have.
    fn content(&self, text: &[u8]) -> Cid {
        let cid = self.scene.node.add(text);
        assert_eq!(cid, self.peer.node.add(text));
        cid
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_shape_of_ipfs_clusters() {
    let sides = Sides::start().await;
    let (kelp, wrack) = (sides.content(b"kelp"), sides.content(b"wrack"));
    for path in ["/allocations", "/pins", "/health/alerts"] {
        sides.same("GET", path);
    }
    sides.same("POST", "/pins/recover");
    sides.same("GET", &format!("/pins/{kelp}"));
    sides.same("GET", &format!("/allocations/{kelp}"));
    sides.same("DELETE", &format!("/pins/{kelp}"));
    sides.same("DELETE", &format!("/pins/ipfs/{kelp}"));

    let options = format!("/pins/{kelp}?name=kelp&meta-a=b&expire-in=1h");
    sides.same("POST", &options);
    sides.same("POST", &format!("/pins/ipfs/{wrack}?mode=direct"));
    let status = format!("/pins/{kelp}?local=false");
    let pinned = |answer: &Answer| answer.0.body.contains("\"pinned\"");
    until(
        "both have it",
        || sides.both("GET", &status),
        |(a, b)| pinned(a) && pinned(b),
    );
    for path in [
        status,
        format!("/pins/{wrack}?local=true"),
        format!("/pins?cids={kelp}"),
        "/pins?filter=pinned".to_owned(),
        format!("/allocations/{kelp}"),
        format!("/allocations/{wrack}"),
        "/allocations?filter=all".to_owned(),
        "/allocations?filter=shard-pin".to_owned(),
        "/id".to_owned(),
        "/version".to_owned(),
        "/peers".to_owned(),
        "/health/graph".to_owned(),
        "/monitor/metrics/freespace".to_owned(),
        "/monitor/metrics/ping".to_owned(),
        "/health".to_owned(),
    ] {
        sides.same("GET", &path);
    }
    sides.same("POST", &format!("/pins/{kelp}/recover"));
    sides.same("POST", "/token");
    // Here it is a stream, and so has a trailer.
    let (ours, theirs) = sides.both("POST", "/ipfs/gc?local=true");
    assert_eq!(ours.outline().3, theirs.outline().3);
    assert_eq!((ours.0.status, theirs.0.status), (200, 200));
    sides.same("DELETE", &format!("/pins/{wrack}"));
    what_is_wrong_is_wrong_in_the_same_way(&sides);
}

fn what_is_wrong_is_wrong_in_the_same_way(sides: &Sides) {
    for (method, path) in [
        ("GET", "/allocations/notacid"),
        ("GET", "/pins?filter=nonsense"),
        ("GET", "/allocations?filter=nonsense"),
        ("GET", "/pins?cids=x"),
        ("DELETE", "/peers/notapeer"),
        ("POST", "/peers"),
        ("POST", "/add"),
        ("GET", "/nowhere"),
        ("PUT", "/pins"),
    ] {
        sides.same(method, path);
    }
    for (user, path) in [("", "/id"), ("user:wrong", "/id"), ("", "/nowhere")] {
        let ours = ask(sides.scene.cluster, user, "GET", path);
        let theirs = ask(sides.peer.address, user, "GET", path);
        assert_eq!(ours.outline(), theirs.outline(), "{user} {path}");
    }
    let (ours, theirs) = sides.both("GET", "/pins/");
    let target = |answer: &Answer| {
        (
            answer.0.status,
            answer.0.header("location").map(ToOwned::to_owned),
        )
    };
    assert_eq!(target(&ours), target(&theirs));
}
