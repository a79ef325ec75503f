//! Placements: rows that are written by conditions only, and what is derived from them.

mod change;
mod due;
mod of_peer;
mod record;
#[cfg(test)]
mod tests;

use self::change::Change;
use self::due::Queue;
use self::record::{Columns, Place, Record};
use super::Cql;
use super::calls::one_change;
use super::statement::Statement;
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Placement, UnixMillis};

impl Cql {
    pub(crate) async fn put_placement(
        &self,
        placement: Placement,
        expect: Expect,
    ) -> Result<Placement> {
        let place = Place::of(&self.shared, &placement.cid, &placement.peer);
        one_change(Change::new(&self.shared, place, expect).put(placement)).await
    }

    pub(crate) async fn delete_placement(
        &self,
        cid: &Cid,
        peer: &PeerId,
        expect: Expect,
    ) -> Result<()> {
        let place = Place::of(&self.shared, cid, peer);
        one_change(Change::new(&self.shared, place, expect).delete()).await
    }

    pub(crate) async fn placement(&self, cid: &Cid, peer: &PeerId) -> Result<Option<Placement>> {
        let place = Place::of(&self.shared, cid, peer);
        let record = place.read(&self.shared).await?;
        Ok(record.and_then(|record| record.placement))
    }

    pub(crate) async fn placements_of_pin(&self, cid: &Cid) -> Result<Vec<Placement>> {
        let shared = &self.shared;
        let prefix = shared.params.prefix(cid);
        let home = shared.params.pin_home(prefix);
        let key = (prefix, cid.to_bytes());
        let rows = shared
            .calls
            .rows::<Columns>(Statement::PlacementsOfPin, home, key)
            .await?;
        let mut placements = Vec::with_capacity(rows.len());
        for columns in rows {
            placements.extend(Record::of(columns)?.placement);
        }
        Ok(placements)
    }

    pub(crate) async fn placements_of_peer(
        &self,
        peer: &PeerId,
        after: Option<&Cid>,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        of_peer::page(&self.shared, peer, after, limit).await
    }

    pub(crate) async fn due_placements(
        &self,
        peer: &PeerId,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Placement>> {
        Queue::of(&self.shared, peer).upto(Some(now), limit).await
    }

    pub(crate) async fn next_due(&self, peer: &PeerId) -> Result<Option<UnixMillis>> {
        let next = Queue::of(&self.shared, peer).upto(None, 1).await?;
        Ok(next.first().and_then(|placement| placement.due))
    }
}
