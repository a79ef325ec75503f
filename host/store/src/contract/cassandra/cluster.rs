//! Clusters of several nodes, to be broken.

use super::launcher::{Description, Launcher};
use super::target_dir;
use crate::{CqlSettings, Login};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Whether and how the nodes of a cluster use TLS, to clients and among each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Off,
    /// The nodes show certificates.
    Nodes,
    /// Clients must show theirs too.
    Mutual,
}

/// How the nodes of a cluster are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// On loopback addresses, which every machine and every user has.
    Loopback,
    /// Each in a network namespace, which can be cut off. It takes root.
    Namespaces,
}

/// Several nodes that one test may break as it likes. Nodes are counted from 1, in the order of
/// the datacenters.
#[derive(Debug)]
pub struct Cluster {
    launcher: Launcher,
    about: Description,
}

impl Cluster {
    /// Starts one by its layout (`dc1=3,dc2=1`) and waits until all nodes know each other. Four
    /// nodes take some 20 s and 2.6 GiB.
    ///
    /// # Errors
    /// It does not start; the text has the last lines of a node's log.
    pub fn start(layout: &str, tls: Tls, network: Network) -> io::Result<Self> {
        Self::begin(layout, tls, network, &["--durable"])
    }

    /// Starts one on loopback addresses whose nodes answer a write before it is on disk, up to a
    /// second before, as they do unless told otherwise: for measuring, where each write would
    /// otherwise be a wait for the disk.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub fn start_quick(layout: &str) -> io::Result<Self> {
        Self::begin(layout, Tls::Off, Network::Loopback, &[])
    }

    fn begin(layout: &str, tls: Tls, network: Network, more: &[&str]) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id().to_string();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = target_dir()?.join(format!("cassandra-{process}-{number}"));
        let launcher = Launcher::new(dir);
        let tls = match tls {
            Tls::Off => "off",
            Tls::Nodes => "on",
            Tls::Mutual => "mtls",
        };
        let network = match network {
            Network::Loopback => "loopback",
            Network::Namespaces => "namespaces",
        };
        let wanted = ["--layout", layout, "--tls", tls, "--network", network];
        let arguments = [&["--quiet", "--until-ends", &process], &wanted[..], more].concat();
        let began = launcher.run("up", &arguments);
        let about = began.and_then(|_| launcher.describe()).inspect_err(|_| {
            // The error says why; whether it could be cleared away adds nothing.
            launcher.run("down", &[]).ok();
        })?;
        Ok(Self { launcher, about })
    }

    /// Settings for a store in a keyspace of this cluster, as the host's own unprivileged role,
    /// from the first datacenter.
    #[must_use]
    pub fn settings(&self, keyspace: &str) -> CqlSettings {
        self.about.settings(keyspace)
    }

    /// A superuser's login; its password is not the default one.
    #[must_use]
    pub fn superuser(&self) -> Login {
        self.about.superuser.clone().into()
    }

    /// Where the certificates are, if there are any: `ca.pem`, `client.crt` and `client.key`, and
    /// `rogue-client.crt` and its key of an authority that nobody trusts.
    #[must_use]
    pub fn certificates(&self) -> Option<&Path> {
        self.about.certificates.as_deref()
    }

    /// `address:port` of each node.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.about.addresses()
    }

    /// Numbers of a datacenter's nodes.
    #[must_use]
    pub fn nodes_of(&self, datacenter: &str) -> Vec<u32> {
        let is_there = |node: &&super::launcher::Node| node.datacenter == datacenter;
        self.about
            .nodes
            .iter()
            .filter(is_there)
            .map(|n| n.node)
            .collect()
    }

    /// Ends a node at once, as a lost machine would.
    ///
    /// # Errors
    /// As of all that follow: there is no such node, or it is in no state for this.
    pub fn kill(&self, node: u32) -> io::Result<()> {
        self.tell("kill", node)
    }

    /// Ends a node as an operator does; it says goodbye to the others.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn stop(&self, node: u32) -> io::Result<()> {
        self.tell("stop", node)
    }

    /// Starts a node that is down and waits until it answers. Where all are down, use
    /// [`start_all`](Self::start_all): one alone looks for the others for 45 s.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn start_again(&self, node: u32) -> io::Result<()> {
        self.tell("start", node)
    }

    /// Starts all nodes that are down and waits until they answer.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn start_all(&self) -> io::Result<()> {
        self.launcher.run("start", &[]).map(drop)
    }

    /// Lets a node hang: its connections stay open and nothing is answered.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn pause(&self, node: u32) -> io::Result<()> {
        self.tell("pause", node)
    }

    /// Lets a paused node go on.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn resume(&self, node: u32) -> io::Result<()> {
        self.tell("resume", node)
    }

    /// Lets a node stand still for so long, run for a moment, and so on; zero ends it.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn slow(&self, node: u32, pauses: Duration) -> io::Result<()> {
        let (node, pauses) = (node.to_string(), pauses.as_millis().to_string());
        self.launcher.run("slow", &[&node, &pauses]).map(drop)
    }

    /// Cuts a node off from clients and from the other nodes; packets vanish. Only with
    /// [`Network::Namespaces`].
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn cut(&self, node: u32) -> io::Result<()> {
        self.tell("cut", node)
    }

    /// Mends what [`cut`](Self::cut) has cut.
    ///
    /// # Errors
    /// See [`kill`](Self::kill).
    pub fn mend(&self, node: u32) -> io::Result<()> {
        self.tell("mend", node)
    }

    /// Makes a new authority and new certificates, in the same files; the old ones stay in the
    /// folders `generation-1` and so on. Clients that read `ca.pem` trust both authorities. A node
    /// does so, and shows its new certificate, once it was started again.
    ///
    /// # Errors
    /// The cluster has no TLS.
    pub fn renew_certificates(&self) -> io::Result<()> {
        self.launcher.run("certs", &["--renew"]).map(drop)
    }

    /// The rows that a node answers to a statement of the superuser, at consistency ONE.
    ///
    /// # Errors
    /// The node refuses it or does not answer.
    pub fn cql(&self, node: u32, statement: &str) -> io::Result<Vec<serde_json::Value>> {
        let rows = self.launcher.run("cql", &[&node.to_string(), statement])?;
        let read = |row| serde_json::from_str(row).map_err(io::Error::other);
        rows.lines().map(read).collect()
    }

    fn tell(&self, command: &str, node: u32) -> io::Result<()> {
        self.launcher.run(command, &[&node.to_string()]).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Of a test that failed, the logs are kept; nothing can be done about a second error.
        if std::thread::panicking() {
            self.launcher.run("down", &[]).ok();
        } else if self.launcher.run("wipe", &[]).is_ok() {
            std::fs::remove_dir_all(self.launcher.dir()).ok();
        }
    }
}
