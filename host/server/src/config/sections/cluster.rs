//! The keys of `[cluster]`: IPFS Cluster's REST API.

use crate::config::field::{Change, Field, Reload, Values};
use crate::config::layers::KeyPath;
use crate::config::reader::Reader;
use crate::config::reference::Reference;
use crate::config::secret::Secret;
use crate::config::section::{Section, section};
use crate::config::value::{Bounded, Millis};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A number of copies; 0 stands for one on every node.
pub type Copies = Bounded<0, 1_000>;

section! {
    /// IPFS Cluster's REST API on a listener of its own, for ipfs-cluster-ctl and what else speaks
    /// to a cluster. Its peers are the Kubo nodes of `[kubo]`; a host without workers shows none.
    /// docs/cluster.md tells more.
    ClusterApi {
        /// Where it listens; 127.0.0.1:9094 is where clients look. Not set: nowhere.
        listen: Option<SocketAddr> = None, Restart;
        /// Its own certificate chain in PEM; without it, that of `[server]` if there is one. A
        /// changed file counts at once.
        tls_cert: Option<PathBuf> = None, Restart;
        /// The certificate's private key in PEM.
        tls_key: Option<PathBuf> = None, Restart;
        /// Certificates in PEM of the authorities from which every client's own certificate must
        /// come (mutual TLS), besides its key or password. Not set: clients need none.
        client_ca: Option<PathBuf> = None, Restart;
        /// Copies below which a pin is not whole, where it names no number; 0 for one on every
        /// node.
        replication_min: Copies = Bounded::new(0), Restart;
        /// Copies at most, where a pin names no number; 0 for one on every node.
        replication_max: Copies = Bounded::new(0), Restart;
        /// Sites whose pages may call it, such as `https://status.example`, or `*` for all. None:
        /// no other site's.
        cors_origins: Vec<String> = Vec::new(), Restart;
        /// The methods that these pages may use.
        cors_methods: Vec<String> = vec!["GET".to_owned()], Restart;
        /// What the tokens of POST /token are signed with, the same on every host of a store; 32
        /// characters or more. Not set: a new one at each start, so that tokens end with the
        /// process that gave them.
        token_secret: Option<Secret> = None, Restart;
        /// For how long a token is good.
        token_lifetime: Millis = Millis::seconds(15 * 60), Restart;
    }
}
