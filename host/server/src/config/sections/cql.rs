//! The keys of `[store.cql]`: a cluster of ScyllaDB or Cassandra.
//!
//! What is [restart] here is fixed while the store is open; everything else makes a new session,
//! which is proven before it takes the place of the one in use.

use crate::config::field::{Change, Field, Reload, Values};
use crate::config::layers::{Environment, KeyPath, Raw};
use crate::config::reader::Reader;
use crate::config::reference::Reference;
use crate::config::secret::Secret;
use crate::config::section::{Section, section, words};
use crate::config::setting::{Setting, Wrong, quoted, text};
use crate::config::value::{Bounded, Millis, Pairs, Replication};
use std::net::IpAddr;
use std::path::PathBuf;

words! {
    /// What a start does with a schema that is behind.
    Migrate {
        /// Brings it up to date.
        Auto = "auto",
        /// Waits until somebody has run `holdfast schema up`.
        Check = "check",
    }
}

words! {
    /// Whether tables must be encrypted on disk.
    AtRest {
        /// As the server does by itself.
        Off = "off",
        /// A start is refused if a table is not.
        Required = "required",
    }
}

words! {
    /// How ScyllaDB spreads the keyspace.
    TabletChoice {
        /// As it does by itself.
        Server = "server",
        /// In tablets.
        On = "on",
        /// In virtual nodes.
        Off = "off",
    }
}

words! {
    /// When ScyllaDB may drop the marks that deletions leave.
    TombstoneGc {
        /// As it does by itself.
        Server = "server",
        /// After a repair.
        Repair = "repair",
    }
}

words! {
    /// Which replicas must agree.
    Level {
        /// One in the key's home datacenter.
        LocalOne = "local_one",
        /// A majority of the key's home datacenter.
        LocalQuorum = "local_quorum",
        /// A majority of all.
        Quorum = "quorum",
    }
}

words! {
    /// Who takes part in a conditional write.
    SerialScope {
        /// The key's home datacenter.
        Local = "local",
        /// All datacenters.
        Global = "global",
    }
}

words! {
    /// Compression of frames.
    FrameCompression {
        /// None.
        None = "none",
        /// LZ4.
        Lz4 = "lz4",
        /// Snappy.
        Snappy = "snappy",
    }
}

section! {
    /// A cluster of ScyllaDB or Cassandra, for `store.kind = "cql"`. What counts at once makes a
    /// new session, which is proven before it takes the place of the old one; a bad one changes
    /// nothing.
    Cql {
        /// Some of its nodes, as HOST or HOST:PORT; the others are found through them.
        contact_points: Vec<String> = Vec::new(), Live;
        /// The datacenter that this process is in, as `nodetool status` shows it.
        local_datacenter: Option<String> = None, Live;
        /// The rack that this process is in, if reads should go to replicas there first.
        local_rack: Option<String> = None, Live;
        /// The keyspace. It is made if there is none.
        keyspace: String = "holdfast".to_owned(), Restart;
        /// Replicas for each datacenter, for making the keyspace; it is never altered.
        replication: Replication = Replication::default(), Restart;
        /// Whom to log in as.
        username: Option<String> = None, Live;
        /// Its password. A changed file counts at once.
        password: Option<Secret> = None, Live;
        /// What a start does with a schema that is behind: `auto` brings it up to date, `check`
        /// waits until somebody has run `holdfast schema up`.
        migrate: Migrate = Migrate::Auto, Restart;
        /// `required`: refuse to start unless every table is encrypted on disk (ScyllaDB only).
        encryption_at_rest: AtRest = AtRest::Off, Restart;
        /// ScyllaDB's `scylla_encryption_options` for tables made here, such as
        /// `"cipher_algorithm" = "AES/CBC/PKCS5Padding"`; its own defaults if there are none.
        encryption_options: Pairs = Pairs::default(), Restart;
        /// Whether ScyllaDB spreads a keyspace made here in tablets: `on`, `off`, or `server`, as
        /// it does by itself.
        tablets: TabletChoice = TabletChoice::Server, Restart;
        /// When ScyllaDB may drop the marks of deletions: after a `repair`, or as the `server`
        /// does by itself.
        tombstone_gc: TombstoneGc = TombstoneGc::Server, Restart;
        /// Reads a second of one partition that ScyllaDB lets through; with
        /// `partition_writes_max`, and none if neither is set.
        partition_reads_max: Option<Bounded<1, 1_000_000>> = None, Restart;
        /// Writes a second of one partition that ScyllaDB lets through.
        partition_writes_max: Option<Bounded<1, 1_000_000>> = None, Restart;
        /// The wait after the first attempt at the start that found no cluster; each further one is
        /// up to twice as long.
        retry_first: Millis = Millis(500), Live;
        /// The longest wait between attempts at the start.
        retry_longest: Millis = Millis::seconds(15), Live;
        /// TLS to the nodes.
        tls: CqlTls = CqlTls::default(), Live;
        /// Connections to the nodes.
        connections: CqlConnections = CqlConnections::default(), Live;
        /// Deadlines.
        timeouts: CqlTimeouts = CqlTimeouts::default(), Live;
        /// Who must agree.
        consistency: CqlConsistency = CqlConsistency::default(), Live;
        /// What is fixed for ever.
        layout: CqlLayout = CqlLayout::default(), Restart;
        /// How much at once.
        flow: CqlFlow = CqlFlow::default(), Live;
    }
}

