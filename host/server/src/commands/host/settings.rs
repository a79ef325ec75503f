//! Each part's own settings, out of the configuration.

use crate::api;
use crate::config::{Config, Copies, StoreKind};
use crate::ops::listen::Bounds;
use crate::pins::cluster::Defaults;
use crate::policies::Archive;
use crate::workers::kubo::Patience;
use crate::workers::metrics::KuboMetrics;
use crate::workers::tuning::{Retry, Tuning};
use holdfast_model::Origin;
use holdfast_policy::{GateSettings, Keeper, Seal};
use holdfast_runtime::{PublicKey, Signature};
use holdfast_store::Retention;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Connections of the ops listener: probes and scrapers, which are few.
const OPS_CONNECTIONS_MAX: usize = 64;

/// How long a scrape may still take once the host is told to stop.
const OPS_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn edge(config: &Config, stop: CancellationToken) -> api::Settings {
    api::Settings {
        body_bytes_max: config.limits.body_bytes_max.count(),
        body_timeout: config.server.body_timeout.get(),
        call_timeout: config.server.call_timeout.get(),
        calls_per_second: u32::try_from(config.limits.calls_per_second.get()).unwrap_or(u32::MAX),
        calls_burst: u32::try_from(config.limits.calls_burst.get()).unwrap_or(u32::MAX),
        calls_max: config.limits.calls_max.count(),
        cors: api::Cors {
            origins: config.server.cors_origins.clone(),
            methods: config.server.cors_methods.clone(),
        },
        production: config.general.production,
        stop,
        ..api::Settings::default()
    }
}

/// What the policies are opened with.
pub(super) fn gate(config: &Config) -> GateSettings {
    let policies = &config.policies;
    let is_looked_at = policies.require_signature || !policies.trusted_keys.is_empty();
    let seal = is_looked_at.then(|| {
        let (keys, is_required) = (policies.trusted_keys.clone(), policies.require_signature);
        seal(keys, is_required)
    });
    let archive = Archive::new(config.policies_kept_dir());
    GateSettings {
        dir: policies.dir.clone(),
        seal,
        keeper: Some(Keeper::new(move |revision, files| {
            archive.keep_platform(revision, &files);
        })),
        asks_tenants: true,
    }
}

/// Looks for a signature by one of `keys`. One that is there must be good even where none is
/// required.
fn seal(keys: Vec<PublicKey>, is_required: bool) -> Seal {
    Seal::new(move |signature, digest| {
        let Some(text) = signature else {
            return match is_required {
                true => Err("is missing, and policies.require_signature wants one".into()),
                false => Ok(()),
            };
        };
        let signature = Signature::parse(text).map_err(|_| {
            "is none; it must be one line as `holdfast policy sign` writes it".to_owned()
        })?;
        let checked = signature.verify(&keys, &to_sign(digest));
        checked.map(drop).map_err(|_| {
            let key = signature.key_id();
            format!("by key {key} is not over these policies, or that key is not among policies.trusted_keys")
        })
    })
}

/// What is signed of a folder: not its bare digest, so that no signature over a plugin passes for
/// one over policies.
pub(in crate::commands) fn to_sign(digest: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"holdfast policies v1\0");
    hash.update(digest);
    hash.finalize().into()
}

pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds {
        connections_max: config.limits.connections_max.count(),
        header_timeout: config.server.header_timeout.get(),
        drain_timeout: config.server.drain_timeout.get(),
        announces_trailers: false,
    }
}

/// IPFS Cluster's interface. Without a secret of the operator's, tokens are this process's own.
pub(super) fn cluster(config: &Config, kubo: KuboMetrics) -> api::ClusterSettings {
    let cluster = &config.cluster;
    let copies = |copies: Copies| match copies.get() {
        0 => -1,
        copies => i32::try_from(copies).unwrap_or(i32::MAX),
    };
    let secret = cluster.token_secret.as_ref();
    api::ClusterSettings {
        defaults: Defaults {
            replication_min: copies(cluster.replication_min),
            replication_max: copies(cluster.replication_max),
        },
        cors: api::Cors {
            origins: cluster.cors_origins.clone(),
            methods: cluster.cors_methods.clone(),
        },
        token_secret: secret.map_or_else(
            || rand::random::<[u8; 32]>().to_vec(),
            |secret| secret.reveal().as_bytes().to_vec(),
        ),
        token_lifetime: cluster.token_lifetime.get(),
        kubo,
    }
}

pub(super) fn ops_bounds(config: &Config) -> Bounds {
    Bounds {
        connections_max: OPS_CONNECTIONS_MAX,
        header_timeout: config.server.header_timeout.get(),
        drain_timeout: OPS_DRAIN_TIMEOUT,
        announces_trailers: false,
    }
}

pub(super) fn tuning(config: &Config) -> Tuning {
    let kubo = &config.kubo;
    let attempt = kubo.attempt_timeout.get();
    Tuning {
        concurrency: kubo.concurrency.count(),
        patience: Patience {
            stall: kubo.stall_timeout.get(),
            attempt,
            stat: attempt,
        },
        retry: Retry {
            attempts_max: u32::try_from(kubo.attempts_max.get()).unwrap_or(u32::MAX),
            first: kubo.retry_first.get(),
            longest: kubo.retry_longest.get(),
        },
        reconcile: kubo.reconcile_every.get(),
        exclusive: kubo.exclusive,
        // A cluster is there to be shared: another process may hold what a dead one left.
        alone: config.store.kind != StoreKind::Cql,
        ..Tuning::default()
    }
}

/// How much of the change feed is kept.
pub(super) fn feed_kept(config: &Config) -> Retention {
    Retention {
        age: config.store.feed_kept.get(),
        steps: config.store.feed_kept_steps.get(),
    }
}

/// The delegates that are configured; the configuration has checked that each is one.
pub(super) fn delegates(config: &Config) -> Vec<Origin> {
    config
        .kubo
        .delegates
        .iter()
        .filter_map(|text| Origin::parse(text).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_policy::Gate;
    use holdfast_runtime::SigningKey;
    use std::fs;
    use std::path::Path;

    /// A signature over just these policies, by a key that is trusted, opens; all else does not.
    #[test]
    fn a_folder_is_taken_by_its_signature() {
        let dir = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        for entry in fs::read_dir(shipped).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let (ours, other) = (key(), key());
        let digest = Gate::digest(dir.path()).unwrap();
        let open = |signature: Option<String>, is_required| {
            let file = dir.path().join("policies.sig");
            match signature {
                Some(signature) => fs::write(&file, signature).unwrap(),
                None => fs::remove_file(&file).unwrap_or_default(),
            }
            let opened = Gate::open_with(GateSettings {
                dir: Some(dir.path().into()),
                seal: Some(seal(vec![ours.public()], is_required)),
                ..GateSettings::default()
            });
            opened.map(drop).map_err(|e| e.to_string())
        };
        assert_eq!(
            open(Some(ours.sign(&to_sign(&digest)).to_string()), true),
            Ok(())
        );
        assert_eq!(open(None, false), Ok(()));
        for (signature, said) in [
            (None, "is missing"),
            (
                Some(other.sign(&to_sign(&digest)).to_string()),
                "not among policies.trusted_keys",
            ),
            (
                Some(ours.sign(&to_sign(&[0; 32])).to_string()),
                "not over these policies",
            ),
            // What would be a signature over a plugin.
            (
                Some(ours.sign(&digest).to_string()),
                "not over these policies",
            ),
            (Some("x".into()), "is none"),
        ] {
            let refused = open(signature, true).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }
}
