//! IPFS Cluster's REST API, on a listener of its own: what `ipfs-cluster-ctl` and services built on
//! a cluster speak, answered out of the pin store.
//!
//! The shapes are those of IPFS Cluster 1.0.8 (`api/rest/restapi.go`, `api/types.go`), to the
//! names and the nulls; `docs/cluster.md` lists what differs and why. In short: what is refused
//! changes nothing; `mode=direct` means the same on both routes; listing takes constant memory;
//! failures that are the caller's are 4xx and not 500.
//!
//! Calls run in the same wrapper as all others (`context`), under the same policies: `readPins` and
//! `writePins` on the host.

mod add;
mod collect;
mod filter;
mod gate;
mod health;
mod info;
mod lines;
mod options;
mod peers;
mod pins;
mod roster;
mod routes;
mod status;

pub(crate) use routes::handle;
pub use routes::{CLUSTER_ROUTES, ClusterOperation};

use crate::api::context::{Call, Edge};
use crate::api::cors::Cors;
use crate::api::problem::Problem;
use crate::api::{ApiMetrics, Settings, router};
use crate::app::App;
use crate::identity::{Authenticator, Door};
use crate::pins::cluster::Defaults;
use crate::workers::kubo::Kubo;
use crate::workers::metrics::KuboMetrics;
use axum::Router;
use axum::extract::Request;
use holdfast_model::Invalid;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What an operator may set of this interface.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// What holds where a pin names no replication factor.
    pub defaults: Defaults,
    /// What pages of other sites may do.
    pub cors: Cors,
    /// What tokens are signed with.
    pub token_secret: Vec<u8>,
    /// For how long a token is good.
    pub token_lifetime: Duration,
    /// Where calls to the nodes are counted.
    pub kubo: KuboMetrics,
}

/// What calls of this interface need beside what all need.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) door: Door,
    pub(crate) defaults: Defaults,
    clients: Arc<BTreeMap<Arc<str>, Kubo>>,
}

/// The router of the cluster's listener.
///
/// # Errors
/// An RPC address that is none.
pub fn cluster_router(
    app: App,
    authenticator: Authenticator,
    settings: Settings,
    cluster: ClusterSettings,
    metrics: &ApiMetrics,
) -> Result<Router, Invalid> {
    let mut clients = BTreeMap::new();
    for api in app.peers.apis() {
        clients.insert(Arc::clone(api), Kubo::new(api, cluster.kubo.clone())?);
    }
    let door = Door::new(
        authenticator.clone(),
        app.clock.clone(),
        &cluster.token_secret,
        cluster.token_lifetime,
    );
    let own = Cluster {
        door,
        defaults: cluster.defaults,
        clients: Arc::new(clients),
    };
    let edge = Edge::new(app, authenticator, settings, metrics.clone()).with_cluster(own);
    let routes = router::of_routes(&Arc::new(edge), CLUSTER_ROUTES, metrics);
    let gate = gate::Gate::new(routes, cluster.cors);
    Ok(Router::new().fallback(move |request: Request| gate.clone().pass(request)))
}

impl Call {
    /// What calls of this interface share.
    pub(crate) fn cluster(&self) -> Result<&Cluster, Problem> {
        let cluster = self.station.edge.cluster.as_ref();
        cluster.ok_or_else(Problem::no_route)
    }

    /// The part of the path at a place; the first is 0.
    fn part(&self, at: usize) -> &str {
        let mut parts = self.parts.uri.path().split('/').skip(1);
        parts.nth(at).unwrap_or_default()
    }
}
