//! What an operator says of the CQL store.

mod check;
mod loss;

use super::schema::SchemaSettings;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Everything about the CQL store that can be configured. The server fills it from `[store.cql]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CqlSettings {
    /// `host` or `host:port` of some nodes; the rest is found through them.
    pub contact_points: Vec<String>,
    /// The datacenter that this process is in, as the cluster names it.
    pub local_datacenter: String,
    /// The rack that this process is in, if reads should rather go to replicas there.
    pub local_rack: Option<String>,
    /// The keyspace.
    pub keyspace: String,
    /// Replicas for each datacenter, for making the keyspace; in the order of the configuration.
    pub replication: Vec<(String, u16)>,
    /// Whom to log in as.
    pub login: Option<Login>,
    /// TLS to the nodes.
    pub tls: Option<TlsFiles>,
    /// How nodes are connected to.
    pub connections: Connections,
    /// How long each kind of call may take.
    pub timeouts: Timeouts,
    /// Which replicas must agree.
    pub consistency: ConsistencyLevels,
    /// What is fixed when the keyspace is first used.
    pub layout: Layout,
    /// How the schema is kept up to date, and what ScyllaDB is asked for beyond that.
    pub schema: SchemaSettings,
    /// Queues, retries, caches: how much at once.
    pub flow: Flow,
}

impl CqlSettings {
    /// Defaults for a cluster: no login, no TLS, one replica in the local datacenter.
    #[must_use]
    pub fn new(contact_points: Vec<String>, local_datacenter: &str, keyspace: &str) -> Self {
        Self {
            contact_points,
            local_datacenter: local_datacenter.to_owned(),
            local_rack: None,
            keyspace: keyspace.to_owned(),
            replication: vec![(local_datacenter.to_owned(), 1)],
            login: None,
            tls: None,
            connections: Connections::default(),
            timeouts: Timeouts::default(),
            consistency: ConsistencyLevels::default(),
            layout: Layout::default(),
            schema: SchemaSettings::default(),
            flow: Flow::default(),
        }
    }

    /// Datacenters that keys have their homes in: those of the layout, or the local one.
    #[must_use]
    pub fn homes(&self) -> Vec<String> {
        match self.layout.homes.is_empty() {
            true => vec![self.local_datacenter.clone()],
            false => self.layout.homes.clone(),
        }
    }
}

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.username)
    }
}

/// PEM files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities that the nodes' certificates must come from.
    pub ca: PathBuf,
    /// Our certificate chain and key, where the nodes ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name that every node's certificate must be for. `None`: the address that is connected
    /// to, which then must be among the certificate's alternative names.
    pub server_name: Option<String>,
}

/// How nodes are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    /// How many to each node.
    pub pool: Pool,
    /// Whether ScyllaDB's port for connections to a chosen shard may be used.
    pub shard_aware_port: bool,
    /// Compression of frames: worth it between datacenters only.
    pub compression: Compression,
    /// Whether frames that are ready together are written together.
    pub write_coalescing: bool,
    /// The address of this machine to connect from.
    pub local_address: Option<IpAddr>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            pool: Pool::PerShard(NonZeroUsize::MIN),
            shard_aware_port: true,
            compression: Compression::None,
            write_coalescing: true,
            local_address: None,
        }
    }
}

/// Connections to each node. Cassandra counts as one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// So many to each shard.
    PerShard(NonZeroUsize),
    /// So many in all, spread over the shards.
    PerNode(NonZeroUsize),
}

/// Compression of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// LZ4: the cheaper one.
    Lz4,
    /// Snappy.
    Snappy,
}

/// How long each kind of call may take, all attempts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// One TCP or TLS connection.
    pub connect: Duration,
    /// The first session, all of it.
    pub session: Duration,
    /// Preparing all statements.
    pub prepare: Duration,
    /// A read.
    pub read: Duration,
    /// A plain write.
    pub write: Duration,
    /// A conditional write, with what settles an unknown outcome.
    pub condition: Duration,
    /// One page of a stream.
    pub page: Duration,
    /// A change of the schema.
    pub schema: Duration,
    /// How long a process that migrates keeps others out after it died. Longer than a change of
    /// the schema takes, for the lease is renewed in between.
    pub lease: Duration,
    /// Between keepalive messages, and for the answer to one.
    pub keepalive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            session: Duration::from_secs(30),
            prepare: Duration::from_secs(10),
            read: Duration::from_secs(2),
            write: Duration::from_secs(3),
            condition: Duration::from_secs(5),
            page: Duration::from_secs(10),
            schema: Duration::from_secs(60),
            lease: Duration::from_secs(120),
            keepalive: Duration::from_secs(3),
        }
    }
}

/// How many replicas must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One of the key's home.
    LocalOne,
    /// A majority of the key's home.
    LocalQuorum,
    /// A majority of all.
    Quorum,
}

impl Level {
    /// As a configuration says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LocalOne => "local_one",
            Self::LocalQuorum => "local_quorum",
            Self::Quorum => "quorum",
        }
    }
}

/// Who takes part in a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serial {
    /// The replicas of the key's home datacenter.
    Local,
    /// A majority of all replicas, wherever they are.
    Global,
}

/// Which replicas must agree, for each kind of call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyLevels {
    /// Reads.
    pub read: Level,
    /// Writes.
    pub write: Level,
    /// Long streams.
    pub stream: Level,
    /// Conditional writes.
    pub serial: Serial,
    /// Whether reads may be answered by another datacenter when the home does not answer.
    pub remote_reads: bool,
}

impl Default for ConsistencyLevels {
    fn default() -> Self {
        Self {
            read: Level::LocalQuorum,
            write: Level::LocalQuorum,
            stream: Level::LocalQuorum,
            serial: Serial::Local,
            remote_reads: false,
        }
    }
}

/// What is fixed when the keyspace is first used; schema/README.md has the arithmetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Bits of a pin's prefix.
    pub prefix_bits: u8,
    /// Bits of a prefix that make a peer's bucket.
    pub peer_bucket_bits: u8,
    /// Partitions of one slot of the feed.
    pub feed_shards: u16,
    /// Partitions of one slot of an expiry index.
    pub expiry_shards: u16,
    /// Datacenters that keys have their homes in; empty: the local one.
    pub homes: Vec<String>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            prefix_bits: 28,
            peer_bucket_bits: 6,
            feed_shards: 4,
            expiry_shards: 4,
            homes: Vec::new(),
        }
    }
}

/// How much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Calls under way in this process.
    pub in_flight: usize,
    /// Statements under way at one node beyond which others are asked first, if there are any.
    pub node_in_flight: usize,
    /// Calls that may wait for a place; more are turned away.
    pub queue: usize,
    /// Pages of long streams that may be asked for at once, so that streams cannot starve calls.
    pub stream_pages: usize,
    /// After how long an idempotent statement is sent to a second replica; `None`: never.
    pub speculate_after: Option<Duration>,
    /// Attempts beyond the first, as a share of all calls.
    pub retry_percent: u32,
    /// Pins that the read cache holds, absent ones included; 0: no cache.
    pub cached_pins: usize,
    /// One call in so many is traced by the server, and its trace logged; 0: none.
    pub trace_one_in: u32,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            node_in_flight: 1_024,
            queue: 4_096,
            stream_pages: 16,
            speculate_after: Some(Duration::from_millis(50)),
            retry_percent: 20,
            cached_pins: 100_000,
            trace_one_in: 0,
        }
    }
}
