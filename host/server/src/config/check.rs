//! What each value alone cannot show: whether they fit together.

use super::problem::Complaint;
use super::sections::{Config, Cql, StoreKind};

/// Characters that the first administrator's key must have; `identity::bootstrap` holds to it too.
const BOOTSTRAP_KEY_BYTES_MIN: usize = 16;

/// Characters of what tokens are signed with: HS256 wants 256 bits (RFC 7518, section 3.2).
const TOKEN_SECRET_BYTES_MIN: usize = 32;

/// The shortest time for which the feed is kept: a list of a hundred million pins takes minutes,
/// and whoever has read it then follows the feed from where the list began.
const FEED_KEPT_MILLIS_MIN: u64 = 3_600_000;

pub(super) fn check(config: &Config) -> Vec<Complaint> {
    let mut wrong = Vec::new();
    if config.store.feed_kept.0 < FEED_KEPT_MILLIS_MIN {
        wrong.push(Complaint::new(
            "store.feed_kept",
            "is shorter than an hour",
            "write \"1h\" or more, so that who lists all pins can go on from where that began",
        ));
    }
    if config.store.kind == StoreKind::Cql {
        cql(&config.store.cql, &mut wrong);
    }
    let server = &config.server;
    match (&server.tls_cert, &server.tls_key) {
        (Some(_), None) => {
            wrong.push(Complaint::new(
                "server.tls_key",
                "is missing beside tls_cert",
                "name the certificate's key",
            ));
        }
        (None, Some(_)) => {
            wrong.push(Complaint::new(
                "server.tls_cert",
                "is missing beside tls_key",
                "name the key's certificate",
            ));
        }
        _ => {}
    }
    origins("server.cors_origins", &server.cors_origins, &mut wrong);
    if server.listen == config.ops.listen && server.listen.port() != 0 {
        let text = "is the main listener's address too";
        wrong.push(Complaint::new(
            "ops.listen",
            text,
            "write another port, such as 127.0.0.1:8421",
        ));
    }
    cluster(config, &mut wrong);
    kubo(config, &mut wrong);
    if let Some(key) = &config.auth.bootstrap_admin_key {
        let fits = key.reveal().len() >= BOOTSTRAP_KEY_BYTES_MIN
            && key.reveal().bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            wrong.push(Complaint::new(
                "auth.bootstrap_admin_key",
                "is shorter than 16 characters or has other ones than visible ASCII",
                "make one with `openssl rand -hex 32`",
            ));
        }
    }
    wrong
}

/// What is missing. Whether the rest can be used is the store's to say.
fn cql(cql: &Cql, wrong: &mut Vec<Complaint>) {
    let mut missing = |is_missing: bool, key: &str, write: &str| {
        if is_missing {
            wrong.push(Complaint::new(
                format!("store.cql.{key}"),
                "is missing, and store.kind = \"cql\"",
                write,
            ));
        }
    };
    let points = cql.contact_points.is_empty();
    missing(
        points,
        "contact_points",
        "name some nodes, such as [\"10.0.0.1\", \"10.0.0.2\"]",
    );
    let datacenter = cql.local_datacenter.is_none();
    let write = "write its name as `nodetool status` shows it, such as \"dc1\"";
    missing(datacenter, "local_datacenter", write);
    let write = "write the replicas of each datacenter, such as \"dc1:3\"";
    missing(cql.replication.0.is_empty(), "replication", write);
    cql_pairs(cql, wrong);
    if cql.retry_first.0 > cql.retry_longest.0 {
        wrong.push(Complaint::new(
            "store.cql.retry_longest",
            "is shorter than the first wait",
            "write a span that is not shorter than store.cql.retry_first",
        ));
    }
}

/// Keys of which one is of no use without the other.
fn cql_pairs(cql: &Cql, wrong: &mut Vec<Complaint>) {
    let mut beside = |is_missing: bool, key: &str, there: &str, write: &str| {
        if is_missing {
            let (key, there) = (
                format!("store.cql.{key}"),
                format!("is missing beside {there}"),
            );
            wrong.push(Complaint::new(key, there, write));
        }
    };
    let (user, password) = (cql.username.is_some(), cql.password.is_some());
    let write = "write \"file:PATH\" or \"env:NAME\" and put the role's password there";
    beside(user && !password, "password", "username", write);
    beside(
        password && !user,
        "username",
        "password",
        "name the role to log in as",
    );
    let tls = &cql.tls;
    let (cert, key) = (tls.cert.is_some(), tls.key.is_some());
    beside(
        cert && !key,
        "tls.key",
        "tls.cert",
        "name the certificate's key",
    );
    beside(
        key && !cert,
        "tls.cert",
        "tls.key",
        "name the key's certificate",
    );
    let without_ca = tls.ca.is_none() && (cert || key || tls.server_name.is_some());
    let write = "name the authorities' certificates, or take the rest of [store.cql.tls] out";
    beside(without_ca, "tls.ca", "the other keys of tls", write);
    let (reads, writes) = (&cql.partition_reads_max, &cql.partition_writes_max);
    let write = "write a number; ScyllaDB bounds both or neither";
    let no_reads = reads.is_none() && writes.is_some();
    beside(
        no_reads,
        "partition_reads_max",
        "partition_writes_max",
        write,
    );
    let no_writes = reads.is_some() && writes.is_none();
    beside(
        no_writes,
        "partition_writes_max",
        "partition_reads_max",
        write,
    );
}

