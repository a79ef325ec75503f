//! The consistency walk: every table against what it follows from.
//!
//! Right when nothing changes meanwhile and every interrupted change has been swept: a walk over a
//! cluster that is at work finds changes half-way. It reads in the first home, so others' writes
//! must have been replicated there. What it knows of each request, pin and placement is kept in
//! memory until the end, some 300 bytes for each: it is for tests and for repairs of up to some ten
//! million requests, not for a trillion pins.

mod audit;
mod keys;
mod pins;
mod requests;
mod scan;

use super::feed::Ends;
use super::statement::Statement;
use super::{Cql, Shared};
use crate::Result;
use std::collections::{HashMap, HashSet};

/// Faults told at most: a damaged store has either a few or more than anybody reads.
const FAULTS_MAX: usize = 100;

/// An intent of this age should have been applied or dropped by the sweep: some of its rounds.
const INTENT_AGE_MAX_MICROS: u64 = 300_000_000;

impl Cql {
    pub(crate) async fn check(&self) -> Result<Vec<String>> {
        let mut walk = Walk {
            shared: &self.shared,
            faults: Vec::new(),
            wanted: HashMap::new(),
            expiry: HashSet::new(),
        };
        walk.expiry().await?;
        walk.requests().await?;
        walk.pins().await?;
        walk.placements().await?;
        walk.keys().await?;
        walk.records().await?;
        walk.audit(self).await?;
        walk.intents().await?;
        walk.feed().await?;
        Ok(walk.faults)
    }
}

struct Walk<'a> {
    shared: &'a Shared,
    faults: Vec<String>,
    /// How many requests want each CID.
    wanted: HashMap<Vec<u8>, u64>,
    /// The entries of the expiry index whose slot is known to it: kind, instant and key.
    expiry: HashSet<(i8, i64, Vec<u8>)>,
}

impl Walk<'_> {
    fn fault(&mut self, what: impl FnOnce() -> String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what());
        }
    }

    async fn expiry(&mut self) -> Result<()> {
        let slots: Vec<(i8, i64)> = self.all(Statement::ScanExpirySlots).await?;
        let slots: HashSet<_> = slots.into_iter().collect();
        let rows: Vec<(i8, i64, i64, Vec<u8>)> = self.all(Statement::ScanExpiry).await?;
        for (kind, slot, at, key) in rows {
            // An entry whose row is gone is stale, and removed by whoever meets it.
            if slots.contains(&(kind, slot)) {
                self.expiry.insert((kind, at, key));
            }
        }
        Ok(())
    }

    async fn intents(&mut self) -> Result<()> {
        let now = self.shared.clock.reached();
        let rows: Vec<(String, i64)> = self.all(Statement::ScanIntents).await?;
        for (account, version) in rows {
            let age = now.saturating_sub(version.unsigned_abs());
            if age > INTENT_AGE_MAX_MICROS {
                self.fault(|| format!("a change of {account} was begun and not finished"));
            }
        }
        Ok(())
    }

    /// Entries above the floor must lie in slots that are known.
    async fn feed(&mut self) -> Result<()> {
        let Ends { floor, slots } = self.shared.feed.ends().await?;
        let rows: Vec<(i64, i64)> = self.all(Statement::ScanFeed).await?;
        for (slot, at) in rows {
            let is_kept = at.unsigned_abs() > floor;
            if is_kept && !slots.contains(&slot.unsigned_abs()) {
                self.fault(|| format!("feed entry {at} lies in a slot that nobody looks into"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
