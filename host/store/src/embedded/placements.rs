//! Writes to placements.

use super::draft::Draft;
use super::key;
use super::table::Table;
use crate::row::{decode_placement, encode_placement};
use crate::rules::PLACEMENT;
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Placement};

impl Draft<'_> {
    pub(super) fn put_placement(
        &mut self,
        mut placement: Placement,
        expect: Expect,
    ) -> Result<Placement> {
        let (cid, peer) = (placement.cid, placement.peer);
        let old = self.placement(&cid, &peer)?;
        expect.check(PLACEMENT, old.as_ref().map(|p| p.version))?;
        if let Some(due) = old.as_ref().and_then(|p| p.due) {
            self.remove(Table::Due, key::due(&peer, due, &cid));
        }
        if let Some(due) = placement.due {
            self.put(Table::Due, key::due(&peer, due, &cid), []);
        }
        if old.is_none() {
            self.put(Table::PeerPlacements, key::peer_placement(&peer, &cid), []);
        }
        placement.version = self.next_number();
        let row = encode_placement(&placement)?;
        self.put(Table::Placements, key::placement(&cid, &peer), row);
        Ok(placement)
    }

    pub(super) fn delete_placement(
        &mut self,
        cid: &Cid,
        peer: &PeerId,
        expect: Expect,
    ) -> Result<()> {
        let old = self.placement(cid, peer)?;
        expect.check(PLACEMENT, old.as_ref().map(|p| p.version))?;
        let Some(old) = old else {
            return Ok(());
        };
        if let Some(due) = old.due {
            self.remove(Table::Due, key::due(peer, due, cid));
        }
        self.remove(Table::PeerPlacements, key::peer_placement(peer, cid));
        self.remove(Table::Placements, key::placement(cid, peer));
        Ok(())
    }

    fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Option<Placement>> {
        let row = self.get(Table::Placements, &key::placement(cid, peer))?;
        row.map(|row| decode_placement(&row)).transpose()
    }
}