/// IPFS Cluster's interface: addresses that meet, files and factors that do not fit together.
fn cluster(config: &Config, wrong: &mut Vec<Complaint>) {
    let cluster = &config.cluster;
    let mut complain = |key: &str, why: &str, write: &str| {
        wrong.push(Complaint::new(format!("cluster.{key}"), why, write));
    };
    if let Some(listen) = cluster.listen.filter(|listen| listen.port() != 0)
        && (listen == config.server.listen || listen == config.ops.listen)
    {
        let why = "is another listener's address too";
        complain("listen", why, "write another port, such as 127.0.0.1:9094");
    }
    match (&cluster.tls_cert, &cluster.tls_key) {
        (Some(_), None) => {
            let why = "is missing beside tls_cert";
            complain("tls_key", why, "name the certificate's key");
        }
        (None, Some(_)) => {
            let why = "is missing beside tls_key";
            complain("tls_cert", why, "name the key's certificate");
        }
        _ => {}
    }
    let (min, max) = (cluster.replication_min.get(), cluster.replication_max.get());
    if (min == 0) != (max == 0) {
        let why = "and replication_max: one says every node and the other does not";
        complain("replication_min", why, "write 0 for both or for neither");
    } else if min > max {
        let why = "is larger than replication_max";
        complain("replication_min", why, "write a number that is not larger");
    }
    let secret = cluster.token_secret.as_ref();
    if secret.is_some_and(|secret| secret.reveal().len() < TOKEN_SECRET_BYTES_MIN) {
        let why = "is shorter than 32 characters";
        complain("token_secret", why, "make one with `openssl rand -hex 32`");
    }
    if cluster.client_ca.is_some() && cluster.tls_cert.is_none() && config.server.tls_cert.is_none()
    {
        let why = "asks for clients' certificates, but there is no TLS";
        complain(
            "client_ca",
            why,
            "set cluster.tls_cert and cluster.tls_key too",
        );
    }
    origins("cluster.cors_origins", &cluster.cors_origins, wrong);
}

/// Sites as browsers name them.
fn origins(key: &str, sites: &[String], wrong: &mut Vec<Complaint>) {
    let is_origin = |origin: &String| {
        let known = url::Url::parse(origin).is_ok_and(|url| url.has_host() && url.path() == "/");
        origin == "*" || known && !origin.ends_with('/')
    };
    if !sites.iter().all(is_origin) {
        let why = "has something in it that is no origin";
        let write = "write \"https://HOST\" without a path, or \"*\"";
        wrong.push(Complaint::new(key, why, write));
    }
}

fn kubo(config: &Config, wrong: &mut Vec<Complaint>) {
    if config.kubo.api.is_empty() {
        wrong.push(Complaint::new(
            "kubo.api",
            "names no node",
            "write [\"http://127.0.0.1:5001\"]",
        ));
    }
    for api in &config.kubo.api {
        let is_url = url::Url::parse(api).is_ok_and(|url| url.scheme() == "http" && url.has_host());
        if !is_url && !api.starts_with('/') {
            wrong.push(Complaint::new(
                "kubo.api",
                format!("{api:?} is no address of an RPC API"),
                "write http://HOST:PORT or a multiaddr such as /ip4/127.0.0.1/tcp/5001",
            ));
        }
    }
    for delegate in &config.kubo.delegates {
        if let Err(e) = holdfast_model::Origin::parse(delegate) {
            wrong.push(Complaint::new(
                "kubo.delegates",
                format!("{delegate:?} {}", e.why),
                "write a multiaddr that ends in /p2p/PEER-ID",
            ));
        } else if !delegate.contains("/p2p/") {
            wrong.push(Complaint::new(
                "kubo.delegates",
                format!("{delegate:?} names no peer"),
                "let it end in /p2p/PEER-ID",
            ));
        }
    }
    if config.kubo.retry_first.0 > config.kubo.retry_longest.0 {
        let mend = "write a span that is not shorter than kubo.retry_first";
        wrong.push(Complaint::new(
            "kubo.retry_longest",
            "is shorter than the first wait",
            mend,
        ));
    }
}
