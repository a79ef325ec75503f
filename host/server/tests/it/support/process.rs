//! The real binary as a child process, with the plugins and policies of this repository: what an
//! operator starts, as an operator starts it.

use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long anything may take until a test calls it hung; generous, the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A running `holdfast serve`; ends with this value.
pub(crate) struct Holdfast {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
    pub(crate) ops: SocketAddr,
    pub(crate) key: String,
}

impl Holdfast {
    /// Starts the binary over a Kubo node and waits until it is ready.
    pub(crate) fn start(kubo_api: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in ["pricing-tiered.wasm", "authorizer-quota.wasm"] {
            std::fs::copy(component(name), plugins.join(name)).unwrap();
        }
        let (addr, ops) = (free_addr(), free_addr());
        let key = format!("test-admin-{}", uuid::Uuid::now_v7().simple());
        let log = File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .arg("serve")
            .args(["--data".as_ref(), dir.path().join("data").as_os_str()])
            .args(["--listen", &addr.to_string()])
            .env("HOLDFAST_OPS__LISTEN", ops.to_string())
            .env("HOLDFAST_BOOTSTRAP_ADMIN_KEY", &key)
            .env("HOLDFAST_PLUGINS__DIR", &plugins)
            .env("HOLDFAST_POLICIES__DIR", repository().join("policies"))
            .env("HOLDFAST_KUBO__API", kubo_api)
            .current_dir(dir.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut host = Self {
            child,
            dir,
            addr,
            ops,
            key,
        };
        host.wait_until_ready();
        host
    }

    fn wait_until_ready(&mut self) {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Ok((200, _)) = try_ask(self.ops, "GET", "/health/ready", "", None) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the host ended with {ended:?}: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the host is not ready: {}", self.log());
    }

    /// Everything that the host has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Calls the host's API as the holder of `key`.
    pub(crate) fn ask(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        try_ask(self.addr, method, path, key, body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}; the host says: {}", self.log()))
    }

    /// Puts a component into the watched folder under `name`, whole at once.
    pub(crate) fn drop_in(&self, name: &str, component: &[u8]) {
        let folder = self.dir.path().join("plugins");
        std::fs::write(folder.join("incoming.tmp"), component).unwrap();
        std::fs::rename(folder.join("incoming.tmp"), folder.join(name)).unwrap();
    }

    /// Writes a plugin's settings file, whole at once.
    pub(crate) fn settings(&self, name: &str, toml: &str) {
        self.drop_in(&format!("{name}.toml"), toml.as_bytes());
    }
}

impl Drop for Holdfast {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Asks again until `wanted` holds of the answer, and gives the answer.
pub(crate) fn until<T: std::fmt::Debug>(
    what: &str,
    mut ask: impl FnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let begin = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{what} did not come about; the last answer: {answer:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn try_ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    key: &str,
    body: Option<&Value>,
) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_path_buf()
}

/// A built component.
pub(crate) fn component(name: &str) -> PathBuf {
    super::plugins::dist().join(name)
}
