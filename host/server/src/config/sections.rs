//! Every key, declared once.

mod cluster;
mod cql;

pub use cluster::{ClusterApi, Copies};
pub use cql::{
    AtRest, Cql, CqlConnections, CqlConsistency, CqlFlow, CqlLayout, CqlTimeouts, CqlTls,
    FrameCompression, Level, Migrate, SerialScope, TabletChoice, TombstoneGc,
};

use super::field::{Change, Field, Reload, Values};
use super::layers::{Environment, KeyPath, Raw};
use super::reader::Reader;
use super::reference::Reference;
use super::secret::Secret;
use super::section::{Section, section, words};
use super::setting::{Setting, Wrong, quoted, text};
use super::value::{Bounded, ByteSize, Millis, Named, Pairs};
use holdfast_runtime::{JobsConfig, PublicKey};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

words! {
    /// Where pins are kept.
    StoreKind {
        /// In a directory of this machine.
        Embedded = "embedded",
        /// In memory: gone with the process. For trying things out.
        Memory = "memory",
        /// In a CQL database.
        Cql = "cql",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// For machines: one JSON object a line.
        Json = "json",
    }
}

section! {
    /// The host as a whole.
    General {
        /// Refuse to start with anything that is not safe in production: a listener beyond this
        /// machine without TLS, a weak first key, secrets that others can read, a store in memory,
        /// no audit log; with a CQL store no TLS, a default or superuser login, fewer than three
        /// replicas, consistency that can lose what was acknowledged.
        production: bool = false, Restart;
        /// Where everything is kept that has no path of its own.
        data: PathBuf = PathBuf::from("data"), Restart;
    }
}

section! {
    /// The main listener: the Pinning Service API under /psa, ours under /v1.
    Server {
        /// Where it listens.
        listen: SocketAddr = SocketAddr::new(LOOPBACK, 8420), Restart;
        /// Certificate chain in PEM; with it and `tls_key`, HTTPS only. A changed file counts at
        /// once.
        tls_cert: Option<PathBuf> = None, Restart;
        /// The certificate's private key in PEM.
        tls_key: Option<PathBuf> = None, Restart;
        /// Sites whose pages may call it, such as `https://app.example`, or `*` for all. None: no
        /// other site's.
        cors_origins: Vec<String> = Vec::new(), Restart;
        /// The methods that these pages may use.
        cors_methods: Vec<String> = ["GET", "POST", "PUT", "DELETE"].map(str::to_owned).into(),
            Restart;
        /// How long the head of a request may take to arrive; it is also for how long an idle
        /// connection is kept.
        header_timeout: Millis = Millis::seconds(30), Restart;
        /// How long a request's body may take to arrive.
        body_timeout: Millis = Millis::seconds(10), Restart;
        /// How long one call may take in all.
        call_timeout: Millis = Millis::seconds(30), Restart;
        /// How long calls may still take once the host is told to stop.
        drain_timeout: Millis = Millis::seconds(20), Restart;
    }
}

section! {
    /// The listener for those who run the host: /metrics, /health/live, /health/ready, and
    /// /debug/pprof/flamegraph. It asks nobody who they are: keep it away from the public network.
    Ops {
        /// Where it listens.
        listen: SocketAddr = SocketAddr::new(LOOPBACK, 8421), Restart;
        /// Whether /debug/pprof/flamegraph?seconds=5 draws what the processor is busy with. It
        /// costs a few percent of it while it looks. Not set: unless `production`.
        profiling: Option<bool> = None, Live;
    }
}

section! {
    /// Bounds on what callers may use up.
    Limits {
        /// Connections at once; more wait to be accepted.
        connections_max: Bounded<1, 1_000_000> = Bounded::new(8_192), Restart;
        /// Calls at once; more are answered 503.
        calls_max: Bounded<1, 1_000_000> = Bounded::new(4_096), Restart;
        /// Bytes of a request's body.
        body_bytes_max: ByteSize = ByteSize(1 << 20), Restart;
        /// Calls a second that one caller may make, by key or name; more are answered 429. 0 is
        /// without bound.
        calls_per_second: Bounded<0, 1_000_000> = Bounded::new(10_000), Restart;
        /// Calls that one caller may make at once after a while of rest.
        calls_burst: Bounded<1, 1_000_000> = Bounded::new(40_000), Restart;
        /// Refused credentials and log-ins a minute from one address; after that it is answered 429
        /// for a while. 0 is without bound.
        refused_per_minute: Bounded<0, 1_000_000> = Bounded::new(300), Restart;
    }
}

