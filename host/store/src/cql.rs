//! The store in ScyllaDB, or anything else that speaks its CQL.

mod account;
mod audit;
mod cache;
mod calls;
mod carry;
mod check;
mod clock;
mod connect;
mod draft;
mod effect;
mod expiry;
mod feed;
mod home;
mod intent;
mod keys;
mod lane;
mod listing;
mod number;
#[cfg(any(test, feature = "contract"))]
pub mod outside;
mod pace;
mod pin;
mod placement;
mod probe;
mod records;
mod requests;
mod scan;
pub mod schema;
mod settings;
mod statement;
mod stop;
mod swap;
mod trail;
#[cfg(test)]
mod trial;
mod usage;
mod walk;
mod wanted;
mod writers;

pub use calls::{Trace, TraceEvent};
pub use intent::Swept;
pub use probe::{Probe, SeenNode, SeenRole};
pub(crate) use scan::PinRanges;
pub use settings::{
    Compression, Connections, ConsistencyLevels, CqlSettings, Flow, Layout, Level, Login, Pool,
    Serial, Timeouts, TlsFiles,
};
pub use stop::Stop;
pub use swap::Candidate;

use self::account::Heads;
use self::cache::PinCache;
use self::calls::Calls;
use self::carry::AccountLanes;
use self::clock::Clock;
use self::connect::Connected;
use self::expiry::KnownSlots;
use self::feed::Feed;
use self::home::{Home, Params};
use self::intent::IntentSlots;
use self::pin::PinLanes;
use self::statement::Statement;
use self::stop::Stops;
use self::writers::Timing;
use crate::Result;
use crate::error::StoreError;
use crate::metrics::StoreMetrics;
use holdfast_model::{Cid, Cursor, StoredPin};
use prometheus::core::Collector;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, watch};

/// How long closing waits for changes that were accepted. Other processes finish what is left.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// So old an answer to a ping may be: readiness is asked by many.
const PING_AGE_MAX: Duration = Duration::from_secs(1);

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
    is_closed: AtomicBool,
    /// When a conditional write was last answered for the sake of [`Cql::ping`].
    pinged: AsyncMutex<Option<Instant>>,
    /// Changes of accounts under way.
    pub(crate) accounts: Arc<AccountLanes>,
    pub(crate) heads: Heads,
    pub(crate) intent_slots: IntentSlots,
    pub(crate) expiry_slots: KnownSlots,
    /// How far the schema is.
    schema: schema::Version,
    pub(crate) stops: Stops,
    /// Pins that were lately read.
    pub(crate) cache: Arc<PinCache>,
    /// Up to which of them audit chains have been looked at for whether they rest.
    audit_rounds: audit::Rounds,
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
        let (params, schema) = schema::bring_up(&session, &settings).await?;
        let connected = Connected::prepare(session, &settings, &params.homes).await?;
        let calls = Arc::new(Calls::new(connected));
        let clock = Arc::new(clock);
        let cache = Arc::new(PinCache::new(settings.flow.cached_pins));
        let feed = Feed::open(
            Arc::clone(&calls),
            Arc::clone(&clock),
            Arc::clone(&cache),
            &params,
            timing,
        );
        let feed = feed.await?;
        let shared = Arc::new(Shared {
            calls,
            clock,
            params,
            metrics: StoreMetrics::new(),
            pins: Arc::default(),
            feed,
            cache,
            accounts: Arc::default(),
            heads: Heads::default(),
            intent_slots: IntentSlots::default(),
            expiry_slots: KnownSlots::default(),
            schema,
            stops: Stops::default(),
            audit_rounds: audit::Rounds::default(),
            is_closed: AtomicBool::new(false),
            pinged: AsyncMutex::default(),
        });
        shared.start_sweeping();
        Ok(Self { shared })
    }

    pub(crate) fn head(&self) -> watch::Receiver<Cursor> {
        self.shared.feed.head()
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        self.shared.ping().await
    }

    /// Finishes what was accepted and ends everything that runs here. Calls that come later find
    /// the store closed.
    pub(crate) async fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Release);
        self.shared.finish_changes(CLOSE_PATIENCE).await;
        self.shared.feed.close().await;
    }

    /// Refuses calls once the store was closed.
    pub(crate) fn must_be_open(&self) -> Result<()> {
        match self.shared.is_closed.load(Ordering::Acquire) {
            true => Err(StoreError::Closed),
            false => Ok(()),
        }
    }

    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    /// What is counted of the way to the cluster.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let mut all = self.shared.calls.collectors();
        all.push(self.shared.cache.collector());
        all.push(self.shared.schema.collector());
        all.extend(self.shared.feed.collectors());
        all
    }

    /// One pin, as old as the change feed is late at most.
    pub(crate) async fn pin_lately(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        self.shared.cache.pin(cid, || self.pin(cid)).await
    }
}

impl Shared {
    /// How long each kind of call may take, by the settings that are in force now.
    fn timeouts(&self) -> Timeouts {
        self.calls.connected().settings.timeouts.clone()
    }

    /// A conditional write, as every change of an account or a pin is one; it is never applied
    /// twice, but asks the same replicas. What all changes need besides is that the feed's other
    /// writers hear this process.
    async fn ping(&self) -> Result<()> {
        if !self.feed.is_heard() {
            return Err(StoreError::Unavailable {
                doing: "announce changes".to_owned(),
                source: io::Error::other("the cluster has not heard this process for a while"),
            });
        }
        let mut pinged = self.pinged.lock().await;
        if pinged.is_none_or(|at| at.elapsed() >= PING_AGE_MAX) {
            let values = ("ping", "");
            self.calls
                .condition(Statement::ParamAdd, Home::default(), values)
                .await?;
            *pinged = Some(Instant::now());
        }
        Ok(())
    }
}
