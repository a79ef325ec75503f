//! Private IPFS Cluster peers: the real program, on ports of their own, with no Kubo behind.

use super::kubo::free_port;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A peer starts within seconds; a loaded machine gets more.
const START_MAX: Duration = Duration::from_secs(120);

/// Whether a peer that has written this `log` may be asked.
///
/// Its REST API listens before the parts behind it are joined, and a call that comes between brings
/// the peer down (v1.0.8: components are started before `Cluster.setupRPCClients`). What it writes
/// next, with or without a Kubo behind it, is whom it knows.
pub(crate) fn is_joined(log: &Path) -> bool {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.contains("Cluster Peers (without including ourselves)")
}

/// A peer's folder, and the peer while it runs. Killed when dropped.
pub(crate) struct IpfsCluster {
    dir: tempfile::TempDir,
    port: u16,
    daemon: Option<Child>,
}

impl IpfsCluster {
    /// A new peer that has never run, with nothing pinned.
    pub(crate) fn new() -> Self {
        Self::begin("crdt", None)
    }

    /// Two peers that may be one cluster. Neither has run, nor knows where the other is.
    pub(crate) fn two(consensus: &str) -> [Self; 2] {
        // Their own: peers with one secret find each other on the machine, whoever started them.
        let half = || uuid::Uuid::now_v7().simple();
        let secret = format!("{}{}", half(), half());
        [(); 2].map(|()| Self::begin(consensus, Some(&secret)))
    }

    fn begin(consensus: &str, secret: Option<&str>) -> Self {
        let cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            daemon: None,
        };
        let mut command = cluster.command();
        command.envs(secret.map(|secret| ("CLUSTER_SECRET", secret)));
        succeed(command.args(["init", "--consensus", consensus, "--randomports"]));
        keep_ports(cluster.dir());
        cluster
    }

    /// Its REST API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder that commands for it must be told: `IPFS_CLUSTER_PATH`.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where other peers reach it.
    pub(crate) fn address(&self) -> String {
        let file = |name: &str| -> serde_json::Value {
            let text = std::fs::read(self.dir().join(name)).unwrap();
            serde_json::from_slice(&text).unwrap()
        };
        let (settings, identity) = (file("service.json"), file("identity.json"));
        let listens = settings["cluster"]["listen_multiaddress"][0].as_str();
        let listens = listens.unwrap().replace("0.0.0.0", "127.0.0.1");
        format!("{listens}/p2p/{}", identity["id"].as_str().unwrap())
    }

    /// Runs `ipfs-cluster-service`, which must succeed.
    pub(crate) fn must(&self, arguments: &[&str]) -> Output {
        succeed(self.command().args(arguments))
    }

    /// Starts the peer, and waits until it answers.
    pub(crate) fn run(&mut self) {
        let mut command = self.command();
        command.arg("daemon");
        self.run_as(command);
    }

    /// Starts the peer by a command of one's own, and waits until it answers.
    pub(crate) fn run_as(&mut self, mut command: Command) {
        let written = self.dir().join("log");
        let log = std::fs::File::create(&written).unwrap();
        command
            .envs(self.environment())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null());
        self.daemon = Some(command.spawn().unwrap());
        let begin = Instant::now();
        let mut ready = false;
        while !ready {
            let log = || std::fs::read_to_string(&written).unwrap_or_default();
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "the peer has ended: {}", log());
            assert!(begin.elapsed() < START_MAX, "no peer answers: {}", log());
            std::thread::sleep(Duration::from_millis(50));
            ready = is_joined(&written) && self.ask("GET", "/id").0 == 200;
        }
    }

    /// Ends the peer as an operator does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let id = daemon.id().to_string();
            assert!(Command::new("kill").arg(&id).status().unwrap().success());
            daemon.wait().unwrap();
        }
    }

    /// Calls its REST API; 0 if nobody answers.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        ask_peer(self.port, method, path)
    }

    /// How many pins it has; none while it does not answer.
    pub(crate) fn pins(&self) -> usize {
        let (_, pins) = self.ask("GET", "/allocations");
        pins.lines().filter(|line| line.contains("\"cid\"")).count()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.envs(self.environment());
        command
    }

    /// What its program is told beside its files.
    fn environment(&self) -> [(&'static str, String); 3] {
        let listens = format!("/ip4/127.0.0.1/tcp/{}", self.port);
        [
            ("IPFS_CLUSTER_PATH", self.dir().display().to_string()),
            ("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", listens),
            // With CRDT it tells others what it has once a minute, if it is not told otherwise.
            ("CLUSTER_CRDT_REBROADCASTINTERVAL", "1s".to_owned()),
        ]
    }
}

/// Has a peer that was begun with `--randomports` listen where nobody else does when it runs. Those
/// are ports that the system has just given away, and it gives them to others again.
pub(crate) fn keep_ports(dir: &Path) {
    const SYSTEMS: u16 = 32_768;
    let file = dir.join("service.json");
    let kept = |settings: String, protocol: &str| {
        let mut parts = settings.split(protocol);
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |kept, part| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap();
            let (port, rest) = part.split_at(end);
            match port.parse().unwrap() {
                SYSTEMS.. => format!("{kept}{protocol}{}{rest}", free_port()),
                port => format!("{kept}{protocol}{port}{rest}"),
            }
        })
    };
    let settings = std::fs::read_to_string(&file).unwrap();
    let settings = ["/tcp/", "/udp/"].into_iter().fold(settings, kept);
    std::fs::write(&file, settings).unwrap();
}

/// Runs a command that must succeed.
fn succeed(command: &mut Command) -> Output {
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {said}");
    ran
}

impl Drop for IpfsCluster {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}

/// Calls the REST API of a peer at this port, without a body: its status and what it answers; 0 if
/// nobody does.
pub(crate) fn ask_peer(port: u16, method: &str, path: &str) -> (u16, String) {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(START_MAX))?;
        // By HTTP/1.0, so that the body comes as it is, without the lengths of its chunks.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = answer().unwrap_or_default();
    let status = answer.get(9..12).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or(0), body.to_owned())
}

/// `ipfs-cluster-service`, which the installer puts down if it is not there yet.
pub(crate) fn program() -> PathBuf {
    static PROGRAM: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let found = || {
        let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/install");
        let name = "ipfs-cluster-service";
        let ran = Command::new(installer).arg(name).output().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        let path = said.trim().strip_prefix("ipfs-cluster-service ");
        path.map(PathBuf::from).unwrap_or_else(|| {
            panic!(
                "{installer} {name}: {}",
                String::from_utf8_lossy(&ran.stderr)
            )
        })
    };
    PROGRAM.get_or_init(found).clone()
}
