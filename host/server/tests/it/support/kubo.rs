//! A private Kubo node: real, empty, on ports of its own, connected to nobody.

use holdfast_model::Cid;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A node starts within a second here; a loaded machine gets more.
const START_MAX: Duration = Duration::from_secs(60);

/// A node. Killed when dropped.
pub(crate) struct KuboNode {
    home: TempDir,
    port: u16,
    daemon: Option<Child>,
}

impl KuboNode {
    /// A new node, running.
    pub(crate) async fn start() -> Self {
        Self::start_at(free_port()).await
    }

    /// Puts another node, with nothing in it, in this one's place.
    pub(crate) async fn replace(&mut self) {
        self.kill();
        *self = Self::start_at(self.port).await;
    }

    async fn start_at(port: u16) -> Self {
        let mut node = Self {
            home: tempfile::tempdir().unwrap(),
            port,
            daemon: None,
        };
        node.ipfs(&["init", "--profile=server,test"]);
        node.ipfs(&["bootstrap", "rm", "--all"]);
        let api = format!("/ip4/127.0.0.1/tcp/{}", node.port);
        node.ipfs(&["config", "Addresses.API", &api]);
        let swarm = format!("[\"/ip4/127.0.0.1/tcp/{}\"]", free_port());
        node.ipfs(&["config", "--json", "Addresses.Swarm", &swarm]);
        node.resume().await;
        node
    }

    /// Its RPC address.
    pub(crate) fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where other nodes reach it.
    pub(crate) fn address(&self) -> String {
        self.ipfs(&["id", "--format=<addrs>"])
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Starts it again if it was killed.
    pub(crate) async fn resume_if_down(&mut self) {
        if self.daemon.is_none() {
            self.resume().await;
        }
    }

    /// Starts it again, with what it had.
    pub(crate) async fn resume(&mut self) {
        let log = std::fs::File::create(self.home.path().join("daemon.log")).unwrap();
        let mut command = self.command(&["daemon"]);
        command
            .stdout(Stdio::null())
            .stderr(log)
            .stdin(Stdio::null());
        self.daemon = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while !self.answers() {
            assert!(begun.elapsed() < START_MAX, "the node does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Adds content without pinning it.
    pub(crate) fn add(&self, content: &[u8]) -> Cid {
        let file = self.home.path().join("content");
        std::fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        let cid = self.ipfs(&["add", "--quieter", "--pin=false", "--cid-version=1", file]);
        Cid::parse(cid.trim()).unwrap()
    }

    /// Bytes of a DAG, as Kubo's file API counts them.
    pub(crate) fn size(&self, cid: &Cid) -> u64 {
        let path = format!("/ipfs/{cid}");
        let size = self.ipfs(&["files", "stat", "--format=<cumulsize>", &path]);
        size.trim().parse().unwrap()
    }

    /// Whether it has the pin: `recursive` or `direct`.
    pub(crate) fn has(&self, cid: &Cid, depth: &str) -> bool {
        let pins = self.ipfs(&["pin", "ls", "--quiet", "--type", depth]);
        pins.lines().any(|line| line == cid.to_string())
    }

    /// How many calls of this name it is working on.
    pub(crate) fn busy_with(&self, call: &str) -> usize {
        let calls = self.ipfs(&["diag", "cmds"]);
        let active = |line: &&str| line.contains(call) && line.contains("true");
        calls.lines().filter(active).count()
    }

    /// What the command line client prints, which may be no text.
    pub(crate) fn ipfs_bytes(&self, args: &[&str]) -> Vec<u8> {
        let ran = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "ipfs {args:?}: {said}");
        ran.stdout
    }

    /// Runs the command line client on it.
    pub(crate) fn ipfs(&self, args: &[&str]) -> String {
        let ran = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "ipfs {args:?}: {said}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// It listens once it can be called.
    fn answers(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .env("IPFS_PATH", self.home.path().join("repo"));
        command
    }
}

impl Drop for KuboNode {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The `ipfs` program: `HOLDFAST_TEST_KUBO`, or the one that the installer puts down if it
/// is not there yet.
fn program() -> PathBuf {
    static PROGRAM: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let found = || {
        if let Some(named) = std::env::var_os("HOLDFAST_TEST_KUBO") {
            return named.into();
        }
        let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/install");
        let ran = Command::new(installer).arg("kubo").output().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        let path = said.trim().strip_prefix("ipfs ").map(PathBuf::from);
        path.unwrap_or_else(|| panic!("{installer} kubo: {}", String::from_utf8_lossy(&ran.stderr)))
    };
    PROGRAM.get_or_init(found).clone()
}

/// A port that nobody listens on now. It lies below those that the system gives to whoever asks it
/// for any (from 32768 on), so that no test that runs beside takes it before a server does.
pub(crate) fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const PORTS: u32 = 12_000;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..PORTS)
        .map(|_| std::process::id().wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|n| u16::try_from(FIRST + n % PORTS).ok())
        .find(is_free)
        .expect("no port is free")
}
