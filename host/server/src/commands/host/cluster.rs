//! The CQL store's settings out of the configuration, and what production asks of its cluster.

use super::failure;
use crate::config::{
    self, Complaint, Config, Cql, CqlConsistency, CqlFlow, CqlTimeouts, FrameCompression, Level,
    REPLICAS_MIN, SerialScope, StoreKind, TabletChoice,
};
use crate::ops::tls;
use holdfast_model::Invalid;
use holdfast_store::schema::{
    AtRest, Migrate, PartitionRate, SchemaSettings, Tablets, TombstoneGc,
};
use holdfast_store::{
    Compression, Connections, ConsistencyLevels, CqlSettings, Flow, Layout, Login, Pool, Probe,
    SeenRole, Serial, Timeouts, TlsFiles,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// What the store is told of the cluster; nothing if the store is another one, or if what it
/// cannot do without is missing (the configuration has complained of that).
pub(in crate::commands) fn cluster_of(config: &Config) -> Result<Option<CqlSettings>, Complaint> {
    let cql = &config.store.cql;
    let is_missing = cql.contact_points.is_empty() || cql.replication.0.is_empty();
    let Some(datacenter) = &cql.local_datacenter else {
        return Ok(None);
    };
    if config.store.kind != StoreKind::Cql || is_missing {
        return Ok(None);
    }
    let login = cql.username.as_ref().zip(cql.password.as_ref());
    let settings = CqlSettings {
        contact_points: cql.contact_points.clone(),
        local_datacenter: datacenter.clone(),
        local_rack: cql.local_rack.clone(),
        keyspace: cql.keyspace.clone(),
        replication: cql.replication.0.clone(),
        login: login.map(|(username, password)| Login {
            username: username.clone(),
            password: password.reveal().to_owned(),
        }),
        tls: cql.tls.ca.as_ref().map(|ca| TlsFiles {
            ca: ca.clone(),
            client: cql.tls.cert.clone().zip(cql.tls.key.clone()),
            server_name: cql.tls.server_name.clone(),
        }),
        connections: connections(cql),
        timeouts: timeouts(&cql.timeouts),
        consistency: consistency(&cql.consistency),
        layout: layout(cql),
        schema: schema(cql),
        flow: flow(&cql.flow),
    };
    match settings.check() {
        Ok(()) => Ok(Some(settings)),
        Err(invalid) => Err(complaint(invalid)),
    }
}

/// As a complaint about the configuration. The store's own text ends with the mend.
pub(super) fn complaint(invalid: Invalid) -> Complaint {
    let Invalid { what, why } = invalid;
    match why.rsplit_once("; ") {
        Some((wrong, write)) => Complaint::new(what, wrong, write),
        None => Complaint::new(what, why, "see schema/config.toml"),
    }
}

fn connections(cql: &Cql) -> Connections {
    let count = |number: usize| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
    let from = &cql.connections;
    Connections {
        pool: match from.per_node {
            Some(number) => Pool::PerNode(count(number.count())),
            None => Pool::PerShard(count(from.per_shard.count())),
        },
        shard_aware_port: from.shard_aware_port,
        compression: match from.compression {
            FrameCompression::None => Compression::None,
            FrameCompression::Lz4 => Compression::Lz4,
            FrameCompression::Snappy => Compression::Snappy,
        },
        write_coalescing: from.write_coalescing,
        local_address: from.local_address,
    }
}

fn timeouts(from: &CqlTimeouts) -> Timeouts {
    Timeouts {
        connect: from.connect.get(),
        session: from.session.get(),
        prepare: from.prepare.get(),
        read: from.read.get(),
        write: from.write.get(),
        condition: from.condition.get(),
        page: from.page.get(),
        schema: from.schema.get(),
        lease: from.lease.get(),
        keepalive: from.keepalive.get(),
    }
}

fn consistency(from: &CqlConsistency) -> ConsistencyLevels {
    let level = |level: Level| match level {
        Level::LocalOne => holdfast_store::Level::LocalOne,
        Level::LocalQuorum => holdfast_store::Level::LocalQuorum,
        Level::Quorum => holdfast_store::Level::Quorum,
    };
    ConsistencyLevels {
        read: level(from.read),
        write: level(from.write),
        stream: level(from.stream),
        serial: match from.serial {
            SerialScope::Local => Serial::Local,
            SerialScope::Global => Serial::Global,
        },
        remote_reads: from.remote_reads,
    }
}

fn layout(cql: &Cql) -> Layout {
    let from = &cql.layout;
    // The bounds of the keys are those of the types.
    let byte = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
    let short = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    Layout {
        prefix_bits: byte(from.prefix_bits.get()),
        peer_bucket_bits: byte(from.peer_bucket_bits.get()),
        feed_shards: short(from.feed_shards.get()),
        expiry_shards: short(from.expiry_shards.get()),
        homes: from.homes.clone(),
    }
}

fn schema(cql: &Cql) -> SchemaSettings {
    let rate = cql.partition_reads_max.zip(cql.partition_writes_max);
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    SchemaSettings {
        migrate: match cql.migrate {
            config::Migrate::Auto => Migrate::Auto,
            config::Migrate::Check => Migrate::Check,
        },
        at_rest: match cql.encryption_at_rest {
            config::AtRest::Off => AtRest::Off,
            config::AtRest::Required => AtRest::Required(cql.encryption_options.0.clone()),
        },
        tablets: match cql.tablets {
            TabletChoice::Server => Tablets::Server,
            TabletChoice::On => Tablets::On,
            TabletChoice::Off => Tablets::Off,
        },
        tombstone_gc: match cql.tombstone_gc {
            config::TombstoneGc::Server => TombstoneGc::Server,
            config::TombstoneGc::Repair => TombstoneGc::Repair,
        },
        partition_rate: rate.map(|(reads, writes)| PartitionRate {
            reads: number(reads.get()),
            writes: number(writes.get()),
        }),
        run_by: format!("process {} on {}", std::process::id(), machine()),
    }
}

/// This machine's name, for people who wonder which process holds something.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "an unnamed machine".to_owned(),
        name => name.to_owned(),
    }
}

