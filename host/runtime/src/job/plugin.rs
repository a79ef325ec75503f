//! One loaded job plugin.

use super::Floor;
use super::mould::{JobMould, JobStart};
use super::needs::Grants;
use super::world::JobWorld;
use crate::budget::Share;
use crate::engine::code_bytes;
use crate::foundry::Foundry;
use crate::plugin::{Candidate, Load};
use crate::registry::{NotStarted, Stage};
use std::fmt;
use std::sync::Arc;
use wasmtime::component::Component;

/// A loaded job plugin: made once, and each call runs on a fresh instance of it.
pub(crate) struct JobPlugin<W: JobWorld> {
    /// What was loaded.
    pub(crate) load: Load,
    /// What instances are made from.
    pub(crate) mould: JobMould<W>,
}

impl<W: JobWorld> fmt::Debug for JobPlugin<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobPlugin")
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

impl<W: JobWorld> JobPlugin<W> {
    /// Links and starts a component, and holds what it needs against what it is granted. The error
    /// is for the operator. It blocks, and must not be called from within a future.
    pub(crate) fn load(
        floor: &Arc<Floor>,
        candidate: Candidate,
        component: Component,
        generation: u64,
        grants: &Grants,
        foundry: &Foundry,
    ) -> Result<Self, NotStarted> {
        let metrics = Arc::new(foundry.metrics.of(&candidate.name, generation));
        let mould = JobMould::<W>::new(floor, &candidate, generation, &component, grants, metrics)
            .map_err(|why| (Stage::Link, why))?;
        let share = Share {
            instances: candidate.limits.concurrency,
            bytes_each: candidate.limits.memory_bytes,
            code_bytes: code_bytes(&component),
            // They are allocated on demand, whatever they have.
            places_each: 1,
        };
        let reserved = foundry
            .budget
            .reserve(&candidate.name, generation, share)
            .map_err(|why| (Stage::Memory, why))?;
        let ungranted = |why: String| (Stage::Needs, why);
        mould.guard().check_secrets().map_err(ungranted)?;
        let JobStart {
            description, needs, ..
        } = mould.start_blocking()?;
        let warnings = grants.check(&candidate.name, &needs);
        for warning in warnings.map_err(ungranted)? {
            tracing::warn!(plugin = &*candidate.name, "plugin {warning}");
        }
        foundry.metrics.watch(mould.metrics(), mould.counted());
        let load = Load {
            candidate,
            description,
            generation,
            component,
            _reserved: reserved,
        };
        Ok(Self { load, mould })
    }
}
