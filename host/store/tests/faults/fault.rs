//! What is done to the cluster, and what is done to mend it.

use crate::cluster::Cluster;
use crate::layout::Layout;
use crate::load::World;
use holdfast_store::{CqlSettings, Login, Store};
use std::time::Duration;
use tokio::time::sleep;

/// The node that suffers: not the first, which the settings name first.
const VICTIM: u32 = 2;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: what the others are held against.
    Calm,
    /// One node of three dies at once, and is started again.
    Kill,
    /// One node of three hangs and goes on.
    Pause,
    /// One node of three answers slowly.
    Slow,
    /// One node of three is cut off from everything.
    CutNode,
    /// The other datacenter dies.
    RemoteDown,
    /// The datacenters are cut off from each other.
    CutDatacenters,
    /// A reload with a wrong password; then the password changes.
    Password,
    /// Certificates of a new authority, on both sides.
    Certificates,
    /// The datacenter that all keys have their home in dies.
    HomeDown,
    /// Every node dies.
    AllDown,
}

/// What a fault works on.
pub(crate) struct Stage<'a> {
    pub(crate) world: &'a World,
    /// None where there is no cluster to hurt.
    pub(crate) cluster: Option<&'a Cluster>,
    pub(crate) settings: &'a CqlSettings,
    /// How the stores use it.
    pub(crate) layout: Layout,
}

impl Fault {
    pub(crate) const ALL: [Self; 11] = [
        Self::Calm,
        Self::Kill,
        Self::Pause,
        Self::Slow,
        Self::CutNode,
        Self::RemoteDown,
        Self::CutDatacenters,
        Self::Password,
        Self::HomeDown,
        Self::AllDown,
        // Last: what comes after would start with other certificates than it was given.
        Self::Certificates,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Slow => "slow",
            Self::CutNode => "cut-node",
            Self::RemoteDown => "remote-down",
            Self::CutDatacenters => "cut-datacenters",
            Self::Password => "password",
            Self::Certificates => "certificates",
            Self::HomeDown => "home-down",
            Self::AllDown => "all-down",
        }
    }

    /// How long the cluster stays hurt.
    pub(crate) const fn hold(self) -> Duration {
        Duration::from_secs(match self {
            Self::Calm | Self::Slow | Self::CutNode | Self::Kill => 10,
            Self::Pause | Self::RemoteDown | Self::CutDatacenters => 15,
            Self::HomeDown | Self::AllDown => 5,
            Self::Password | Self::Certificates => 0,
        })
    }

    /// Hurts the cluster.
    pub(crate) async fn strike(self, stage: &Stage<'_>) {
        let Some(cluster) = stage.cluster else {
            return;
        };
        match self {
            Self::Calm => {}
            Self::Kill => cluster.node("kill", VICTIM, &[]).await,
            Self::Pause => cluster.node("pause", VICTIM, &[]).await,
            Self::Slow => cluster.node("slow", VICTIM, &["200"]).await,
            Self::CutNode => cluster.node("cut", VICTIM, &[]).await,
            Self::RemoteDown => kill(cluster, &cluster.nodes_of("dc2").await).await,
            Self::CutDatacenters => {
                for node in cluster.nodes_of("dc2").await {
                    cluster.node("cut", node, &[]).await;
                }
            }
            Self::Password => stage.change_password(cluster).await,
            Self::Certificates => stage.rotate(cluster).await,
            Self::HomeDown => kill(cluster, &cluster.nodes_of("dc1").await).await,
            Self::AllDown => {
                kill(cluster, &cluster.nodes_of("dc2").await).await;
                kill(cluster, &cluster.nodes_of("dc1").await).await;
            }
        }
    }

    /// Makes it well again, as an operator would.
    pub(crate) async fn mend(self, stage: &Stage<'_>) {
        let Some(cluster) = stage.cluster else {
            return;
        };
        match self {
            Self::Calm | Self::Password | Self::Certificates => {}
            Self::Pause => cluster.node("resume", VICTIM, &[]).await,
            Self::Slow => cluster.node("slow", VICTIM, &["0"]).await,
            Self::CutNode => cluster.node("mend", VICTIM, &[]).await,
            Self::CutDatacenters => {
                for node in cluster.nodes_of("dc2").await {
                    cluster.node("mend", node, &[]).await;
                }
            }
            Self::Kill | Self::RemoteDown | Self::HomeDown | Self::AllDown => {
                cluster.run(&["start"]).await;
            }
        }
    }
}

/// All at once, as far as one can.
async fn kill(cluster: &Cluster, nodes: &[u32]) {
    for node in nodes {
        cluster.node("kill", *node, &[]).await;
    }
}

impl Stage<'_> {
    /// A reload with a wrong password is refused and changes nothing; after a change of the
    /// password a reload with the new one goes through.
    async fn change_password(&self, cluster: &Cluster) {
        let mut settings = self.settings.clone();
        let login = settings.login.clone().unwrap();
        let with = |password: &str| {
            Some(Login {
                username: login.username.clone(),
                password: password.to_owned(),
            })
        };
        settings.login = with("not the password");
        for store in &self.world.stores {
            let refused = reconfigure(store, settings.clone()).await;
            if refused.is_ok() {
                self.world.ledger.wrong("a wrong password was taken");
            }
        }
        sleep(Duration::from_secs(3)).await;
        cluster.change_password("changed").await;
        settings.login = with("changed");
        self.reload(&settings).await;
        sleep(Duration::from_secs(3)).await;
        // Back, for those that come after.
        cluster.change_password(&login.password).await;
        self.reload(self.settings).await;
        sleep(Duration::from_secs(3)).await;
    }

    /// First the clients trust both authorities, then the nodes are restarted one by one with their
    /// new certificates, then the clients show their new ones.
    async fn rotate(&self, cluster: &Cluster) {
        let mut settings = self.settings.clone();
        cluster.run(&["certs", "--renew"]).await;
        if let Some(tls) = &mut settings.tls {
            tls.client = Some(cluster.first_client().await);
        }
        self.reload(&settings).await;
        for datacenter in ["dc1", "dc2"] {
            for node in cluster.nodes_of(datacenter).await {
                cluster.node("stop", node, &[]).await;
                cluster.node("start", node, &[]).await;
            }
        }
        self.reload(self.settings).await;
        sleep(Duration::from_secs(3)).await;
    }

    async fn reload(&self, settings: &CqlSettings) {
        for store in &self.world.stores {
            if let Err(error) = reconfigure(store, settings.clone()).await {
                self.world.ledger.wrong(format!("a reload: {error}"));
            }
        }
    }
}

async fn reconfigure(store: &Store, settings: CqlSettings) -> holdfast_store::Result<()> {
    match store {
        Store::Cql(cql) => cql.reconfigure(settings).await,
        _ => Ok(()),
    }
}