section! {
    /// The pin store.
    Store {
        /// `embedded`; `cql` for ScyllaDB or Cassandra; `memory` for trying things out.
        kind: StoreKind = StoreKind::Embedded, Restart;
        /// The embedded store's directory; `store` in the data directory if it is not set.
        dir: Option<PathBuf> = None, Restart;
        /// For how long the feed of changes is kept on a CQL store, an hour at least. Who follows
        /// it and was away for longer lists all pins anew. What the workers of this store have
        /// still to read is kept for twice as long; then they read all pins anew.
        feed_kept: Millis = Millis::seconds(3 * 86_400), Live;
        /// The same for the embedded store and the one in memory, which count steps instead of
        /// time: a change takes one, and so does what a worker writes of a pin.
        feed_kept_steps: Bounded<1_000, 1_000_000_000_000> = Bounded::new(10_000_000), Live;
        /// The cluster.
        cql: Cql = Cql::default(), Live;
    }
}

section! {
    /// The Kubo nodes that hold the content.
    Kubo {
        /// Addresses of their RPC APIs: the same on every process with workers over one store,
        /// since what is placed on any other node is forgotten.
        api: Vec<String> = vec!["http://127.0.0.1:5001".to_owned()], Restart;
        /// Multiaddrs to show clients as delegates, each ending in /p2p/…; if there are none, what
        /// the nodes say of themselves.
        delegates: Vec<String> = Vec::new(), Restart;
        /// Pins under way at once on one node. Kubo slows down beyond 10 to 20.
        concurrency: Bounded<1, 1_024> = Bounded::new(16), Live;
        /// The longest time without a new block before an attempt counts as failed.
        stall_timeout: Millis = Millis::seconds(60), Live;
        /// The longest time for one attempt, however well it goes.
        attempt_timeout: Millis = Millis::seconds(600), Live;
        /// Attempts before a pin is given up.
        attempts_max: Bounded<1, 1_000> = Bounded::new(12), Live;
        /// The wait after the first failed attempt; each further one is twice as long.
        retry_first: Millis = Millis::seconds(30), Live;
        /// The longest wait between attempts.
        retry_longest: Millis = Millis::seconds(6 * 3_600), Live;
        /// How often what should be pinned and what is are compared in full.
        reconcile_every: Millis = Millis::seconds(30 * 60), Live;
        /// Whether the nodes are Holdfast's alone: then what nobody here wants is unpinned there.
        exclusive: bool = false, Live;
    }
}

section! {
    /// WebAssembly components that authorize, price, collect and configure.
    Plugins {
        /// The watched folder; `plugins` in the data directory if it is not set.
        dir: Option<PathBuf> = None, Restart;
        /// Certificates (PEM) that payment and config plugins' calls trust; the system's if it is
        /// not set.
        trusted_roots: Option<PathBuf> = None, Restart;
        /// What all plugins together may come to hold. It is set aside when a plugin is loaded,
        /// and one that does not fit is refused.
        memory_bytes: ByteSize = ByteSize(8 << 30), Restart;
        /// Connections to the outside that payment and config plugins hold at once, all of them
        /// together. What one may hold is `egress_connections` under `[limits]` in its NAME.toml.
        egress_connections: Bounded<1, 65_536> = Bounded::new(JobsConfig::CONNECTIONS as u64),
            Restart;
        /// Names of plugins without which the host does not start, whatever they lack: their files,
        /// a signature, good settings.
        required: Vec<String> = Vec::new(), Restart;
        /// Whether a plugin without a good signature is refused. Production takes nothing else.
        require_signatures: bool = false, Restart;
        /// Whose signatures are good.
        trusted_keys: TrustedKeys = TrustedKeys::default(), Restart;
    }
}

section! {
    /// Whose signatures are good, for each kind of plugin: `holdfast plugin keygen` makes keys. Who
    /// may sign prices may not thereby sign authorizers.
    TrustedKeys {
        /// For those that refuse calls.
        authorizer: Vec<PublicKey> = Vec::new(), Restart;
        /// For those that price usage.
        pricing: Vec<PublicKey> = Vec::new(), Restart;
        /// For those that collect invoices.
        payment: Vec<PublicKey> = Vec::new(), Restart;
        /// For those that supply or check configuration.
        config: Vec<PublicKey> = Vec::new(), Restart;
    }
}

section! {
    /// Cedar policies.
    Policies {
        /// The watched folder, with `schema.cedarschema` and `*.cedar`; without it the policies
        /// that are built in.
        dir: Option<PathBuf> = None, Restart;
        /// Whether the folder is refused without a good `policies.sig`: `holdfast policy sign`.
        require_signature: bool = false, Restart;
        /// Whose signatures over the folder are good; `holdfast plugin keygen` makes keys.
        trusted_keys: Vec<PublicKey> = Vec::new(), Restart;
        /// A solver (cvc5). With one, a tenant's policies are taken only when it has proved that
        /// none of them can fail.
        solver: Option<PathBuf> = None, Restart;
    }
}

