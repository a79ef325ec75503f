//! The store in ScyllaDB, or anything else that speaks its CQL.

mod calls;
mod clock;
mod connect;
mod feed;
mod home;
mod keys;
mod lane;
mod pace;
mod pin;
mod placement;
mod requests;
pub mod schema;
mod settings;
mod statement;
mod usage;
mod wanted;
mod writers;

pub use settings::{
    Compression, Connections, ConsistencyLevels, CqlSettings, Flow, Layout, Level, Login, Pool,
    Serial, Timeouts, TlsFiles,
};

use self::calls::Calls;
use self::clock::Clock;
use self::connect::Connected;
use self::feed::Feed;
use self::home::Params;
use self::pin::PinLanes;
use self::writers::Timing;
use crate::Result;
use crate::error::StoreError;
use crate::metrics::StoreMetrics;
use holdfast_model::Cursor;
use std::sync::Arc;
use tokio::sync::watch;

/// The store in a CQL cluster: a handle, cheap to clone.
#[derive(Debug, Clone)]
pub struct Cql {
    shared: Arc<Shared>,
}

/// What every part of the store works with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) calls: Arc<Calls>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) params: Params,
    pub(crate) metrics: StoreMetrics,
    /// Changes of pins under way.
    pub(crate) pins: Arc<PinLanes>,
    pub(crate) feed: Feed,
}

impl Cql {
    /// Connects, brings the schema up to date and prepares every statement.
    ///
    /// # Errors
    /// See [`crate::Store::cql`].
    pub async fn open(settings: CqlSettings) -> Result<Self> {
        Self::open_with(settings, Timing::default(), Clock::default()).await
    }

    async fn open_with(settings: CqlSettings, timing: Timing, clock: Clock) -> Result<Self> {
        settings.check()?;
        let session = connect::session(&settings).await?;
        let params = schema::bring_up(&session, &settings).await?;
        let connected = Connected::prepare(session, &settings, &params.homes).await?;
        let calls = Arc::new(Calls::new(connected));
        let clock = Arc::new(clock);
        let feed = Feed::open(Arc::clone(&calls), Arc::clone(&clock), &params, timing).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                calls,
                clock,
                params,
                metrics: StoreMetrics::new(),
                pins: Arc::default(),
                feed,
            }),
        })
    }

    pub(crate) fn head(&self) -> watch::Receiver<Cursor> {
        self.shared.feed.head()
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        Err(missing("ping"))
    }

    pub(crate) async fn close(&self) {
        self.shared.feed.close().await;
    }

    pub(crate) async fn check(&self) -> Result<Vec<String>> {
        Err(missing("check"))
    }

    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }
}

/// What is not built yet.
fn missing(what: &str) -> StoreError {
    StoreError::Unavailable {
        doing: format!("do {what}"),
        source: std::io::Error::other("the CQL store does not know how yet"),
    }
}
