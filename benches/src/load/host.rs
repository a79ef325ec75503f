//! The release binary, started as an operator would start it: its own process, the embedded store
//! in a fresh directory, the shipped policies and plugins.

use crate::client;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long the host may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(30);

/// A running host; ends with this value.
pub(crate) struct Host {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
    pub(crate) key: String,
    /// From the start of the process until `/health/ready` said yes.
    pub(crate) started_in: Duration,
}

/// The first administrator's key. The same for each host: some start over a store that has it.
const KEY: &str = "load-hosts-live-for-a-minute-each";

impl Host {
    /// Starts the binary.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        Self::start_over(binary, None)
    }

    /// Starts the binary over data that is there already, or over none.
    pub(crate) fn start_over(binary: &Path, data: Option<&Path>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let fresh = dir.path().join("data");
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        for entry in std::fs::read_dir(repository().join("plugins/dist"))
            .context("there is no plugins/dist: run plugins/build first")?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            if matches!(
                name.to_str(),
                Some("pricing-tiered.wasm" | "authorizer-quota.wasm")
            ) {
                std::fs::copy(&path, plugins.join(name))?;
            }
        }
        let (addr, ops) = (free_addr()?, free_addr()?);
        let key = KEY.to_owned();
        let log = File::create(dir.path().join("log"))?;
        let begin = Instant::now();
        let child = Command::new(binary)
            .arg("serve")
            .args(["--data".as_ref(), data.unwrap_or(&fresh).as_os_str()])
            .args(["--listen", &addr.to_string()])
            .env("HOLDFAST_OPS__LISTEN", ops.to_string())
            .env("HOLDFAST_BOOTSTRAP_ADMIN_KEY", &key)
            .env("HOLDFAST_PLUGINS__DIR", &plugins)
            .env("HOLDFAST_POLICIES__DIR", repository().join("policies"))
            .env("HOLDFAST_KUBO__API", "http://127.0.0.1:1")
            // One caller makes all calls here; they are counted all the same.
            .env("HOLDFAST_LIMITS__CALLS_PER_SECOND", "1000000")
            .env("HOLDFAST_LIMITS__CALLS_BURST", "1000000")
            .env("HOLDFAST_LOG__LEVEL", "warn")
            .current_dir(dir.path())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut host = Self {
            child,
            dir,
            addr,
            key,
            started_in: Duration::ZERO,
        };
        host.wait_until_ready(ops, begin)?;
        Ok(host)
    }

    fn wait_until_ready(&mut self, ops: SocketAddr, begin: Instant) -> Result<()> {
        let request = b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
        while begin.elapsed() < READY_MAX {
            if let Ok((200, _)) = client::call(ops, request) {
                self.started_in = begin.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended with {status}: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("the host is not ready after {READY_MAX:?}: {}", self.log())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// KiB of memory that the host has, as the system counts them.
    pub(crate) fn resident_kib(&self) -> Result<u32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("the system tells no VmRSS")?.parse()?)
    }

    /// The folder that the host watches for plugins.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An address that was free a moment ago.
pub(crate) fn free_addr() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
        .to_path_buf()
}