section! {
    /// Who may call.
    Auth {
        /// The first administrator's key, used on an empty store only; also
        /// HOLDFAST_BOOTSTRAP_ADMIN_KEY. 16 characters or more.
        bootstrap_admin_key: Option<Secret> = None, Restart;
        /// What hashes of API keys are made with and session tokens are signed with: 32 characters
        /// or more, the same on every process (`openssl rand -hex 32` makes one). Without it hashes
        /// are plain, and sessions end with the process that began them. Keys that were made
        /// without it stay good; with another one, those that were made with the former do not.
        secret: Option<Secret> = None, Restart;
        /// Where clients reach this host, such as `https://pins.example`: what wallets and DIDs
        /// sign for. Without it neither is accepted.
        url: Option<String> = None, Restart;
        /// Certificates to trust when issuers and chains are called, in PEM; without it, those that
        /// the system trusts.
        trusted_roots: Option<PathBuf> = None, Restart;
        /// The longest time for which an API key is good; one that is made without an end gets it.
        key_lifetime_max: Millis = Millis::seconds(365 * 86_400), Restart;
        /// For how long a session token is good.
        session_lifetime: Millis = Millis::seconds(3_600), Restart;
        /// Whether users may log in with passwords that are kept here. Not set: unless
        /// `production`.
        passwords: Option<bool> = None, Restart;
        /// Issuers of signed tokens.
        issuers: Named<Issuer> = Named::default(), Live;
        /// Chains whose wallets may sign in.
        chains: Named<Chain> = Named::default(), Restart;
    }
}

section! {
    /// An issuer of signed tokens (JWT). NAME is yours to choose. Its keys are fetched from its own
    /// server, where OpenID Connect Discovery says, unless one of `key`, `jwks` and `jwks_url` is
    /// set.
    Issuer {
        /// The tokens' `iss`, letter for letter (mind a slash at the end).
        issuer: String = String::new(), Live;
        /// The audiences of which a token must name one in `aud`.
        audience: Vec<String> = Vec::new(), Live;
        /// One public key in PEM.
        key: Option<PathBuf> = None, Live;
        /// A file with a JSON Web Key Set. A changed file counts at once.
        jwks: Option<PathBuf> = None, Live;
        /// The address of a JSON Web Key Set.
        jwks_url: Option<String> = None, Live;
        /// Signature algorithms that are accepted: RS256 … PS512, ES256, ES384, EdDSA.
        algorithms: Vec<String> = vec!["RS256".to_owned(), "ES256".to_owned()], Live;
        /// How far its clock may be off, in seconds.
        leeway_seconds: Bounded<0, 30> = Bounded::new(30), Live;
        /// The tenant of all of its tokens. Either this or `tenant_claim`.
        tenant: Option<String> = None, Live;
        /// The claim with the tenant, as a JSON pointer such as "/organization".
        tenant_claim: Option<String> = None, Live;
        /// The claim with the account's name in its tenant; without it all share `default`. With
        /// "/sub" everybody has one of their own.
        account_claim: Option<String> = None, Live;
        /// The claims with roles, such as "/realm_access/roles": lists, or words with spaces.
        roles_claims: Vec<String> = Vec::new(), Live;
        /// What its words for roles mean here, such as `"staff" = "tenant-user"`; a word that is
        /// not named means nothing.
        role_map: Pairs = Pairs::default(), Live;
    }
}

section! {
    /// A chain whose wallets may sign in (ERC-4361). NAME is yours to choose.
    Chain {
        /// Its number (EIP-155): 1 for Ethereum, 137 for Polygon.
        id: Bounded<1, 9_007_199_254_740_991> = Bounded::new(1), Restart;
        /// The JSON-RPC address of a node: for wallets that are contracts (ERC-1271). Without it
        /// only those with a key of their own sign in.
        rpc: Option<Secret> = None, Restart;
    }
}

