//! The cluster that the faults happen to: a namespace for each node, so that it can be cut off.

use holdfast_store::{CqlSettings, Login, TlsFiles};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Three nodes at home, so that one may be lost; one elsewhere, so that a datacenter may.
const LAYOUT: &str = "dc1=3,dc2=1";

/// A running cluster; it is wiped when this process is gone.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    dir: Arc<PathBuf>,
}

/// What `status --json` says.
#[derive(Debug, Deserialize)]
struct Status {
    nodes: Vec<Node>,
    port: u16,
    datacenter: String,
    certificates: Option<PathBuf>,
    host: Role,
}

#[derive(Debug, Deserialize)]
struct Node {
    node: u32,
    address: String,
    datacenter: String,
}

#[derive(Debug, Deserialize)]
struct Role {
    user: String,
    password: String,
}

impl Cluster {
    /// Starts it, with certificates on both sides unless it is to be plain.
    pub(crate) async fn start(dir: &Path, is_plain: bool) -> Self {
        let cluster = Self {
            dir: Arc::new(dir.to_owned()),
        };
        let guarded = std::process::id().to_string();
        cluster
            .run(&[
                "up",
                "--layout",
                LAYOUT,
                "--network",
                "namespaces",
                "--tls",
                if is_plain { "off" } else { "mtls" },
                "--until-ends",
                &guarded,
                "--durable",
                "--quiet",
            ])
            .await;
        cluster
    }

    /// What a store needs to get in.
    pub(crate) async fn settings(&self, keyspace: &str) -> CqlSettings {
        let status = self.status().await;
        let points = status
            .nodes
            .iter()
            .filter(|node| node.datacenter == status.datacenter)
            .map(|node| format!("{}:{}", node.address, status.port));
        let mut settings = CqlSettings::new(points.collect(), &status.datacenter, keyspace);
        settings.replication = LAYOUT.split(',').map(replicas).collect();
        settings.login = Some(Login {
            username: status.host.user,
            password: status.host.password,
        });
        settings.tls = status.certificates.map(|folder| TlsFiles {
            ca: folder.join("ca.pem"),
            client: Some((folder.join("client.crt"), folder.join("client.key"))),
            server_name: None,
        });
        settings
    }

    /// Nodes of a datacenter, by number.
    pub(crate) async fn nodes_of(&self, datacenter: &str) -> Vec<u32> {
        let status = self.status().await;
        let within = status.nodes.iter().filter(|n| n.datacenter == datacenter);
        within.map(|node| node.node).collect()
    }

    /// The host's role gets another password.
    pub(crate) async fn change_password(&self, password: &str) {
        let user = self.status().await.host.user;
        let statement = format!("ALTER ROLE {user} WITH PASSWORD = '{password}'");
        self.run(&["cql", "1", &statement]).await;
    }

    /// The certificates of the first generation, for a client that has not rotated yet.
    pub(crate) async fn first_client(&self) -> (PathBuf, PathBuf) {
        let folder = self.status().await.certificates.unwrap();
        let first = folder.join("generation-1");
        (first.join("client.crt"), first.join("client.key"))
    }

    async fn status(&self) -> Status {
        let told = self.run(&["status", "--json"]).await;
        serde_json::from_str(&told).unwrap()
    }

    /// Does something to one node.
    pub(crate) async fn node(&self, what: &str, node: u32, more: &[&str]) {
        let number = node.to_string();
        let words: Vec<_> = [what, number.as_str()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.run(&words).await;
    }

    /// Has the launcher do something, and answers what it printed.
    pub(crate) async fn run(&self, words: &[&str]) -> String {
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/tools/cassandra");
        let mut command = Command::new(launcher);
        let (what, more) = words.split_first().unwrap();
        command.arg(what).arg("--dir").arg(&*self.dir).args(more);
        let done = tokio::task::spawn_blocking(move || command.output().unwrap());
        let done = done.await.unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "cassandra {words:?}: {told}");
        String::from_utf8(done.stdout).unwrap()
    }
}

fn replicas(part: &str) -> (String, u16) {
    let (datacenter, nodes) = part.split_once('=').unwrap();
    (datacenter.to_owned(), nodes.parse().unwrap())
}
