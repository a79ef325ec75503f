//! Pins.

use super::Cql;
use super::missing;
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Pin, StoredPin, UnixMillis};

impl Cql {
    pub(crate) async fn pin(&self, _cid: &Cid) -> Result<Option<StoredPin>> {
        Err(missing("pin"))
    }

    pub(crate) async fn put_pin(&self, _pin: Pin, _expect: Expect) -> Result<StoredPin> {
        Err(missing("put_pin"))
    }

    pub(crate) async fn delete_pin(&self, _cid: &Cid, _expect: Expect) -> Result<()> {
        Err(missing("delete_pin"))
    }

    pub(crate) async fn allocate_pin(
        &self,
        _cid: &Cid,
        _version: u64,
        _allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        Err(missing("allocate_pin"))
    }

    pub(crate) async fn pins(&self, _after: Option<&Cid>, _limit: u32) -> Result<Vec<StoredPin>> {
        Err(missing("pins"))
    }

    pub(crate) async fn expired_pins(
        &self,
        _now: UnixMillis,
        _limit: u32,
    ) -> Result<Vec<StoredPin>> {
        Err(missing("expired_pins"))
    }
}
