//! IPFS Cluster's own command line client, every command of it, against the real binary and a real
//! Kubo node.

use super::calls::{Scene, program};
use crate::support::kubo::KuboNode;
use crate::support::process::{try_ask, until};
use serde_json::{Value, json};
use std::process::{Command, Output};

/// The client, as an operator runs it.
pub(super) struct Ctl<'a> {
    scene: &'a Scene,
    user: String,
}

impl<'a> Ctl<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        let user = format!("{}:{}", scene.user(), scene.key);
        Self { scene, user }
    }

    fn run(&self, args: &[&str]) -> Output {
        let address = self.scene.cluster;
        Command::new(program("ipfs-cluster-ctl"))
            .args([
                "--host",
                &format!("/ip4/{}/tcp/{}", address.ip(), address.port()),
            ])
            .args(["--basic-auth", &self.user, "--force-http"])
            .args(args)
            .output()
            .unwrap()
    }

    /// What it prints; it must succeed.
    pub(super) fn says(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        let (out, err) = (text(&ran.stdout), text(&ran.stderr));
        let log = self.scene.host.log();
        assert!(
            ran.status.success(),
            "{args:?}: {out}{err}\nthe host says: {log}"
        );
        assert!(!out.contains("An error occurred"), "{args:?}: {out}");
        out
    }

    /// What it prints as JSON, value after value.
    pub(super) fn tells(&self, args: &[&str]) -> Vec<Value> {
        let mut all = vec!["--enc=json"];
        all.extend(args);
        let out = self.says(&all);
        let values = serde_json::Deserializer::from_str(&out).into_iter();
        values.map(Result::unwrap).collect()
    }

    /// What it prints when it is refused.
    pub(super) fn is_refused(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        let out = text(&ran.stdout) + &text(&ran.stderr);
        assert!(
            !ran.status.success() || out.contains("An error occurred"),
            "{args:?}: {out}"
        );
        out
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_are_added_listed_updated_and_removed() {
    pins_come_and_go(&Scene::start().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_are_added_listed_updated_and_removed_on_cassandra() {
    pins_come_and_go(&Scene::start_on_cassandra().await);
}

fn pins_come_and_go(scene: &Scene) {
    let ctl = Ctl::new(scene);
    let kelp = scene.node.add(b"kelp holds fast").to_string();
    let wrack = scene.node.add(b"wrack drifts").to_string();

    let added = ctl.says(&[
        "pin",
        "add",
        "--name",
        "kelp",
        "--metadata",
        "a=b",
        "--wait",
        &kelp,
    ]);
    assert!(
        added.contains("PINNED") && added.contains("kelp"),
        "{added}"
    );
    let shown = ctl.tells(&["pin", "ls", &kelp]);
    assert_eq!(shown[0]["cid"], kelp);
    assert_eq!(
        (&shown[0]["name"], &shown[0]["metadata"]["a"]),
        (&"kelp".into(), &"b".into())
    );
    assert_eq!(shown[0]["replication_factor_min"], -1);

    let updated = ctl.says(&["pin", "update", "--no-status", &kelp, &wrack]);
    assert!(updated.contains(&wrack), "{updated}");
    assert_eq!(ctl.tells(&["pin", "ls", &wrack])[0]["name"], "kelp");
    assert_eq!(ctl.tells(&["pin", "ls"]).len(), 2);
    assert_eq!(ctl.tells(&["pin", "ls", "--filter", "shard-pin"]).len(), 0);

    let status = until(
        "both pinned",
        || ctl.tells(&["status", "--filter", "pinned"]),
        |all| all.len() == 2,
    );
    let peer = status[0]["peer_map"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(peer["status"], "pinned");
    assert_eq!(ctl.tells(&["status", &kelp])[0]["cid"], kelp);
    assert_eq!(ctl.tells(&["status", &kelp, &wrack]).len(), 2);
    assert_eq!(ctl.tells(&["status", "--local", &kelp])[0]["cid"], kelp);
    assert!(scene.node.has(&kelp.parse_cid(), "recursive"));

    let removed = ctl.says(&["pin", "rm", "--wait", &kelp]);
    assert!(removed.contains("UNPINNED"), "{removed}");
    assert!(!scene.node.has(&kelp.parse_cid(), "recursive"));
    assert!(
        ctl.is_refused(&["pin", "rm", &kelp])
            .contains("pin is not part of the pinset")
    );
    assert!(ctl.is_refused(&["pin", "ls", &kelp]).contains("Code: 404"));
}

#[tokio::test(flavor = "multi_thread")]
async fn options_mean_what_they_mean_there() {
    let scene = Scene::start().await;
    let ctl = Ctl::new(&scene);
    let [direct, short, one] =
        [&b"direct"[..], b"short-lived", b"one copy"].map(|c| scene.node.add(c).to_string());

    ctl.says(&["pin", "add", "--mode", "direct", "--wait", &direct]);
    assert!(scene.node.has(&direct.parse_cid(), "direct"));
    assert_eq!(ctl.tells(&["pin", "ls", &direct])[0]["max_depth"], 0);

    ctl.says(&["pin", "add", "--expire-in", "3s", "--no-status", &short]);
    let listed = || ctl.tells(&["pin", "ls"]);
    until("the end of a short life", listed, |all| {
        all.iter().all(|pin| pin["cid"] != *short)
    });
    assert!(
        ctl.is_refused(&["pin", "add", "--expire-in", "1ms", &short])
            .contains("expire-at")
    );
    assert_eq!(
        ctl.tells(&["pin", "ls"]).len(),
        1,
        "what is refused is not pinned"
    );

    let peer = ctl.tells(&["id"])[0]["id"].as_str().unwrap().to_owned();
    ctl.says(&[
        "pin",
        "add",
        "--replication",
        "1",
        "--allocations",
        &peer,
        "--wait",
        &one,
    ]);
    assert_eq!(ctl.tells(&["pin", "ls", &one])[0]["allocations"][0], peer);
    let few = ctl.is_refused(&["pin", "add", "--replication", "2", &one]);
    assert!(few.contains("not enough peers to allocate CID"), "{few}");
    let still = &ctl.tells(&["pin", "ls", &one])[0];
    assert_eq!(still["replication_factor_min"], 1);
}

/// A folder with things to add.
struct Things(tempfile::TempDir);

impl Things {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self.path(name)
    }

    fn tree(&self) -> String {
        self.file("tree/small.txt", b"small");
        self.file("tree/deep/er.txt", b"deeper");
        self.path("tree")
    }
}

/// The root of what was added, which is told last.
fn root(added: &[Value]) -> String {
    added.last().unwrap()["cid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_added_in_every_way() {
    let scene = Scene::start().await;
    let ctl = Ctl::new(&scene);
    let things = Things::new();
    let big = things.file("big.bin", &vec![7; 3_000_000]);

    let added = ctl.tells(&["add", "--wait", "--name", "big", &big]);
    let cid = root(&added);
    assert_eq!(added[0]["name"], "big.bin");
    assert_eq!(
        cid,
        scene.node.ipfs(&["add", "-Q", "--only-hash", &big]).trim()
    );
    assert!(scene.node.has(&cid.parse_cid(), "recursive"));
    assert_eq!(ctl.tells(&["pin", "ls", &cid])[0]["name"], "big");

    for (args, theirs) in [
        (vec!["--cid-version", "1"], vec!["--cid-version=1"]),
        (vec!["--layout", "trickle"], vec!["--trickle"]),
        (
            vec!["--chunker", "size-1000000"],
            vec!["--chunker=size-1000000"],
        ),
        (vec!["--raw-leaves"], vec!["--raw-leaves"]),
        (
            vec!["--hash", "sha3-512"],
            vec!["--hash=sha3-512", "--cid-version=1"],
        ),
    ] {
        let (mut ours, mut same) = (vec!["add"], vec!["add", "-Q", "--only-hash"]);
        ours.extend(&args);
        ours.push(&big);
        same.extend(&theirs);
        same.push(&big);
        assert_eq!(
            root(&ctl.tells(&ours)),
            scene.node.ipfs(&same).trim(),
            "{args:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_archives_are_added() {
    let scene = Scene::start().await;
    let ctl = Ctl::new(&scene);
    let things = Things::new();
    let tree = things.tree();
    let small = things.path("tree/small.txt");

    let added = ctl.tells(&["add", "--recursive", &tree]);
    let whole = scene.node.ipfs(&["add", "-Q", "--only-hash", "-r", &tree]);
    assert_eq!((root(&added), added.len()), (whole.trim().to_owned(), 4));
    let other = things.file("big.bin", &vec![7; 3_000_000]);
    let wrapped = root(&ctl.tells(&["add", &other, &small]));
    let names = scene.node.ipfs(&["ls", &wrapped]);
    assert!(
        names.contains("big.bin") && names.contains("small.txt"),
        "{names}"
    );
    let quiet = ctl.says(&["add", "-Q", "--no-stream", &small]);
    assert_eq!(quiet.lines().count(), 1);

    let unpinned = root(&ctl.tells(&["add", "--no-pin", &things.file("not.txt", b"not pinned")]));
    let refused = ctl.is_refused(&["pin", "ls", &unpinned]);
    assert!(refused.contains("not part of the pinset"), "{refused}");

    // An archive of what a node has comes back as the same root.
    let exported = scene.node.ipfs_bytes(&["dag", "export", whole.trim()]);
    let archive = things.file("tree.car", &exported);
    ctl.says(&["pin", "rm", "--wait", whole.trim()]);
    let imported = ctl.tells(&["add", "--format", "car", "--wait", &archive]);
    assert_eq!(root(&imported), whole.trim());
    assert!(scene.node.has(&whole.trim().parse_cid(), "recursive"));
    let no_archive = ctl.is_refused(&["add", "--format", "car", &small]);
    assert!(no_archive.contains("Message"), "{no_archive}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_tells_of_itself() {
    let mut scene = Scene::start().await;
    let ctl = Ctl::new(&scene);
    let id = &ctl.tells(&["id"])[0];
    let peer = scene.node.ipfs(&["id", "--format=<id>"]);
    assert_eq!(
        (&id["id"], &id["ipfs"]["id"]),
        (&peer.clone().into(), &peer.clone().into())
    );
    assert!(ctl.says(&["version"]).starts_with("1.0.8+holdfast."));
    assert_eq!(ctl.tells(&["peers", "ls"]).len(), 1);
    assert!(ctl.is_refused(&["peers", "rm", &peer]).contains("kubo.api"));
    peers_are_taken_in_if_they_are_some(&scene, &peer);
    every_protocol_has_its_bandwidth(&scene);

    assert!(ctl.says(&["health", "graph"]).contains("digraph cluster"));
    assert_eq!(
        ctl.says(&["health", "metrics"]),
        "freespace\nping\npinqueue\n"
    );
    for name in ["freespace", "ping", "pinqueue"] {
        let metrics = ctl.says(&["health", "metrics", name]);
        assert!(
            metrics.starts_with(&format!("{peer} | {name}: ")),
            "{metrics}"
        );
    }
    assert_eq!(ctl.says(&["health", "alerts"]), "");

    let gone = scene.node.add(b"nobody keeps this").to_string();
    let collected = ctl.says(&["ipfs", "gc"]);
    assert!(
        collected.contains("> CIDs:") && collected.contains(&gone),
        "{collected}"
    );
    assert!(ctl.says(&["ipfs", "gc", "--local"]).contains("> CIDs:"));
    assert!(ctl.says(&["commands"]).contains("pin"));

    scene.node.kill();
    let ctl = Ctl::new(&scene);
    let alerts = || ctl.says(&["health", "alerts"]);
    let alerts = until("an alert", alerts, |alerts| !alerts.is_empty());
    assert!(
        alerts.starts_with(&format!("{peer}: ping. Expired at: ")),
        "{alerts}"
    );
    assert!(ctl.says(&["peers", "ls"]).contains("IPFS ERROR"));
}

/// The client has no command for it.
fn peers_are_taken_in_if_they_are_some(scene: &Scene, peer: &str) {
    let add = |peer: &str| {
        let wanted = json!({ "peer_id": peer });
        try_ask(scene.cluster, "POST", "/peers", &scene.key, Some(&wanted)).unwrap()
    };
    let (status, told) = add(peer);
    assert_eq!((status, &told["id"]), (200, &peer.into()));
    let (status, told) = add("12D3KooWGgnZjY6YDoSY3Ccwrg61H4QSnwmJhJJabAy3Y34Zvi5h");
    assert_eq!(status, 501, "{told}");
    assert!(
        told["message"].as_str().unwrap().contains("kubo.api"),
        "{told}"
    );
}

/// Nor for this, in that release.
fn every_protocol_has_its_bandwidth(scene: &Scene) {
    let asked = try_ask(scene.cluster, "GET", "/health/bandwidth", &scene.key, None);
    let (status, told) = asked.unwrap();
    assert_eq!(status, 200, "{told}");
    let protocols: Vec<_> = told.as_object().unwrap().iter().collect();
    assert_eq!(protocols.len(), 4, "{told}");
    for (name, measured) in protocols {
        assert!(name.starts_with("/ipfs/"), "{told}");
        for total in ["total_in", "total_out"] {
            assert!(measured[total].is_u64(), "{told}");
        }
        for rate in ["rate_in", "rate_out"] {
            assert!(measured[rate].is_f64(), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_recovered_and_what_was_lost_is_found() {
    let scene = Scene::start().await;
    let ctl = Ctl::new(&scene);
    let lost = scene.node.add(b"lost behind our back").to_string();
    ctl.says(&["pin", "add", "--wait", &lost]);
    scene.node.ipfs(&["pin", "rm", &lost]);
    ctl.says(&["recover", &lost]);
    until(
        "it is pinned again",
        || scene.node.has(&lost.parse_cid(), "recursive"),
        |has| *has,
    );

    // Content that nobody has fails, and is queued anew when somebody asks.
    let elsewhere = KuboNode::start().await;
    let missing = elsewhere.add(b"not here yet").to_string();
    ctl.says(&["pin", "add", "--no-status", &missing]);
    let failed = || ctl.tells(&["status", "--filter", "pin_error"]);
    until("a failure", failed, |all| all.len() == 1);
    let again = ctl.tells(&["recover"]);
    assert_eq!(
        (again.len(), &again[0]["cid"]),
        (1, &missing.clone().into())
    );
    scene.node.ipfs(&[
        "swarm",
        "connect",
        elsewhere.address().lines().next().unwrap(),
    ]);
    ctl.says(&["recover", "--local", &missing]);
    until(
        "it comes",
        || ctl.tells(&["status", &missing]),
        |all| all[0]["peer_map"].to_string().contains("\"pinned\""),
    );
    assert_eq!(
        ctl.tells(&["recover"]).len(),
        0,
        "nothing is left to be done"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_where_they_are_wanted() {
    let other = KuboNode::start().await;
    let scene = Scene::start_beside(&other).await;
    let ctl = Ctl::new(&scene);
    let address = other.address();
    scene
        .node
        .ipfs(&["swarm", "connect", address.lines().next().unwrap()]);
    until(
        "two peers",
        || ctl.tells(&["peers", "ls"]).len(),
        |count| *count == 2,
    );
    let [first, second] = [&scene.node, &other].map(|node| node.ipfs(&["id", "--format=<id>"]));
    let cid = scene.node.add(b"one copy, there").to_string();
    ctl.says(&[
        "pin",
        "add",
        "--replication",
        "1",
        "--allocations",
        &second,
        "--wait",
        &cid,
    ]);
    let on = |peer: &str| ctl.tells(&["status", &cid])[0]["peer_map"][peer]["status"].clone();
    assert_eq!(
        (on(&second), on(&first)),
        ("pinned".into(), "remote".into())
    );
    assert!(other.has(&cid.parse_cid(), "recursive"));
    assert!(!scene.node.has(&cid.parse_cid(), "recursive"));
    ctl.says(&["pin", "add", "--replication", "-1", "--no-status", &cid]);
    until("a copy on each", || on(&first), |status| status == "pinned");
    assert_eq!(
        ctl.tells(&["pin", "ls", &cid])[0]["allocations"],
        Value::Array(Vec::new())
    );
    ctl.says(&["pin", "rm", "--wait", &cid]);
    assert!(
        ![&scene.node, &other]
            .iter()
            .any(|node| node.has(&cid.parse_cid(), "recursive"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_names_lead_to_what_is_pinned() {
    let scene = Scene::start().await;
    let ctl = Ctl::new(&scene);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a b.txt"), b"a leaf").unwrap();
    let args = [
        "add",
        "-Q",
        "-r",
        "--pin=false",
        "--cid-version=1",
        dir.path().to_str().unwrap(),
    ];
    let root = scene.node.ipfs(&args).trim().to_owned();
    let leaf = scene.node.add(b"a leaf").to_string();
    let pinned = ctl.says(&[
        "pin",
        "add",
        "--no-status",
        &format!("/ipfs/{root}/a b.txt"),
    ]);
    assert!(pinned.contains(&leaf), "{pinned}");
    let removed = ctl.says(&["pin", "rm", "--no-status", &format!("/ipfs/{root}/a b.txt")]);
    assert!(removed.contains(&leaf), "{removed}");
    let none = ctl.is_refused(&["pin", "add", &format!("/ipfs/{root}/nothing")]);
    assert!(none.contains("no link named"), "{none}");
    scene
        .node
        .ipfs(&["name", "publish", "--allow-offline", &root]);
    let name = scene.node.ipfs(&["id", "--format=<id>"]);
    let pinned = ctl.says(&["pin", "add", "--no-status", &format!("/ipns/{name}")]);
    assert!(pinned.contains(&root), "{pinned}");
    let allocation = format!("/allocations/{root}");
    let by_path = |method: &str, path: &str, there: u16| {
        let call = |method: &str, path: &str| {
            try_ask(scene.cluster, method, path, &scene.key, None).unwrap()
        };
        let (status, told) = call(method, path);
        assert_eq!(
            (status, &told["cid"]),
            (200, &root.clone().into()),
            "{path}"
        );
        assert_eq!(call("GET", &allocation).0, there, "{method} {path}");
    };
    by_path("DELETE", &format!("/pins/ipns/{name}"), 404);
    by_path("POST", &format!("/pins/ipld/{root}"), 200);
    by_path("DELETE", &format!("/pins/ipld/{root}"), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_password_is_not_let_in() {
    let scene = Scene::start().await;
    let mut ctl = Ctl::new(&scene);
    ctl.user = format!("{}:wrong", scene.user());
    assert!(ctl.is_refused(&["id"]).contains("Code: 401"));
}

trait ParseCid {
    fn parse_cid(&self) -> holdfast_model::Cid;
}

impl ParseCid for str {
    fn parse_cid(&self) -> holdfast_model::Cid {
        holdfast_model::Cid::parse(self).unwrap()
    }
}