fn flow(from: &CqlFlow) -> Flow {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Flow {
        in_flight: from.in_flight.count(),
        node_in_flight: from.node_in_flight.count(),
        queue: from.queue.count(),
        stream_pages: from.stream_pages.count(),
        speculate_after: from.speculate.then(|| from.speculate_after.get()),
        retry_percent: number(from.retry_percent.get()),
        cached_pins: from.cached_pins.count(),
        trace_one_in: number(from.trace_one_in.get()),
    }
}

/// Whether what the settings name can be used, as far as this machine can tell.
pub(super) fn check(config: &Config) -> Vec<Complaint> {
    let settings = cluster_of(config);
    let mut complaints: Vec<_> = settings.as_ref().err().into_iter().cloned().collect();
    if config.store.kind != StoreKind::Cql {
        return complaints;
    }
    if let Ok(Some(settings)) = &settings
        && config.general.production
    {
        let replication = settings.replication.iter().cloned().collect();
        complaints.extend(could_lose(settings, &replication));
    }
    let files = &config.store.cql.tls;
    for (key, file) in [("ca", &files.ca), ("cert", &files.cert)] {
        if let Some(why) = file.as_ref().and_then(|file| tls::chain(file).err()) {
            let key = format!("store.cql.tls.{key}");
            complaints.push(Complaint::new(
                key,
                why,
                "name a file with certificates in PEM",
            ));
        }
    }
    if let Some(file) = &files.key
        && let Err(e) = PrivateKeyDer::from_pem_file(file)
    {
        complaints.push(Complaint::new(
            "store.cql.tls.key",
            format!("{}: {e}", file.display()),
            "name the certificate's private key in PEM",
        ));
    }
    complaints
}

/// Levels of consistency with which production could lose what it has acknowledged.
fn could_lose(settings: &CqlSettings, replication: &BTreeMap<String, u16>) -> Vec<Complaint> {
    let found = settings.could_lose(replication).into_iter();
    found.map(complaint).map(in_production).collect()
}

fn in_production(mut complaint: Complaint) -> Complaint {
    complaint.wrong.push_str(", and production = true");
    complaint
}

/// Refuses a cluster that production may not trust.
///
/// # Errors
/// What is unsafe about it; or that it does not answer, which time may mend.
pub(super) async fn must_be_safe(settings: &CqlSettings) -> anyhow::Result<()> {
    let probe = Probe::open(settings.clone()).await?;
    match unsafe_in_production(&probe, settings)
        .await?
        .into_iter()
        .next()
    {
        None => Ok(()),
        Some(complaint) => Err(failure(complaint)),
    }
}

/// What a cluster itself shows that production refuses: a login that may do everything, or none;
/// too few replicas in a datacenter that is used; writes that are not logged; levels of consistency
/// that do not meet each other with the replicas that there are.
///
/// # Errors
/// The cluster does not answer.
pub(in crate::commands) async fn unsafe_in_production(
    probe: &Probe,
    settings: &CqlSettings,
) -> anyhow::Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut refuse = |key: &str, why: String, write: String| {
        complaints.push(in_production(Complaint::new(key, why, write)));
    };
    match probe.role().await? {
        SeenRole::Known { name, is_superuser } if is_superuser => refuse(
            "store.cql.username",
            format!("the role {name} is a superuser of the cluster"),
            format!(
                "make a role with the rights on the keyspace {} alone",
                settings.keyspace
            ),
        ),
        SeenRole::Known { .. } => {}
        SeenRole::Nobody => refuse(
            "store.cql.username",
            "the cluster asks nobody who they are".to_owned(),
            "set `authenticator: PasswordAuthenticator` at the nodes".to_owned(),
        ),
    }
    // A keyspace that is not there yet is made as the configuration says, which was looked at.
    let Some(replication) = probe.replication().await? else {
        return Ok(complaints);
    };
    if !probe.logs_writes().await? {
        let keyspace = &settings.keyspace;
        refuse(
            "store.cql.keyspace",
            format!("the keyspace {keyspace} has durable_writes = false: a node that dies forgets"),
            format!("run `ALTER KEYSPACE {keyspace} WITH durable_writes = true`"),
        );
    }
    let mut used = settings.homes();
    used.push(settings.local_datacenter.clone());
    used.sort();
    used.dedup();
    for datacenter in used {
        let replicas = replication.get(&datacenter).copied().unwrap_or(0);
        if replicas < REPLICAS_MIN {
            let keyspace = &settings.keyspace;
            let mut wanted = replication.clone();
            wanted.insert(datacenter.clone(), REPLICAS_MIN);
            refuse(
                "store.cql.replication",
                format!("the keyspace {keyspace} has {replicas} replicas in {datacenter}"),
                alter(keyspace, &wanted),
            );
        }
    }
    complaints.extend(could_lose(settings, &replication));
    Ok(complaints)
}

/// The statement that gives a keyspace other replicas, and what to do after it.
pub(in crate::commands) fn alter(keyspace: &str, replication: &BTreeMap<String, u16>) -> String {
    let of = |(name, count): (&String, &u16)| format!("'{name}': {count}");
    let all: Vec<String> = replication.iter().map(of).collect();
    format!(
        "run `ALTER KEYSPACE {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy', \
         {}}}`, then `nodetool repair --full {keyspace}` on each node",
        all.join(", ")
    )
}
