//! Pins: rows that are written by conditions only.

mod change;
mod expiry;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use self::change::{PinLanes, PinOp};
pub(super) use self::record::{GRAVE, PinColumns, PinPlace, PinRecord};

use super::Cql;
use crate::error::StoreError;
use crate::rules::{PIN, stored_form};
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Pin, StoredPin};

impl Cql {
    pub(crate) async fn pin(&self, cid: &Cid) -> Result<Option<StoredPin>> {
        let shared = &self.shared;
        let found = PinPlace::of(shared, cid).read(shared).await?;
        match found {
            Some(record) if record.is_wanted() => record.shown(),
            Some(record) => {
                if !record.is_grave() {
                    shared.tidy_pin(cid);
                }
                Ok(None)
            }
            None => Ok(None),
        }
    }

    pub(crate) async fn put_pin(&self, pin: Pin, expect: Expect) -> Result<StoredPin> {
        let pin = stored_form(&pin)?;
        let cid = pin.cid;
        let op = PinOp::Put(Box::new(pin), expect);
        let changed = self.shared.change_pin(&cid, op).await?;
        changed.pin.ok_or(StoreError::NotFound(PIN))
    }

    pub(crate) async fn delete_pin(&self, cid: &Cid, expect: Expect) -> Result<()> {
        let op = PinOp::Delete(expect);
        self.shared.change_pin(cid, op).await.map(drop)
    }

    pub(crate) async fn allocate_pin(
        &self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        let op = PinOp::Allocate(version, allocations);
        let changed = self.shared.change_pin(cid, op).await?;
        changed.pin.ok_or(StoreError::NotFound(PIN))
    }
}
