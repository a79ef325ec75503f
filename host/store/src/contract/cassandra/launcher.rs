//! The program that starts and breaks clusters, and what it tells of one.

use crate::{CqlSettings, Login, TlsFiles};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, from this crate's folder.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/cassandra");

/// Replicas of a key in one datacenter, if it has so many nodes.
const REPLICAS_MAX: u16 = 3;

/// Calls the program for the cluster in one directory.
#[derive(Debug)]
pub(super) struct Launcher {
    dir: PathBuf,
}

impl Launcher {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a command to its end and gives what it printed.
    pub(super) fn run(&self, command: &str, arguments: &[&str]) -> io::Result<String> {
        let done = Command::new(PROGRAM)
            .arg(command)
            .arg("--dir")
            .arg(&self.dir)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| io::Error::new(e.kind(), format!("{PROGRAM}: {e}")))?;
        if done.status.success() {
            return String::from_utf8(done.stdout).map_err(io::Error::other);
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.trim();
        Err(io::Error::other(format!(
            ".ci/tools/cassandra {command}: {said}"
        )))
    }

    pub(super) fn describe(&self) -> io::Result<Description> {
        let told = self.run("status", &["--json"])?;
        serde_json::from_str(&told).map_err(io::Error::other)
    }
}

/// What `status --json` tells of a cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Description {
    pub(super) nodes: Vec<Node>,
    /// For CQL, the same on all nodes.
    pub(super) port: u16,
    /// That of the first node.
    pub(super) datacenter: String,
    /// `off`, `on` or `mtls`.
    pub(super) tls: String,
    /// Where the certificates are.
    pub(super) certificates: Option<PathBuf>,
    pub(super) host: User,
    pub(super) superuser: User,
}

impl Description {
    pub(super) fn addresses(&self) -> Vec<String> {
        let of = |node: &Node| format!("{}:{}", node.address, self.port);
        self.nodes.iter().map(of).collect()
    }

    /// What a store needs to get in from the first datacenter, as the host's own role.
    pub(super) fn settings(&self, keyspace: &str) -> CqlSettings {
        let mut settings = CqlSettings::new(self.addresses(), &self.datacenter, keyspace);
        settings.replication.clear();
        for node in &self.nodes {
            let known = settings.replication.iter_mut();
            match known.last().filter(|(name, _)| *name == node.datacenter) {
                Some((_, count)) => *count = REPLICAS_MAX.min(*count + 1),
                None => settings.replication.push((node.datacenter.clone(), 1)),
            }
        }
        settings.login = Some(self.host.clone().into());
        settings.tls = self.certificates.as_ref().map(|folder| TlsFiles {
            ca: folder.join("ca.pem"),
            client: (self.tls == "mtls")
                .then(|| (folder.join("client.crt"), folder.join("client.key"))),
            server_name: None,
        });
        settings
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) node: u32,
    pub(super) address: String,
    pub(super) datacenter: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    user: String,
    password: String,
}

impl From<User> for Login {
    fn from(user: User) -> Self {
        Self {
            username: user.user,
            password: user.password,
        }
    }
}
