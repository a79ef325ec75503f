//! The doors of the host: its main listener and that of IPFS Cluster's interface, from the first
//! moment of a start on. Until everything stands, both say that the host is starting.

use super::reload::Reloader;
use super::{Serving, Waiting, failure, serve, settings};
use crate::api::{self, ApiMetrics, cluster_router};
use crate::app::App;
use crate::config::Config;
use crate::identity::Authenticator;
use crate::ops::listen::{Bounds, Listener};
use crate::ops::tls::{self, Certificate};
use crate::workers::metrics::KuboMetrics;
use axum::Router;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// The listeners while the host starts.
pub(super) struct Doors {
    main: Option<Door>,
    cluster: Option<Interface>,
    stop: CancellationToken,
}

struct Door {
    waiting: Waiting,
    tls: Option<Arc<ServerConfig>>,
    bounds: Bounds,
}

/// The listener of IPFS Cluster's interface.
struct Interface {
    door: Door,
    /// Its own, if it does not share the main listener's.
    certificate: Option<Arc<Certificate>>,
}

/// What lies behind them once everything stands.
pub(super) struct Behind<'a> {
    pub(super) app: &'a App,
    pub(super) authenticator: &'a Authenticator,
    pub(super) api: &'a ApiMetrics,
    pub(super) kubo: KuboMetrics,
    pub(super) reloader: &'a Reloader,
}

impl Doors {
    /// Takes the addresses. `main` is the main listener, if this process has one; `tls` what it
    /// speaks; `stop` ends it.
    pub(super) async fn bind(
        config: &Config,
        main: Option<Listener>,
        tls: Option<Arc<ServerConfig>>,
        stop: CancellationToken,
    ) -> Result<Self, anyhow::Error> {
        let cluster = match main {
            Some(_) => Interface::bind(config, tls.clone()).await?,
            None => None,
        };
        let bounds = settings::bounds(config);
        let main = main.map(|listener| Door::begin(listener, tls, bounds));
        Ok(Self {
            main,
            cluster,
            stop,
        })
    }

    /// Has them answer: the main one, and that of IPFS Cluster's interface.
    pub(super) async fn open(
        self,
        config: &Config,
        behind: Behind<'_>,
    ) -> Result<(Option<Serving>, Option<Serving>), anyhow::Error> {
        let main = match self.main {
            Some(door) => {
                let edge = settings::edge(config, self.stop.clone());
                let (app, authenticator) = (behind.app.clone(), behind.authenticator.clone());
                let router = api::router(app, authenticator, edge, behind.api);
                Some(door.open(router, self.stop).await?)
            }
            None => None,
        };
        let cluster = match self.cluster {
            Some(interface) => Some(interface.open(config, behind).await?),
            None => None,
        };
        Ok((main, cluster))
    }
}

impl Door {
    fn begin(listener: Listener, tls: Option<Arc<ServerConfig>>, bounds: Bounds) -> Self {
        Self {
            waiting: Waiting::begin(listener, tls.clone(), bounds.clone()),
            tls,
            bounds,
        }
    }

    async fn open(self, router: Router, stop: CancellationToken) -> Result<Serving, JoinError> {
        let listener = self.waiting.end().await?;
        Ok(serve(listener, router, self.tls, self.bounds, stop))
    }
}

impl Interface {
    /// Takes the address, if one is configured. `shared` is what the main listener speaks.
    async fn bind(
        config: &Config,
        shared: Option<Arc<ServerConfig>>,
    ) -> Result<Option<Self>, anyhow::Error> {
        let Some(address) = config.cluster.listen else {
            return Ok(None);
        };
        let listener = Listener::bind(address, "cluster.listen").await?;
        let own = tls::read_cluster(&config.cluster).map_err(failure)?;
        let certificate = own.map(|first| Arc::new(Certificate::new(first)));
        let tls = match &certificate {
            Some(certificate) => Some(tls::server_config(Arc::clone(certificate))?),
            None => shared,
        };
        let tls = match (tls, tls::authorities(&config.cluster).map_err(failure)?) {
            (Some(shown), Some(roots)) => Some(tls::for_certified(&shown, roots)?),
            (tls, _) => tls,
        };
        let bounds = Bounds {
            announces_trailers: true,
            ..settings::bounds(config)
        };
        Ok(Some(Self {
            door: Door::begin(listener, tls, bounds),
            certificate,
        }))
    }

    async fn open(self, config: &Config, behind: Behind<'_>) -> Result<Serving, anyhow::Error> {
        let stop = CancellationToken::new();
        if let Some(certificate) = &self.certificate {
            behind.reloader.subscribe_cluster(certificate);
        }
        let router = cluster_router(
            behind.app.clone(),
            behind.authenticator.clone(),
            settings::edge(config, stop.clone()),
            settings::cluster(config, behind.kubo),
            behind.api,
        )?;
        Ok(self.door.open(router, stop).await?)
    }
}
