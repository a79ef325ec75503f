//! The way to a cluster, step by step: names, sockets, TLS, login, and what is found there. Who
//! stops at one step says so, and the steps behind it are not tried.

mod reach;
mod state;

use super::Finding;
use crate::commands::host::cluster_of;
use crate::config::{Config, StoreKind};
use holdfast_store::{CqlSettings, Probe, StoreError};
use std::time::Duration;

/// How long one step may take: who asks a doctor waits in front of a terminal.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// What is found on the way to the cluster; nothing if the store is another one.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    if config.store.kind != StoreKind::Cql {
        return Vec::new();
    }
    let settings = match cluster_of(config) {
        Ok(Some(settings)) => settings,
        Ok(None) => return Vec::new(),
        Err(complaint) => {
            let what = format!("cluster {}", complaint.key);
            return vec![Finding::ill(&what, complaint.wrong, complaint.write)];
        }
    };
    let mut findings = Vec::new();
    for point in &settings.contact_points {
        findings.extend(reach::point(point, &settings).await);
    }
    match login(&settings).await {
        Ok(probe) => {
            let detail = match &settings.login {
                Some(login) => format!("as {}", login.username),
                None => "as nobody".to_owned(),
            };
            findings.push(Finding::well("cluster login", detail));
            findings.extend(state::of(&probe, &settings, config.general.production).await);
        }
        Err(finding) => findings.push(finding),
    }
    findings
}

async fn login(settings: &CqlSettings) -> Result<Probe, Finding> {
    let mut settings = settings.clone();
    settings.timeouts.session = settings.timeouts.session.min(STEP_TIMEOUT);
    settings.timeouts.connect = settings.timeouts.connect.min(STEP_TIMEOUT);
    Probe::open(settings).await.map_err(|error| match error {
        StoreError::Open { path, why } => Finding::ill("cluster login", why, format!("set {path}")),
        error => Finding::ill(
            "cluster login",
            error.to_string(),
            "start the nodes (`nodetool status` shows who is up), or set store.cql.contact_points; \
             if they speak TLS only, set store.cql.tls.ca",
        ),
    })
}
