//! `make run-cql`, as somebody runs it who has just cloned the repository: the script, and then the
//! commands that it greets with.

use crate::support::process::{PATIENCE, component, repository, until};
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

/// What the outside gives a shell; everything else is left to the script.
const KEPT: [&str; 4] = ["PATH", "HOME", "JAVA_HOME", "HOLDFAST_TOOLS"];

/// The script, running, with a folder and ports of its own. It is told to end when it is dropped.
struct Quickstart {
    script: Child,
    folder: tempfile::TempDir,
    server: SocketAddr,
}

impl Quickstart {
    fn on_cassandra() -> Self {
        // Built, if they are not: the script is told to build nothing.
        component("pricing-tiered.wasm");
        let folder = tempfile::tempdir().unwrap();
        let [server, ops, cluster] = [(); 3].map(|()| free());
        let log = File::create(folder.path().join("log")).unwrap();
        let script = command(&repository().join("examples/quickstart/run"))
            .arg("cql")
            .env("HOLDFAST_BINARY", env!("CARGO_BIN_EXE_holdfast"))
            .env("HOLDFAST_RUN", folder.path().join("run"))
            .env("HOLDFAST_SERVER__LISTEN", server.to_string())
            .env("HOLDFAST_OPS__LISTEN", ops.to_string())
            .env("HOLDFAST_CLUSTER__LISTEN", cluster.to_string())
            // Nobody answers there, so that it starts a Kubo node of its own.
            .env("HOLDFAST_KUBO__API", "http://127.0.0.1:9")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            script,
            folder,
            server,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What it greets with, when everything runs: the commands to try, in their order.
    fn greeting(&mut self) -> Vec<String> {
        let (begun, last) = (Instant::now(), "Ctrl-C stops it.");
        while !self.log().contains(last) {
            let ended = self.script.try_wait().unwrap();
            let is_late = begun.elapsed() > 2 * PATIENCE;
            assert!(ended.is_none() && !is_late, "{ended:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = self.log();
        let (_, told) = log.split_once("Three commands to try").unwrap();
        let lines = told.lines().filter_map(|line| line.strip_prefix("    "));
        lines.map(str::to_owned).collect()
    }

    /// Runs some commands in another terminal.
    fn shell(&self, script: &str) -> Output {
        let mut shell = command(Path::new("bash"));
        shell.args(["-euo", "pipefail", "-c", script]);
        shell.current_dir(self.folder.path()).output().unwrap()
    }

    /// Has it stop, as who closes the terminal does.
    fn stop(&mut self) -> ExitStatus {
        let id = self.script.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.unwrap().success());
        self.script.wait().unwrap()
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        if let Ok(None) = self.script.try_wait() {
            self.stop();
        }
    }
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let given = KEPT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(given);
    command
}

fn free() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

fn is_there(process: &str) -> bool {
    PathBuf::from("/proc").join(process).exists()
}

#[test]
fn the_quickstart_on_cassandra_pins_a_file_and_ends() {
    let mut quickstart = Quickstart::on_cassandra();
    let commands = quickstart.greeting();
    let [environment, add_service, add, quote] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    let output = quickstart.shell(&format!("{environment}\n{add_service}\n{add}"));
    let said = format!("{output:?}; {}", quickstart.log());
    assert!(output.status.success(), "{said}");
    let pinned = String::from_utf8(output.stdout).unwrap();
    assert!(pinned.contains("Status: pinned"), "{said}");
    let quoted = quickstart.shell(&format!("{environment}\n{quote}"));
    assert!(quoted.status.success(), "{quoted:?}");

    // All of it ends, and the server that it started too.
    let cassandra = quickstart.folder.path().join("run/cassandra");
    let servers = servers(&cassandra);
    assert!(
        !servers.is_empty(),
        "no process works in {}",
        cassandra.display()
    );
    assert_eq!(quickstart.stop().code(), Some(143), "{}", quickstart.log());
    assert!(TcpStream::connect(quickstart.server).is_err());
    let left = || servers.iter().filter(|id| is_there(id)).count();
    until("the servers to end", left, |left| *left == 0);
}

/// Processes that were started with a folder.
fn servers(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_of = |id: &String| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&folder)
    };
    ids.filter(is_of).collect()
}
