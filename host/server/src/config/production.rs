//! What `production = true` refuses.

use super::problem::Complaint;
use super::secret::Secret;
use super::sections::{Config, Cql, StoreKind};
use std::path::{Path, PathBuf};

/// Characters of a first key that nobody guesses: 32 of hex are 128 bits.
const KEY_BYTES_MIN: usize = 32;

/// Different characters of a key that was not typed with one finger.
const KEY_LETTERS_MIN: usize = 10;

/// The role that every new cluster has, and its password.
const DEFAULT_ROLE: &str = "cassandra";

/// Replicas of which a majority is left when one is lost.
pub const REPLICAS_MIN: u16 = 3;

/// Words of keys that stand in tutorials.
const WELL_KNOWN: [&str; 7] = [
    "changeme",
    "change-me",
    "password",
    "secret",
    "example",
    "default",
    "bootstrap",
];

pub(super) fn check(config: &Config, files: &[PathBuf]) -> Vec<Complaint> {
    let mut wrong = Vec::new();
    let mut refuse = |key: &str, why: &str, write: &str| {
        wrong.push(Complaint::new(
            key,
            format!("{why}, and production = true"),
            write,
        ));
    };
    let server = &config.server;
    if !server.listen.ip().is_loopback() && server.tls_cert.is_none() {
        refuse(
            "server.listen",
            "listens beyond this machine without TLS, so keys would travel in the clear",
            "set server.tls_cert and server.tls_key, or listen at 127.0.0.1",
        );
    }
    listeners(config, files, &mut refuse);
    if config.store.kind == StoreKind::Memory {
        refuse(
            "store.kind",
            "a store in memory forgets every pin",
            "write \"embedded\"",
        );
    }
    if !config.plugins.require_signatures {
        refuse(
            "plugins.require_signatures",
            "whoever can write a file could set prices and decide what is allowed",
            "write true, and whose signatures are good under [plugins.trusted_keys]",
        );
    }
    if !config.audit.enabled {
        refuse(
            "audit.enabled",
            "decisions would not be recorded",
            "write true",
        );
    }
    match &config.audit.signing_key {
        Some(key) => secret("audit.signing_key", key, files, &mut refuse),
        None if config.audit.enabled => refuse(
            "audit.signing_key",
            "checkpoints would be signed by a key that lies beside what they vouch for",
            "make one with `holdfast plugin keygen`, keep its public half elsewhere, and write \
             \"file:PATH\"",
        ),
        None => {}
    }
    if let Some(key) = &config.auth.bootstrap_admin_key {
        if is_weak(key.reveal()) {
            refuse(
                "auth.bootstrap_admin_key",
                "can be guessed (short, repetitive or well known)",
                "make one with `openssl rand -hex 32`",
            );
        }
        secret("auth.bootstrap_admin_key", key, files, &mut refuse);
    }
    if let Some(key) = &config.auth.secret {
        secret("auth.secret", key, files, &mut refuse);
    }
    if config.store.kind == StoreKind::Cql {
        cql(&config.store.cql, files, &mut refuse);
    }
    wrong
}

/// What is wrong with the listener of IPFS Cluster's interface, and with both listeners' keys.
fn listeners(config: &Config, files: &[PathBuf], refuse: &mut dyn FnMut(&str, &str, &str)) {
    let server = &config.server;
    let cluster = &config.cluster;
    let goes_out = |listen: std::net::SocketAddr| !listen.ip().is_loopback();
    if cluster.listen.is_some_and(goes_out)
        && cluster.tls_cert.is_none()
        && server.tls_cert.is_none()
    {
        refuse(
            "cluster.listen",
            "listens beyond this machine without TLS, so keys would travel in the clear",
            "set cluster.tls_cert and cluster.tls_key, or those of [server]",
        );
    }
    for (key, file) in [
        ("server.tls_key", &server.tls_key),
        ("cluster.tls_key", &cluster.tls_key),
    ] {
        if file.as_deref().is_some_and(is_open_to_all) {
            let why = "everybody on this machine can read the file";
            refuse(key, why, "chmod 0600 the file");
        }
    }
    if let Some(token_secret) = &cluster.token_secret {
        secret("cluster.token_secret", token_secret, files, refuse);
    }
}

/// What is wrong with where a secret is kept.
fn secret(key: &str, secret: &Secret, files: &[PathBuf], refuse: &mut dyn FnMut(&str, &str, &str)) {
    if secret.file().is_some_and(is_open_to_all) {
        let why = "everybody on this machine can read its file";
        refuse(key, why, "chmod 0600 the file");
    }
    let name = key.rsplit('.').next().unwrap_or(key);
    let stands_open = |file: &PathBuf| names_key(file, name) && is_open_to_all(file);
    if secret.is_literal() && files.iter().any(stands_open) {
        refuse(
            key,
            "stands in a file that everybody on this machine can read",
            "write \"file:PATH\" and put the key there, mode 0600",
        );
    }
}

/// What the settings of a cluster show by themselves. Which levels of consistency lose nothing, the
/// store says (`commands::host`). What only the cluster can tell (whether the role is a superuser,
/// how the keyspace is replicated in truth) it is asked at the start.
fn cql(cql: &Cql, files: &[PathBuf], refuse: &mut dyn FnMut(&str, &str, &str)) {
    if cql.tls.ca.is_none() {
        refuse(
            "store.cql.tls.ca",
            "pins, keys' hashes and the password would travel to the cluster in the clear",
            "turn on client encryption at the nodes and name their authorities' certificates",
        );
    }
    if let Some(key) = &cql.tls.key
        && is_open_to_all(key)
    {
        let why = "everybody on this machine can read the file";
        refuse("store.cql.tls.key", why, "chmod 0600 the file");
    }
    match (&cql.username, &cql.password) {
        (Some(user), Some(password)) => {
            if user == DEFAULT_ROLE && password.reveal() == DEFAULT_ROLE {
                refuse(
                    "store.cql.password",
                    "is the one that every new cluster has",
                    "make a role of its own for the host (README, \"Running on ScyllaDB or Cassandra\")",
                );
            }
            secret("store.cql.password", password, files, refuse);
        }
        _ => refuse(
            "store.cql.username",
            "the host would log in to the cluster as nobody",
            "turn on PasswordAuthenticator at the nodes and name a role and its password",
        ),
    }
    for (datacenter, replicas) in &cql.replication.0 {
        if *replicas < REPLICAS_MIN && cql.uses(datacenter) {
            refuse(
                "store.cql.replication",
                &format!(
                    "{datacenter} has fewer than {REPLICAS_MIN} replicas: one node down stops writes"
                ),
                &format!("write {datacenter}:{REPLICAS_MIN}"),
            );
        }
    }
}

fn is_weak(key: &str) -> bool {
    let letters: std::collections::BTreeSet<char> = key.chars().collect();
    let lower = key.to_ascii_lowercase();
    key.len() < KEY_BYTES_MIN
        || letters.len() < KEY_LETTERS_MIN
        || WELL_KNOWN.iter().any(|word| lower.contains(word))
}

/// Whether a configuration file holds the key itself (it may have come from the environment).
fn names_key(file: &Path, name: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.contains(name))
}

#[cfg(unix)]
fn is_open_to_all(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    /// Any right for others.
    const OTHERS: u32 = 0o007;
    std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & OTHERS != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_: &Path) -> bool {
    false
}
