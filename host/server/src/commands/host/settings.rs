//! Each part's own settings, out of the configuration.

use crate::api;
use crate::config::{Config, StoreKind};
use crate::ops::listen::Bounds;
use crate::workers::kubo::Patience;
use crate::workers::tuning::{Retry, Tuning};
use holdfast_model::Origin;
use std::time::Duration;

/// Connections of the ops listener: probes and scrapers, which are few.
const OPS_CONNECTIONS_MAX: usize = 64;

/// How long a scrape may still take once the host is told to stop.
const OPS_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn edge(config: &Config) -> api::Settings {
    api::Settings {
        body_bytes_max: config.limits.body_bytes_max.count(),
        body_timeout: config.server.body_timeout.get(),
        call_timeout: config.server.call_timeout.get(),
        calls_max: config.limits.calls_max.count(),
    }
}

pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds {
        connections_max: config.limits.connections_max.count(),
        header_timeout: config.server.header_timeout.get(),
        drain_timeout: config.server.drain_timeout.get(),
    }
}

pub(super) fn ops_bounds(config: &Config) -> Bounds {
    Bounds {
        connections_max: OPS_CONNECTIONS_MAX,
        header_timeout: config.server.header_timeout.get(),
        drain_timeout: OPS_DRAIN_TIMEOUT,
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

/// The delegates that are configured; the configuration has checked that each is one.
pub(super) fn delegates(config: &Config) -> Vec<Origin> {
    config
        .kubo
        .delegates
        .iter()
        .filter_map(|text| Origin::parse(text).ok())
        .collect()
}
