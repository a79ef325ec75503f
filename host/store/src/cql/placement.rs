//! Placements.

use super::Cql;
use super::missing;
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Placement, UnixMillis};

impl Cql {
    pub(crate) async fn put_placement(
        &self,
        _placement: Placement,
        _expect: Expect,
    ) -> Result<Placement> {
        Err(missing("put_placement"))
    }

    pub(crate) async fn delete_placement(
        &self,
        _cid: &Cid,
        _peer: &PeerId,
        _expect: Expect,
    ) -> Result<()> {
        Err(missing("delete_placement"))
    }

    pub(crate) async fn placement(&self, _cid: &Cid, _peer: &PeerId) -> Result<Option<Placement>> {
        Err(missing("placement"))
    }

    pub(crate) async fn placements_of_pin(&self, _cid: &Cid) -> Result<Vec<Placement>> {
        Err(missing("placements_of_pin"))
    }

    pub(crate) async fn placements_of_peer(
        &self,
        _peer: &PeerId,
        _after: Option<&Cid>,
        _limit: u32,
    ) -> Result<Vec<Placement>> {
        Err(missing("placements_of_peer"))
    }

    pub(crate) async fn due_placements(
        &self,
        _peer: &PeerId,
        _now: UnixMillis,
        _limit: u32,
    ) -> Result<Vec<Placement>> {
        Err(missing("due_placements"))
    }

    pub(crate) async fn next_due(&self, _peer: &PeerId) -> Result<Option<UnixMillis>> {
        Err(missing("next_due"))
    }
}
