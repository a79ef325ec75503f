//! The instances of one plugin: who may call, and which instance a call gets.

mod idle;
mod places;
mod standby;

use crate::error::Fault;
use crate::guest::Guest;
use crate::instance::{Instance, Mould};
use crate::limits::Isolation;
use crate::world::World;
use idle::Idle;
use places::Places;
use standby::Standby;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Store;

/// The instances of one plugin.
pub(crate) struct Pool<W: World> {
    mould: Arc<Mould<W>>,
    places: Places,
    source: Source<W>,
}

/// Where a call's instance comes from. Boxed, so that only a pointer goes from hand to hand: what a
/// call does not look at stays where the thread that made it has it.
enum Source<W: World> {
    /// The one that another call left.
    Warm(Idle<Box<Instance<W>>>),
    /// One that nobody has used.
    Fresh(Standby<Box<Instance<W>>>),
}

/// What is in a pool at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Instances that wait for another call.
    pub(crate) idle: usize,
    /// Instances that wait for their only call.
    pub(crate) standby: usize,
    /// Instances that had it and are not yet thrown away.
    pub(crate) spent: usize,
    /// Calls that run.
    pub(crate) busy: usize,
    /// Calls that wait for a place.
    pub(crate) waiting: usize,
    /// The most memory that an instance has held.
    pub(crate) memory_peak_bytes: usize,
    /// What all instances together may come to hold.
    pub(crate) memory_reserved_bytes: usize,
}

/// A pool, whatever is in it.
pub(crate) trait Counted: Send + Sync {
    /// What is in it now.
    fn census(&self) -> Census;
}

impl<W: World> Pool<W> {
    /// A pool around the first instance.
    pub(crate) fn new(
        mould: Mould<W>,
        isolation: Isolation,
        first: Instance<W>,
    ) -> std::io::Result<Self> {
        let (mould, first) = (Arc::new(mould), Box::new(first));
        let source = match isolation {
            Isolation::Warm => {
                let idle = Idle::new();
                idle.give(first);
                Source::Warm(idle)
            }
            Isolation::Call => {
                let from = Arc::clone(&mould);
                let standby =
                    Standby::start(mould.limits.standby, move || from.fresh().map(Box::new))?;
                standby.stock(first);
                Source::Fresh(standby)
            }
        };
        Ok(Self {
            places: Places::new(mould.limits.concurrency),
            mould,
            source,
        })
    }

    /// What its instances are made from.
    pub(crate) fn mould(&self) -> &Mould<W> {
        &self.mould
    }

    /// Calls an instance. If all places are taken it waits for one, for a while.
    pub(crate) fn call<R>(
        &self,
        start: Instant,
        run: impl FnOnce(&W, &mut Store<Guest>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let limits = &self.mould.limits;
        let place = self.places.take().ok_or_else(|| {
            Fault::Busy(format!(
                "{} calls run already, and none ended in time",
                limits.concurrency
            ))
        })?;
        let ready = match &self.source {
            Source::Warm(idle) => idle.take(),
            Source::Fresh(standby) => standby.take(),
        };
        let mut instance = match ready {
            Some(instance) => instance,
            None => Box::new(self.mould.fresh()?),
        };
        let outcome = instance.call(limits, start, run);
        let is_sound = outcome.as_ref().err().is_none_or(Fault::spares_instance);
        // Whoever waits for the place finds the instance there.
        let surplus = match &self.source {
            Source::Warm(idle) if is_sound && instance.calls < limits.max_invocations => {
                idle.give(instance)
            }
            Source::Warm(_) => {
                self.mould.metrics.discarded.inc();
                Some(instance)
            }
            Source::Fresh(standby) => {
                self.mould.metrics.discarded.inc();
                standby.discard(instance)
            }
        };
        drop(place);
        drop(surplus);
        outcome
    }
}

impl<W: World> Counted for Pool<W> {
    fn census(&self) -> Census {
        let limits = &self.mould.limits;
        let isolation = match self.source {
            Source::Warm(_) => Isolation::Warm,
            Source::Fresh(_) => Isolation::Call,
        };
        let mut census = Census {
            memory_peak_bytes: self.mould.metrics.memory_peak_bytes(),
            memory_reserved_bytes: limits
                .memory_bytes
                .saturating_mul(limits.instances(isolation)),
            busy: self.places.taken(),
            waiting: self.places.waiting(),
            ..Census::default()
        };
        match &self.source {
            Source::Warm(idle) => census.idle = idle.len(),
            Source::Fresh(standby) => (census.standby, census.spent) = standby.len(),
        }
        census
    }
}