section! {
    /// The audit log: every decision, one JSON object a line, carried into chains in the store.
    Audit {
        /// Whether it is kept.
        enabled: bool = true, Restart;
        /// The file; `audit.jsonl` in the data directory if it is not set.
        path: Option<PathBuf> = None, Restart;
        /// Bytes after which the file is put aside and a new one begun. What was put aside goes
        /// once it is in the store.
        rotate_bytes: ByteSize = ByteSize(64 << 20), Restart;
        /// Bytes of it that may wait for the store. Beyond that calls wait, and changes
        /// are refused.
        backlog_bytes: ByteSize = ByteSize(256 << 20), Restart;
        /// The private key that signs checkpoints: PKCS#8 in PEM, as `holdfast plugin keygen`
        /// writes it. Not set: one that is made in the data directory, which production refuses.
        signing_key: Option<Secret> = None, Restart;
        /// Entries after which a chain gets a checkpoint.
        checkpoint_entries: Bounded<1, 10_000> = Bounded::new(1_000), Restart;
        /// How long after an entry a checkpoint is made at the latest.
        checkpoint_every: Millis = Millis::seconds(15 * 60), Restart;
        /// Days for which entries are kept; 0 keeps them for ever. A CQL store keeps them for 400
        /// days, whatever stands here.
        keep_days: Bounded<0, 36_500> = Bounded::new(0), Restart;
    }
}

section! {
    /// What the host says of itself on standard error.
    Log {
        /// `error`, `warn`, `info`, `debug`, `trace`, or per module as in "info,holdfast=debug".
        /// `scylla` is the driver of the CQL store: what it sees, the store tells in its own words.
        level: String = "info,scylla=off".to_owned(), Live;
        /// `text` or `json`.
        format: LogFormat = LogFormat::Text, Restart;
    }
}

macro_rules! config {
    ($($(#[doc = $doc:literal])* $section:ident: $type:ident,)*) => {
        /// All settings.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Config {
            /// Those outside of any section.
            pub general: General,
            $($(#[doc = $doc])* pub $section: $type,)*
        }

        impl Config {
            pub(super) fn read(reader: &mut Reader<'_>) -> Self {
                let root = KeyPath::default();
                Self {
                    general: Section::read(reader, &root),
                    $($section: Section::read(reader, &root.child(stringify!($section))),)*
                }
            }

            pub(super) fn describe(&self, out: &mut Reference) {
                let root = KeyPath::default();
                Section::describe(&self.general, &root, out);
                $(Section::describe(&self.$section, &root.child(stringify!($section)), out);)*
            }

            /// Every value that is set, without secrets.
            pub(super) fn values(&self) -> Values {
                let (root, mut out) = (KeyPath::default(), Values::new());
                Section::values(&self.general, &root, &mut out);
                $(Section::values(&self.$section, &root.child(stringify!($section)), &mut out);)*
                out
            }

            /// The keys whose values differ.
            #[must_use]
            pub fn changes(&self, other: &Self) -> Vec<Change> {
                let (root, mut out) = (KeyPath::default(), Vec::new());
                Section::changes(&self.general, &other.general, &root, &mut out);
                $({
                    let path = root.child(stringify!($section));
                    Section::changes(&self.$section, &other.$section, &path, &mut out);
                })*
                out
            }
        }
    };
}

config! {
    /// The main listener.
    server: Server,
    /// The ops listener.
    ops: Ops,
    /// Bounds.
    limits: Limits,
    /// The store.
    store: Store,
    /// The Kubo nodes.
    kubo: Kubo,
    /// IPFS Cluster's interface.
    cluster: ClusterApi,
    /// Components.
    plugins: Plugins,
    /// Policies.
    policies: Policies,
    /// Who may call.
    auth: Auth,
    /// The audit log.
    audit: Audit,
    /// Logs.
    log: Log,
}

impl Config {
    /// The embedded store's directory.
    #[must_use]
    pub fn store_dir(&self) -> PathBuf {
        self.store
            .dir
            .clone()
            .unwrap_or_else(|| self.general.data.join("store"))
    }

    /// The plugins' folder.
    #[must_use]
    pub fn plugins_dir(&self) -> PathBuf {
        self.plugins
            .dir
            .clone()
            .unwrap_or_else(|| self.general.data.join("plugins"))
    }

    /// Where policies are kept that have decided something.
    #[must_use]
    pub fn policies_kept_dir(&self) -> PathBuf {
        self.general.data.join("policies-kept")
    }

    /// The audit log's file.
    #[must_use]
    pub fn audit_path(&self) -> PathBuf {
        self.audit
            .path
            .clone()
            .unwrap_or_else(|| self.general.data.join("audit.jsonl"))
    }

    /// Files and folders named in it whose content counts while the host runs.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let issuers = self.auth.issuers.0.values();
        let keys = issuers.flat_map(|issuer| [&issuer.key, &issuer.jwks]);
        let named = keys.chain([
            &self.server.tls_cert,
            &self.server.tls_key,
            &self.cluster.tls_cert,
            &self.cluster.tls_key,
            &self.policies.dir,
        ]);
        let cql = match self.store.kind {
            StoreKind::Cql => self.store.cql.files(),
            StoreKind::Embedded | StoreKind::Memory => Vec::new(),
        };
        named.flatten().cloned().chain(cql).collect()
    }
}
