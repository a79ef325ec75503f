//! What is put in place while the host runs.

use super::{Crew, settings};
use crate::config::{Commit, Live, Problems, watch};
use crate::identity::{self, Authenticator};
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::{self, Telemetry};
use crate::ops::tls::{self, Certificate};
use holdfast_policy::Gate;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Reads configuration and policies again.
#[derive(Debug)]
pub(super) struct Reloader {
    live: Arc<Live>,
    gate: Arc<Gate>,
    metrics: Metrics,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    pub(super) fn new(live: Arc<Live>, gate: Arc<Gate>, metrics: Metrics) -> Self {
        Self {
            live,
            gate,
            metrics,
            one_at_a_time: Mutex::default(),
        }
    }

    /// Has every part told of a new configuration that can take one.
    pub(super) fn subscribe_all(
        &self,
        authenticator: &Authenticator,
        certificate: Option<&Arc<Certificate>>,
        workers: &Crew,
        telemetry: Option<Telemetry>,
    ) {
        let authenticator = authenticator.clone();
        self.live.subscribe(Box::new(move |config| {
            let issuers = identity::issuers(&config.auth);
            let issuers = issuers.map_err(super::one)?;
            let authenticator = authenticator.clone();
            Ok(Box::new(move || authenticator.replace_issuers(issuers)) as Commit)
        }));
        if let Some(certificate) = certificate.map(Arc::clone) {
            self.live.subscribe(Box::new(move |config| {
                let next = tls::read(&config.server)?;
                let certificate = Arc::clone(&certificate);
                Ok(Box::new(move || {
                    if let Some(next) = next {
                        certificate.replace(next);
                    }
                }) as Commit)
            }));
        }
        let workers = Arc::clone(workers);
        self.live.subscribe(Box::new(move |config| {
            let tuning = settings::tuning(config);
            let workers = Arc::clone(&workers);
            Ok(Box::new(move || {
                if let Some(workers) = workers.lock().as_ref() {
                    workers.retune(tuning);
                }
            }) as Commit)
        }));
        if let Some(telemetry) = telemetry {
            self.live.subscribe(Box::new(move |config| {
                let level = telemetry::filter(&config.log)?;
                let telemetry = telemetry.clone();
                Ok(Box::new(move || telemetry.set(level)) as Commit)
            }));
        }
    }

    /// Reads everything again. What is wrong is logged, and what was good stays in force.
    pub(super) fn reload(&self) {
        let _one = self.one_at_a_time.lock();
        match self.live.reload() {
            Ok(changes) => {
                self.metrics.count_reload(true);
                let keys: Vec<String> = changes.into_iter().map(|change| change.key).collect();
                tracing::info!(changed = ?keys, "configuration read again");
                let waiting = self.live.waiting_for_restart();
                if !waiting.is_empty() {
                    tracing::warn!(keys = ?waiting, "these settings count after a restart only");
                }
            }
            Err(problems) => {
                self.metrics.count_reload(false);
                log_refused(&problems);
            }
        }
        let before = self.gate.revision();
        match self.gate.reload() {
            Ok(revision) if revision != before => {
                tracing::info!(revision = %revision.0, "policies replaced");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "policies refused, the former ones stay"),
        }
    }

    /// Reloads whenever a file changes that configuration or policies were read from.
    pub(super) fn watch(self: &Arc<Self>) -> JoinHandle<()> {
        let (looking, changing) = (Arc::clone(self), Arc::clone(self));
        tokio::spawn(watch::watch(
            self.live.first_look(),
            move || looking.live.files(),
            move || {
                let reloader = Arc::clone(&changing);
                // Reading files and compiling policies is no work for a thread that answers.
                tokio::task::spawn_blocking(move || reloader.reload());
            },
        ))
    }
}

/// Says what keeps a configuration from being used.
pub(super) fn log_refused(problems: &Problems) {
    for problem in &problems.problems {
        tracing::error!(
            place = %problem.origin,
            key = problem.key,
            mend = problem.write,
            "configuration refused, the former one stays: {}",
            problem.wrong
        );
    }
}
