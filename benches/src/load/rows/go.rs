//! What nodes of IPFS Cluster that keep their pin set here are like: programs of
//! `examples/ipfs-cluster`, built for the row with the Go that is installed.

use super::{Plan, ROUNDS, state};
use crate::host::{Host, free_addr, repository};
use crate::table::Row;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a peer writes once its consensus is ready, and so its state up to date (`Cluster.ready`).
/// It then waits for its Kubo, of which there is none here.
const READY: &str = "Cluster Peers (without including ourselves)";

/// How long a peer may take until it says so.
const READY_MAX: Duration = Duration::from_secs(60);

/// Milliseconds in which a new node is to be ready: "seconds".
const READY_GOAL_MS: f64 = 5_000.0;

/// What the bench of both sides prints.
#[derive(Deserialize)]
struct Printed {
    rows: Vec<Row>,
}

/// Reads of single pins from Go, beside a peer of IPFS Cluster.
pub(super) fn state_get(plan: &Plan) -> Result<Row> {
    beside_a_peer(plan, "go_state_get")
}

/// Durable writes of single pins from Go, beside the same.
pub(super) fn state_put(plan: &Plan) -> Result<Row> {
    beside_a_peer(plan, "go_state_put")
}

fn beside_a_peer(plan: &Plan, name: &str) -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let said = Command::new(built("state-bench", dir.path())?)
        .args(["--peer", &installed("ipfs-cluster-service")?])
        .args(["--seconds", &plan.stretch.as_secs().to_string()])
        .args(["--row", name])
        .env("HOLDFAST_BIN", &plan.binary)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        said.status.success(),
        "state-bench ended with {}",
        said.status
    );
    let printed: Printed = serde_json::from_slice(&said.stdout)?;
    let row = printed.rows.into_iter().next();
    row.context("state-bench printed no row")
}

/// From `exec` of a new node to its saying that it is ready, over a host with many pins.
pub(super) fn node_ready_ms(plan: &Plan) -> Result<Row> {
    let host = Host::start_over(&plan.binary, Some(&state::loaded(plan)?.data()))?;
    let key = state::node(&host)?;
    let dir = tempfile::tempdir()?;
    let program = built("ipfs-cluster-service", dir.path())?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let node = Node::start(&program, &host, &key)?;
        let ms = u32::try_from(node.ready_in.as_millis()).unwrap_or(u32::MAX);
        pairs.push((f64::from(ms), READY_GOAL_MS));
    }
    let name = "node_ready_ms";
    Ok(Row::from_pairs(
        name,
        "ms",
        "the goal itself",
        "<= 5 s",
        &pairs,
    ))
}

/// A node with nothing of its own yet; ends with this value.
struct Node {
    child: Child,
    ready_in: Duration,
    _dir: tempfile::TempDir,
}

impl Node {
    fn start(program: &Path, host: &Host, key: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let rest = format!("/ip4/127.0.0.1/tcp/{}", free_addr()?.port());
        let command = |verb: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(verb)
                .env("IPFS_CLUSTER_PATH", dir.path())
                .env("CLUSTER_HOLDFAST_HOSTS", format!("http://{}", host.addr))
                .env("CLUSTER_HOLDFAST_KEY", key)
                .env("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", &rest)
                .env("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", "/ip4/127.0.0.1/tcp/1");
            command
        };
        let made = command(&["init", "--randomports"]).output()?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "ipfs-cluster-service init: {said}");
        let path = dir.path().join("log");
        let log = File::create(&path)?;
        let begin = Instant::now();
        let child = command(&["daemon"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut node = Self {
            child,
            ready_in: Duration::ZERO,
            _dir: dir,
        };
        while begin.elapsed() < READY_MAX {
            if std::fs::read_to_string(&path)?.contains(READY) {
                node.ready_in = begin.elapsed();
                return Ok(node);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("a node is not ready: {}", std::fs::read_to_string(&path)?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A program of `examples/ipfs-cluster`.
fn built(name: &str, dir: &Path) -> Result<PathBuf> {
    let program = dir.join(name);
    let ran = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(format!("./cmd/{name}"))
        .current_dir(repository().join("examples/ipfs-cluster"))
        .output()
        .context("go cannot be run; these rows need Go")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "go build {name}: {said}");
    Ok(program)
}

/// A tool of the tests, built if it is not there yet.
fn installed(name: &str) -> Result<String> {
    let installer = repository().join(".ci/tools/install");
    let said = Command::new(installer).arg(name).output()?;
    let text = String::from_utf8(said.stdout)?;
    ensure!(said.status.success(), "{name} cannot be installed");
    let path = text.trim().strip_prefix(&format!("{name} "));
    Ok(path.context("the installer names no path")?.to_owned())
}
