//! What `production = true` refuses.

use super::problem::Complaint;
use super::sections::{Config, StoreKind};
use std::path::{Path, PathBuf};

/// Characters of a first key that nobody guesses: 32 of hex are 128 bits.
const KEY_BYTES_MIN: usize = 32;

/// Different characters of a key that was not typed with one finger.
const KEY_LETTERS_MIN: usize = 10;

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
    if config.store.kind == StoreKind::Memory {
        refuse(
            "store.kind",
            "a store in memory forgets every pin",
            "write \"embedded\"",
        );
    }
    if !config.audit.enabled {
        refuse(
            "audit.enabled",
            "decisions would not be recorded",
            "write true",
        );
    }
    if let Some(file) = &server.tls_key
        && is_open_to_all(file)
    {
        refuse(
            "server.tls_key",
            "everybody on this machine can read the file",
            "chmod 0600 the file",
        );
    }
    if let Some(key) = &config.auth.bootstrap_admin_key {
        if is_weak(key.reveal()) {
            refuse(
                "auth.bootstrap_admin_key",
                "can be guessed (short, repetitive or well known)",
                "make one with `openssl rand -hex 32`",
            );
        }
        if key.file().is_some_and(is_open_to_all) {
            let why = "everybody on this machine can read its file";
            refuse("auth.bootstrap_admin_key", why, "chmod 0600 the file");
        }
        if key.is_literal()
            && files
                .iter()
                .any(|file| names_key(file) && is_open_to_all(file))
        {
            refuse(
                "auth.bootstrap_admin_key",
                "stands in a file that everybody on this machine can read",
                "write \"file:PATH\" and put the key there, mode 0600",
            );
        }
    }
    wrong
}

fn is_weak(key: &str) -> bool {
    let letters: std::collections::BTreeSet<char> = key.chars().collect();
    let lower = key.to_ascii_lowercase();
    key.len() < KEY_BYTES_MIN
        || letters.len() < KEY_LETTERS_MIN
        || WELL_KNOWN.iter().any(|word| lower.contains(word))
}

/// Whether a configuration file holds the key itself (it may have come from the environment).
fn names_key(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.contains("bootstrap_admin_key"))
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
