//! A cluster of real peers: `examples/ipfs-cluster` built as it stands, two of its peers on one
//! host and over a Kubo node each. They know of each other by libp2p, and of pins only by the host.

use crate::support::cluster::{fresh, variables};
use crate::support::ipfs_cluster::{ask_peer, is_joined, keep_ports};
use crate::support::kubo::{KuboNode, free_port};
use crate::support::process::{Holdfast, Plan, repository, until};
use holdfast_model::{Cid, Pin, UnixMillis};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// What peers of one cluster know and others do not: peers of two tests find each other too.
fn fresh_secret() -> String {
    let half = || uuid::Uuid::now_v7().simple().to_string();
    half() + &half()
}

/// A peer with its folder and its node. Killed when dropped.
struct Peer {
    dir: tempfile::TempDir,
    node: KuboNode,
    rest: u16,
    key: String,
    hosts: String,
    secret: String,
    /// Who is there already.
    bootstrap: Option<String>,
    daemon: Option<Child>,
}

impl Peer {
    /// A new peer, running.
    async fn start(host: &Holdfast, bootstrap: Option<&Self>) -> Self {
        Self::start_over(&[host], bootstrap).await
    }

    /// The same over several hosts of one store.
    async fn start_over(hosts: &[&Holdfast], bootstrap: Option<&Self>) -> Self {
        let urls: Vec<String> = hosts
            .iter()
            .map(|host| format!("http://{}", host.addr))
            .collect();
        let mut peer = Self {
            dir: tempfile::tempdir().unwrap(),
            node: KuboNode::start().await,
            rest: free_port(),
            key: node_key(hosts[0]),
            hosts: urls.join(","),
            secret: bootstrap.map_or_else(fresh_secret, |peer| peer.secret.clone()),
            bootstrap: bootstrap.map(Self::address),
            daemon: None,
        };
        let begun = peer.command(&["init", "--randomports"]).output().unwrap();
        let said = String::from_utf8_lossy(&begun.stderr);
        assert!(begun.status.success(), "{said}");
        keep_ports(peer.dir.path());
        peer.run();
        peer
    }

    /// Starts the daemon and waits until it answers.
    fn run(&mut self) {
        let log = std::fs::File::create(self.log()).unwrap();
        let mut command = self.command(&["daemon"]);
        if let Some(bootstrap) = &self.bootstrap {
            command.args(["--bootstrap", bootstrap]);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.daemon = Some(command.spawn().unwrap());
        until("a peer", || self.log_if_down(), Option::is_none);
    }

    /// What it has logged, if it does not answer.
    fn log_if_down(&self) -> Option<String> {
        let answers = is_joined(&self.log()) && self.ask("GET", "/id").0 == 200;
        (!answers).then(|| std::fs::read_to_string(self.log()).unwrap_or_default())
    }

    /// What it has written since it was started last.
    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Kills it as `kill -9` does.
    fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let node = self.node.api();
        let port = node.rsplit(':').next().unwrap();
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env("IPFS_CLUSTER_PATH", self.dir.path())
            .env("CLUSTER_SECRET", &self.secret)
            .env("CLUSTER_HOLDFAST_HOSTS", &self.hosts)
            .env("CLUSTER_HOLDFAST_KEY", &self.key)
            .env(
                "CLUSTER_IPFSHTTP_NODEMULTIADDRESS",
                format!("/ip4/127.0.0.1/tcp/{port}"),
            )
            .env(
                "CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS",
                format!("/ip4/127.0.0.1/tcp/{}", self.rest),
            );
        command
    }

