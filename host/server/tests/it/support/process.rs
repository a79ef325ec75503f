//! The real binary as a child process, with the plugins and policies of this repository: what an
//! operator starts, as an operator starts it.

use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// How long anything may take until a test calls it hung; generous, the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How a host is to be started.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) kubo_api: String,
    /// Variables beside those that every host here has.
    pub(crate) variables: Vec<(String, String)>,
    /// What `holdfast.toml` says in the folder that it runs in.
    pub(crate) file: String,
    /// What it does; nothing for everything.
    pub(crate) roles: Vec<&'static str>,
    /// Where it listens, if not at 127.0.0.1.
    pub(crate) ip: Option<IpAddr>,
    /// The first administrator's key, if not a new one.
    pub(crate) key: Option<String>,
}

/// A running `holdfast serve`; ends with this value.
pub(crate) struct Holdfast {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
    pub(crate) ops: SocketAddr,
    pub(crate) key: String,
    plan: Plan,
}

impl Holdfast {
    /// Starts the binary over a Kubo node and waits until it is ready.
    pub(crate) fn start(kubo_api: &str) -> Self {
        Self::start_with(Plan {
            kubo_api: kubo_api.to_owned(),
            ..Plan::default()
        })
    }

    /// Starts the binary so and waits until it is ready.
    pub(crate) fn start_with(plan: Plan) -> Self {
        let mut host = Self::launch(plan);
        host.wait_until_ready();
        host
    }

    /// Starts the binary so.
    pub(crate) fn launch(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in ["pricing-tiered.wasm", "authorizer-quota.wasm"] {
            std::fs::copy(component(name), plugins.join(name)).unwrap();
        }
        std::fs::write(dir.path().join("holdfast.toml"), &plan.file).unwrap();
        let ip = plan.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (addr, ops) = (free_addr(ip), free_addr(ip));
        let new = || format!("test-admin-{}", uuid::Uuid::now_v7().simple());
        let key = plan.key.clone().unwrap_or_else(new);
        let child = spawn(&plan, dir.path(), addr, ops, &key);
        Self {
            child,
            dir,
            addr,
            ops,
            key,
            plan,
        }
    }

    /// Has it stop, as an operator does; what it answers to its parent.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(told.success());
        self.child.wait().unwrap().code()
    }

    /// Ends it at once, as a crash of the machine would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, and waits until it is ready.
    pub(crate) fn again(&mut self) {
        let Self { dir, plan, .. } = self;
        self.child = spawn(plan, dir.path(), self.addr, self.ops, &self.key);
        self.wait_until_ready();
    }

    /// What it answers to its parent once it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let code = ended(&mut self.child);
        code.unwrap_or_else(|| panic!("the host does not end: {}", self.log()))
    }

    /// Starts another over the same data, at addresses of its own, and waits until that one has
    /// ended by itself: what it answers to its parent, and what was logged meanwhile.
    pub(crate) fn beside(&self) -> (Option<i32>, String) {
        let logged = self.log().len();
        let [addr, ops] = [(); 2].map(|()| free_addr(self.addr.ip()));
        let mut other = spawn(&self.plan, self.dir.path(), addr, ops, &self.key);
        let code = ended(&mut other);
        other.kill().ok();
        other.wait().ok();
        let said = self.log().split_off(logged);
        let code = code.unwrap_or_else(|| panic!("the other host does not end: {said}"));
        (code, said)
    }

    /// A file of the folder that it runs in, written whole at once.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let incoming = self.dir.path().join("incoming.tmp");
        std::fs::write(&incoming, text).unwrap();
        std::fs::rename(incoming, self.dir.path().join(name)).unwrap();
    }

    /// The folder that it runs in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn wait_until_ready(&mut self) {
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

    /// What the ops listener answers, as it stands.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let (head, body) = exchange(self.ops, "GET", path, "", "", None).unwrap();
        (status_of(&head), body)
    }

    /// Calls the host's API with another header, and gives the head of the answer too.
    pub(crate) fn ask_with(
        &self,
        header: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (String, Value) {
        let (head, body) = exchange(self.addr, method, path, &self.key, header, body).unwrap();
        (head, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// The same without a key of its own.
    pub(crate) fn ask_with_nobody(
        &self,
        header: &str,
        method: &str,
        path: &str,
    ) -> (String, String) {
        exchange(self.addr, method, path, "", header, None).unwrap()
    }

    /// Whether somebody answers the ops listener at all.
    pub(crate) fn is_up(&self) -> bool {
        TcpStream::connect(self.ops).is_ok()
    }

    /// KiB of memory that it has had at most since it was started, as the system counts them.
    pub(crate) fn resident_kib_most(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse().unwrap()
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

    /// Runs the program as an operator beside this host: how it ended, and what it wrote.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(arguments)
            .current_dir(self.dir())
            .env("HOLDFAST_URL", format!("http://{}", self.addr))
            .env("HOLDFAST_KEY", &self.key)
            .env("HOLDFAST_DATA", self.dir().join("data"))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
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

/// What a program answers to its parent once it has ended by itself; nothing if it does not.
fn ended(child: &mut Child) -> Option<Option<i32>> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// The program over the folder `dir`.
fn spawn(plan: &Plan, dir: &Path, addr: SocketAddr, ops: SocketAddr, key: &str) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command
        .arg("serve")
        .args(["--data".as_ref(), dir.join("data").as_os_str()])
        .args(["--listen", &addr.to_string()])
        .env("HOLDFAST_OPS__LISTEN", ops.to_string())
        .env("HOLDFAST_BOOTSTRAP_ADMIN_KEY", key)
        .env("HOLDFAST_PLUGINS__DIR", dir.join("plugins"))
        .env("HOLDFAST_POLICIES__DIR", repository().join("policies"))
        .env("HOLDFAST_KUBO__API", &plan.kubo_api)
        .envs(plan.variables.iter().cloned())
        .current_dir(dir)
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    for role in &plan.roles {
        command.args(["--role", role]);
    }
    command.spawn().unwrap()
}

pub(crate) fn try_ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    key: &str,
    body: Option<&Value>,
) -> std::io::Result<(u16, Value)> {
    let (head, body) = exchange(addr, method, path, key, "", body)?;
    let body = serde_json::from_str(&body).unwrap_or(Value::Null);
    Ok((status_of(&head), body))
}

fn status_of(head: &str) -> u16 {
    let code = head.get(9..12).and_then(|code| code.parse().ok());
    code.unwrap_or(0)
}

/// One call on a connection of its own; `header` is one more line, or nothing.
fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
    key: &str,
    header: &str,
    body: Option<&Value>,
) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let line = |text: &str| match text {
        "" => String::new(),
        text => format!("{text}\r\n"),
    };
    let bearer = match key {
        "" => String::new(),
        key => format!("authorization: Bearer {key}"),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\n{}{}content-length: {}\r\n\r\n",
        line(&bearer),
        line(header),
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), body.to_owned()))
}

fn free_addr(ip: IpAddr) -> SocketAddr {
    let socket = TcpListener::bind((ip, 0)).unwrap();
    socket.local_addr().unwrap()
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
