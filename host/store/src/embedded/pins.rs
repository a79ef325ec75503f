//! Writes to pins.

use super::draft::Draft;
use super::key;
use super::table::Table;
use crate::error::StoreError;
use crate::row::{PinRow, decode, encode};
use crate::rules::{PIN, begin_pin};
use crate::{Expect, Result};
use fjall::UserValue;
use holdfast_model::{Cid, NewRequest, PeerId, Pin, StoredPin, UnixMillis};

/// A pin that is to be put, and what is stored of it.
pub(super) struct PinPut {
    pin: Pin,
    proto: Vec<u8>,
    expect: Expect,
}

/// A change of a pin that cluster nodes make.
pub(super) enum PinWrite {
    Put(Box<PinPut>),
    Delete(Cid, Expect),
}

impl PinPut {
    /// # Errors
    /// A pin that is too large.
    pub(super) fn of(pin: Pin, expect: Expect) -> Result<Self> {
        let (pin, proto) = pin.into_stored_form()?;
        Ok(Self { pin, proto, expect })
    }
}

impl Draft<'_> {
    pub(super) fn put_pin(&mut self, put: PinPut) -> Result<StoredPin> {
        let PinPut { pin, proto, expect } = put;
        let row = self.get(Table::Pins, &pin.cid.to_bytes())?;
        let old = row_of(row.as_ref())?;
        expect.check(PIN, old.as_ref().map(|p| p.version))?;
        let expired = old.as_ref().and_then(PinRow::expires);
        self.move_expiry(&pin.cid, expired, pin.options.expire_at);
        let stored = StoredPin {
            version: self.next_number(),
            requests: old.map_or(0, |p| p.requests),
            by_cluster: true,
            pin,
        };
        self.put_stored(&stored, proto)?;
        self.announce(stored.version, &stored.pin.cid);
        Ok(stored)
    }

    pub(super) fn delete_pin(&mut self, cid: &Cid, expect: Expect) -> Result<()> {
        let row = self.get(Table::Pins, &cid.to_bytes())?;
        let old = row_of(row.as_ref())?;
        expect.check(PIN, old.as_ref().map(|p| p.version))?;
        let Some(mut pin) = old else {
            return Ok(());
        };
        self.move_expiry(cid, pin.expires(), None);
        pin.by_cluster = false;
        pin.version = self.next_number();
        self.announce(pin.version, cid);
        self.put_or_remove(cid, &pin)
    }

    pub(super) fn allocate_pin(
        &mut self,
        cid: &Cid,
        version: u64,
        allocations: Vec<PeerId>,
    ) -> Result<StoredPin> {
        let row = self.get(Table::Pins, &cid.to_bytes())?;
        let pin = row_of(row.as_ref())?.ok_or(StoreError::NotFound(PIN))?;
        let mut stored = pin.into_pin()?;
        Expect::Version(version).check(PIN, Some(stored.version))?;
        stored.version = self.next_number();
        stored.pin.allocations = allocations;
        let proto = stored.pin.to_proto();
        self.put_stored(&stored, proto)?;
        Ok(stored)
    }

    /// One more request wants a pin, which is made if it is not there.
    pub(super) fn want_pin(
        &mut self,
        asked: &NewRequest,
        now: UnixMillis,
        version: u64,
    ) -> Result<()> {
        let row = self.get(Table::Pins, &asked.cid.to_bytes())?;
        if let Some(mut pin) = row_of(row.as_ref())? {
            pin.version = version;
            pin.requests += 1;
            return self.put_or_remove(&asked.cid, &pin);
        }
        let (pin, proto) = begin_pin(asked, now)?;
        let stored = StoredPin {
            pin,
            version,
            requests: 1,
            by_cluster: false,
        };
        self.put_stored(&stored, proto)
    }

    /// One request less wants a pin, which goes if nobody else does.
    pub(super) fn unwant_pin(&mut self, cid: &Cid, version: u64) -> Result<()> {
        self.change_pin(cid, version, |pin| {
            pin.requests = pin.requests.saturating_sub(1);
        })
    }

    /// A pin has changed, though not in what the store knows of it.
    pub(super) fn touch_pin(&mut self, cid: &Cid, version: u64) -> Result<()> {
        self.change_pin(cid, version, |_| {})
    }

    fn change_pin(
        &mut self,
        cid: &Cid,
        version: u64,
        change: impl FnOnce(&mut PinRow<'_>),
    ) -> Result<()> {
        let row = self.get(Table::Pins, &cid.to_bytes())?;
        let missing = || StoreError::Corrupt(format!("{cid} is requested and is no pin"));
        let mut pin = row_of(row.as_ref())?.ok_or_else(missing)?;
        pin.version = version;
        change(&mut pin);
        self.put_or_remove(cid, &pin)
    }

    fn put_or_remove(&mut self, cid: &Cid, pin: &PinRow<'_>) -> Result<()> {
        if pin.is_wanted() {
            self.put(Table::Pins, cid.to_bytes(), encode(pin)?);
        } else {
            self.remove(Table::Pins, cid.to_bytes());
        }
        Ok(())
    }

    /// Writes a pin's row, of which `proto` is the pin itself.
    fn put_stored(&mut self, stored: &StoredPin, proto: Vec<u8>) -> Result<()> {
        let row = PinRow {
            version: stored.version,
            requests: stored.requests,
            by_cluster: stored.by_cluster,
            expires: stored.pin.options.expire_at.map(UnixMillis::as_millis),
            proto: proto.into(),
        };
        self.put(Table::Pins, stored.pin.cid.to_bytes(), encode(&row)?);
        Ok(())
    }

    fn move_expiry(&mut self, cid: &Cid, from: Option<UnixMillis>, to: Option<UnixMillis>) {
        if let Some(from) = from {
            self.remove(Table::PinExpiry, key::at(from, &cid.to_bytes()));
        }
        if let Some(to) = to {
            self.put(Table::PinExpiry, key::at(to, &cid.to_bytes()), []);
        }
    }
}

fn row_of(row: Option<&UserValue>) -> Result<Option<PinRow<'_>>> {
    row.map(|row| decode("pin", row)).transpose()
}
