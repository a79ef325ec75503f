//! Pins in memory.

use super::{Memory, State};
use crate::error::StoreError;
use crate::rules::{PIN, stored_form};
use crate::scan::PAGE_BYTES;
use crate::{Expect, PinEntry, PinStep, Result};
use holdfast_model::{Cid, PeerId, Pin, StoredPin, UnixMillis};

impl Memory {
    /// How many pins there are.
    pub(crate) fn pins_about(&self) -> u64 {
        let count = self.run(|state| Ok(state.pins.len()));
        u64::try_from(count.unwrap_or_default()).unwrap_or(u64::MAX)
    }
}

impl State {
    pub(crate) fn pin(&self, cid: &Cid) -> Option<StoredPin> {
        self.pins.get(&cid.to_bytes()).cloned()
    }

    pub(crate) fn put_pin(&mut self, pin: Pin, expect: Expect) -> Result<StoredPin> {
        let pin = stored_form(&pin)?;
        let cid = pin.cid;
        let old = self.pins.get(&cid.to_bytes());
        expect.check(PIN, old.map(|p| p.version))?;
        let requests = old.map_or(0, |p| p.requests);
        let version = self.next_number();
        let stored = StoredPin {
            pin,
            version,
            requests,
            by_cluster: true,
        };
        self.pins.insert(cid.to_bytes(), stored.clone());
        self.announce(version, cid);
        Ok(stored)
    }

    pub(crate) fn delete_pin(&mut self, cid: &Cid, expect: Expect) -> Result<()> {
        let old = self.pins.get(&cid.to_bytes());
        expect.check(PIN, old.map(|p| p.version))?;
        let Some(mut stored) = old.cloned() else {
            return Ok(());
        };
        stored.by_cluster = false;
        stored.version = self.next_number();
        self.announce(stored.version, *cid);
        if stored.is_wanted() {
            self.pins.insert(cid.to_bytes(), stored);
        } else {
            self.pins.remove(&cid.to_bytes());
        }
        Ok(())
    }

    pub(crate) fn change_pin(&mut self, entry: PinEntry) -> Result<Option<u64>> {
        match entry.step {
            PinStep::Put(pin) => {
                let stored = self.put_pin(*pin, entry.expect)?;
                Ok(Some(stored.version))
            }
            PinStep::Delete(cid) => self.delete_pin(&cid, entry.expect).map(|()| None),
        }
    }

    pub(crate) fn allocate_pin(
        &mut self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        let old = self.pins.get(&cid.to_bytes());
        let mut stored = old.cloned().ok_or(StoreError::NotFound(PIN))?;
        Expect::Version(version).check(PIN, Some(stored.version))?;
        stored.version = self.next_number();
        stored.pin.allocations = allocations;
        self.pins.insert(cid.to_bytes(), stored.clone());
        Ok(stored)
    }

    pub(crate) fn pins(&self, after: Option<&Cid>, limit: u32) -> Vec<StoredPin> {
        let after = after.map(Cid::to_bytes);
        let mut bytes = 0;
        self.pins
            .iter()
            .filter(|(cid, _)| after.as_ref().is_none_or(|after| *cid > after))
            .take(limit as usize)
            .take_while(|(_, stored)| {
                let has_room = bytes < PAGE_BYTES;
                bytes += stored.pin.weight();
                has_room
            })
            .map(|(_, stored)| stored.clone())
            .collect()
    }

    pub(crate) fn expired_pins(&self, now: UnixMillis, limit: u32) -> Vec<StoredPin> {
        let expired = |p: &StoredPin| p.pin.options.expire_at.is_some_and(|end| end <= now);
        let mut pins: Vec<_> = self
            .pins
            .values()
            .filter(|p| p.by_cluster && expired(p))
            .cloned()
            .collect();
        // The sort is stable, so pins of one instant stay in the order of their CIDs.
        pins.sort_by_key(|p| p.pin.options.expire_at);
        pins.truncate(limit as usize);
        pins
    }
}