section! {
    /// TLS to the nodes. Changed files count at once.
    CqlTls {
        /// Certificates in PEM of the authorities that the nodes' certificates must come from.
        /// With it TLS is spoken, without it not.
        ca: Option<PathBuf> = None, Live;
        /// Our certificate chain in PEM, if the nodes ask for one.
        cert: Option<PathBuf> = None, Live;
        /// Its private key in PEM.
        key: Option<PathBuf> = None, Live;
        /// The name that each node's certificate must be for. Without it, the address that is
        /// connected to, which then must be among the certificate's alternative names.
        server_name: Option<String> = None, Live;
    }
}

section! {
    /// How nodes are connected to.
    CqlConnections {
        /// Connections to each shard of a node. Cassandra counts as one shard.
        per_shard: Bounded<1, 64> = Bounded::new(1), Live;
        /// Connections to each node in all, in the place of `per_shard`.
        per_node: Option<Bounded<1, 1_024>> = None, Live;
        /// Whether ScyllaDB's port for connections to a chosen shard is used.
        shard_aware_port: bool = true, Live;
        /// `none`, `lz4` or `snappy`: worth it between datacenters only.
        compression: FrameCompression = FrameCompression::None, Live;
        /// Whether requests that are ready together are written together.
        write_coalescing: bool = true, Live;
        /// The address of this machine to connect from.
        local_address: Option<IpAddr> = None, Live;
    }
}

section! {
    /// How long calls to the cluster may take, all attempts together.
    CqlTimeouts {
        /// One connection, TLS included.
        connect: Millis = Millis::seconds(2), Live;
        /// A whole new session.
        session: Millis = Millis::seconds(30), Live;
        /// Preparing a statement.
        prepare: Millis = Millis::seconds(10), Live;
        /// A read.
        read: Millis = Millis::seconds(2), Live;
        /// A plain write.
        write: Millis = Millis::seconds(3), Live;
        /// A conditional write, with what settles an unknown outcome.
        condition: Millis = Millis::seconds(5), Live;
        /// A page of something long.
        page: Millis = Millis::seconds(10), Live;
        /// A change of the schema.
        schema: Millis = Millis::seconds(60), Live;
        /// For how long a process that dies while it migrates keeps others out.
        lease: Millis = Millis::seconds(120), Restart;
        /// Between signs of life on a connection, and for the answer to one.
        keepalive: Millis = Millis::seconds(3), Live;
    }
}

section! {
    /// Which replicas must agree: `local_one`, `local_quorum` or `quorum`.
    CqlConsistency {
        /// Reads.
        read: Level = Level::LocalQuorum, Live;
        /// Writes.
        write: Level = Level::LocalQuorum, Live;
        /// Long lists.
        stream: Level = Level::LocalQuorum, Live;
        /// Who takes part in a conditional write: the key's home datacenter (`local`), or a
        /// majority of all (`global`, with `quorum` for reads and writes).
        serial: SerialScope = SerialScope::Local, Restart;
        /// Whether another datacenter may answer a read when the key's home does not. It may not
        /// have heard yet of what was written last.
        remote_reads: bool = false, Live;
    }
}

section! {
    /// What is fixed when the keyspace is first used; see schema/README.md.
    CqlLayout {
        /// Bits of a pin's prefix: partitions of pins are two to its power.
        prefix_bits: Bounded<8, 31> = Bounded::new(28), Restart;
        /// Bits of the prefix that make a bucket of a peer's placements.
        peer_bucket_bits: Bounded<0, 20> = Bounded::new(6), Restart;
        /// Partitions that each slot of the change feed is spread over.
        feed_shards: Bounded<1, 256> = Bounded::new(4), Restart;
        /// Partitions that each slot of an expiry index is spread over.
        expiry_shards: Bounded<1, 256> = Bounded::new(4), Restart;
        /// Datacenters that keys have their homes in; the local one of the first start if there
        /// are none.
        homes: Vec<String> = Vec::new(), Restart;
    }
}

section! {
    /// How much at once.
    CqlFlow {
        /// Calls under way in this process.
        in_flight: Bounded<1, 32_768> = Bounded::new(1_024), Live;
        /// Statements under way at one node beyond which it is asked after all others. That is a
        /// preference: where no other can be asked it gets more, up to `in_flight`.
        node_in_flight: Bounded<1, 32_768> = Bounded::new(1_024), Live;
        /// Calls that may wait; more are answered 503 with Retry-After.
        queue: Bounded<0, 1_000_000> = Bounded::new(4_096), Live;
        /// Pages of long lists that are asked for at once, so that they cannot starve calls.
        stream_pages: Bounded<1, 32_768> = Bounded::new(16), Live;
        /// Whether a read, or a write that may be sent twice, is sent to a second replica when the
        /// first is slow.
        speculate: bool = true, Live;
        /// After how long.
        speculate_after: Millis = Millis(50), Live;
        /// Repeated attempts, in percent of all calls.
        retry_percent: Bounded<0, 100> = Bounded::new(20), Live;
        /// Pins that the read cache holds, absent ones included; 0 for none.
        cached_pins: Bounded<0, 100_000_000> = Bounded::new(100_000), Live;
        /// One call in so many is traced by the server and its trace logged; 0 for none.
        trace_one_in: Bounded<0, 1_000_000_000> = Bounded::new(0), Live;
    }
}

impl Cql {
    /// Whether calls go to a datacenter: it is the local one, or keys have their homes there.
    #[must_use]
    pub fn uses(&self, datacenter: &str) -> bool {
        let is_home = self.layout.homes.iter().any(|home| home == datacenter);
        is_home || self.local_datacenter.as_deref() == Some(datacenter)
    }

    /// Files whose content counts while the host runs.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let password = self.password.as_ref().and_then(|secret| secret.file());
        let named = [&self.tls.ca, &self.tls.cert, &self.tls.key].map(Option::clone);
        let password = password.map(PathBuf::from);
        named.into_iter().flatten().chain(password).collect()
    }
}
