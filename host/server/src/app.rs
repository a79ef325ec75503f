//! The handles that everything is built from, made once at start.

use crate::aside::Aside;
use crate::clock::Clock;
use crate::identity::Identity;
use crate::ops::audit::Audit;
use crate::policies::Policies;
use crate::workers::peers::Peers;
use holdfast_policy::Gate;
use holdfast_runtime::Plugins;
use holdfast_store::Store;
use std::sync::Arc;

/// What verbs and handlers reach for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The pin store.
    pub store: Store,
    /// The policies.
    pub gate: Arc<Gate>,
    /// What decides beside the platform's policies, and what was decided lately.
    pub policies: Policies,
    /// The plugins.
    pub plugins: Arc<Plugins>,
    /// The threads for what takes long and is no hurry.
    pub aside: Aside,
    /// The time.
    pub clock: Clock,
    /// Where every decision is written.
    pub audit: Audit,
    /// What people are let in on.
    pub identity: Arc<Identity>,
    /// The Kubo nodes that are known, and the addresses clients should connect to (delegates).
    pub peers: Peers,
}
