//! Placements in memory.

use super::State;
use crate::rules::PLACEMENT;
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Placement, UnixMillis};

impl State {
    pub(crate) fn put_placement(
        &mut self,
        mut placement: Placement,
        expect: Expect,
    ) -> Result<Placement> {
        let key = (placement.cid.to_bytes(), placement.peer.to_bytes());
        expect.check(PLACEMENT, self.placements.get(&key).map(|p| p.version))?;
        placement.version = self.next_number();
        self.placements.insert(key, placement.clone());
        Ok(placement)
    }

    pub(crate) fn delete_placement(
        &mut self,
        cid: &Cid,
        peer: &PeerId,
        expect: Expect,
    ) -> Result<()> {
        let key = (cid.to_bytes(), peer.to_bytes());
        expect.check(PLACEMENT, self.placements.get(&key).map(|p| p.version))?;
        self.placements.remove(&key);
        Ok(())
    }

    pub(crate) fn placement(&self, cid: &Cid, peer: &PeerId) -> Option<Placement> {
        let key = (cid.to_bytes(), peer.to_bytes());
        self.placements.get(&key).cloned()
    }

    pub(crate) fn placements_of_pin(&self, cid: &Cid) -> Vec<Placement> {
        let rows = self.placements.values();
        rows.filter(|p| p.cid == *cid).cloned().collect()
    }

    pub(crate) fn placements_of_peer(
        &self,
        peer: &PeerId,
        after: Option<&Cid>,
        limit: u32,
    ) -> Vec<Placement> {
        let after = after.map(Cid::to_bytes);
        self.placements
            .iter()
            .filter(|((cid, _), p)| {
                p.peer == *peer && after.as_ref().is_none_or(|after| cid > after)
            })
            .take(limit as usize)
            .map(|(_, placement)| placement.clone())
            .collect()
    }

    pub(crate) fn due_placements(
        &self,
        peer: &PeerId,
        now: UnixMillis,
        limit: u32,
    ) -> Vec<Placement> {
        let mut due = self.unsettled(peer);
        due.retain(|p| p.due.is_some_and(|due| due <= now));
        due.truncate(limit as usize);
        due
    }

    pub(crate) fn next_due(&self, peer: &PeerId) -> Option<UnixMillis> {
        self.unsettled(peer).first().and_then(|p| p.due)
    }

    /// A peer's placements that are due at some time, soonest first.
    fn unsettled(&self, peer: &PeerId) -> Vec<Placement> {
        let rows = self.placements.values();
        let unsettled = rows.filter(|p| p.peer == *peer && p.due.is_some());
        let mut unsettled: Vec<_> = unsettled.cloned().collect();
        // The sort is stable, so placements of one instant stay in the order of their CIDs.
        unsettled.sort_by_key(|p| p.due);
        unsettled
    }
}