    fn file(&self, name: &str) -> Value {
        let text = std::fs::read(self.dir.path().join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn id(&self) -> String {
        self.file("identity.json")["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Where other peers reach it.
    fn address(&self) -> String {
        let listens = &self.file("service.json")["cluster"]["listen_multiaddress"];
        let tcp = listens.as_array().unwrap().iter().filter_map(Value::as_str);
        let tcp = tcp.map(|one| one.split('/').nth(4).unwrap()).next();
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", tcp.unwrap(), self.id())
    }

    /// Calls its REST API; 0 if nobody answers.
    fn ask(&self, method: &str, path: &str) -> (u16, Vec<Value>) {
        let (status, body) = ask_peer(self.rest, method, path);
        let values = serde_json::Deserializer::from_str(&body).into_iter();
        (status, values.map_while(Result::ok).collect())
    }

    /// How a pin is on each of the peers that this one knows.
    fn statuses(&self, cid: &Cid) -> Vec<String> {
        let (_, told) = self.ask("GET", &format!("/pins/{cid}"));
        let peers = told.first().and_then(|info| info["peer_map"].as_object());
        let status = |info: &Value| info["status"].as_str().unwrap_or_default().to_owned();
        peers.map_or_else(Vec::new, |peers| peers.values().map(status).collect())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn node_key(host: &Holdfast) -> String {
    let wanted = json!({"account": "default/cluster", "roles": ["cluster-node"]});
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    made["secret"].as_str().unwrap().to_owned()
}

/// The peer's program, built from this repository.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let built = || {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ipfs-cluster-service");
        let ran = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg("./cmd/ipfs-cluster-service")
            .current_dir(repository().join("examples/ipfs-cluster"))
            .output()
            .expect("go is installed");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "go build: {said}");
        program
    };
    PROGRAM.get_or_init(built).clone()
}

/// What one peer is told, the other does: pins, removals, and what came to pass while it was away.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_peer_is_told_the_others_do() {
    program();
    let host = Holdfast::start_with(Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        ..Plan::default()
    });
    let one = Peer::start(&host, None).await;
    let mut two = Peer::start(&host, Some(&one)).await;
    let both = |peer: &Peer| peer.ask("GET", "/peers").1.len();
    until(
        "a cluster of two",
        || (both(&one), both(&two)),
        |n| *n == (2, 2),
    );
    let addresses = one.node.address();
    two.node
        .ipfs(&["swarm", "connect", addresses.lines().next().unwrap()]);
    let (first, second) = (one.node.add(b"first"), one.node.add(b"second"));

    let pin = format!("/pins/{first}?name=first");
    assert_eq!(one.ask("POST", &pin).0, 200);
    let pinned = |all: &Vec<String>| *all == ["pinned", "pinned"];
    until("a pin on both", || two.statuses(&first), pinned);
    for peer in [&one, &two] {
        assert!(peer.node.has(&first, "recursive"));
        let (_, told) = peer.ask("GET", &format!("/allocations/{first}"));
        assert_eq!(told[0]["name"], "first");
    }
    let path = format!("/v1/state/pins/{first}");
    assert_eq!(host.ask(&one.key, "GET", &path, None).0, 200);

    // Away meanwhile: it learns of what came and of what went.
    two.kill();
    assert_eq!(one.ask("POST", &format!("/pins/{second}")).0, 200);
    assert_eq!(one.ask("DELETE", &format!("/pins/{first}")).0, 200);
    until(
        "a removal",
        || one.node.has(&first, "recursive"),
        |has| !has,
    );
    assert!(two.node.has(&first, "recursive") && !two.node.has(&second, "recursive"));
    two.run();
    until(
        "what was missed",
        || two.statuses(&second),
        |all| !all.is_empty() && all.iter().all(|status| status == "pinned"),
    );
    let of_two = || {
        (
            two.node.has(&first, "recursive"),
            two.node.has(&second, "recursive"),
        )
    };
    until("what was missed at its node", of_two, |has| {
        *has == (false, true)
    });

    // And back: what the second is told, the first does.
    assert_eq!(two.ask("DELETE", &format!("/pins/{second}")).0, 200);
    until(
        "a removal",
        || one.node.has(&second, "recursive"),
        |has| !has,
    );
    assert_eq!(host.ask(&one.key, "GET", &path, None).0, 404);
}

/// Two hosts share a keyspace, and the one that the peer works with is killed: the peer goes on at
/// the other, and misses nothing of what it is told or of what others change.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_goes_on_at_another_host_when_its_own_is_killed() {
    program();
    let plan = Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        variables: variables(&fresh().await),
        ..Plan::default()
    };
    let mut first = Holdfast::start_with(plan.clone());
    let second = Holdfast::start_with(Plan {
        key: Some(first.key.clone()),
        ..plan
    });
    let peer = Peer::start_over(&[&first, &second], None).await;
    let pinned = |all: &Vec<String>| *all == ["pinned"];
    let pin = |cid: &Cid| {
        assert_eq!(peer.ask("POST", &format!("/pins/{cid}")).0, 200);
        until("a pin", || peer.statuses(cid), pinned);
        assert!(peer.node.has(cid, "recursive"));
    };
    let [before, after, others] = [&b"before"[..], b"after", b"others"].map(|c| peer.node.add(c));
    pin(&before);
    first.kill();
    pin(&after);
    let path = |cid: &Cid| format!("/v1/state/pins/{cid}");
    for cid in [&before, &after] {
        assert_eq!(second.ask(&peer.key, "GET", &path(cid), None).0, 200);
    }
    // What it is told of by the feed, it is told by the other host.
    let mut wanted = Pin::recursive(others, UnixMillis::from_seconds(1));
    wanted.options.replication_factor_min = -1;
    wanted.options.replication_factor_max = -1;
    let wanted = serde_json::to_value(wanted).unwrap();
    let (status, said) = second.ask(&peer.key, "PUT", &path(&others), Some(&wanted));
    assert_eq!(status, 204, "{said}");
    let has = |cid: Cid| peer.node.has(&cid, "recursive");
    until("what others pin", || has(others), |has| *has);
    assert_eq!(peer.ask("DELETE", &format!("/pins/{before}")).0, 200);
    until("a removal", || has(before), |has| !has);
}
