//! When pins go by themselves: those that a cluster node put with an end.
//!
//! The entry is written ahead of the pin and bears the version that the pin is to have. It counts
//! if the pin's row says the same; else it is removed, by a deletion that is stamped with the pin's
//! version or a minute back, so that the entry of a change under way survives it.

use super::record::{PinPlace, PinRecord};
use crate::Result;
use crate::cql::expiry::{Expiring, Kind};
use crate::cql::{Cql, Shared};
use crate::error::StoreError;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_model::{Cid, StoredPin, UnixMillis};

/// After how long a change that has not come can no longer come.
const CHANGE_MICROS_MAX: u64 = 60_000_000;

/// Entries that are read at once, and compared with their pins at once.
const ENTRIES_MIN: usize = 64;
const LOOKS_AT_ONCE: usize = 32;

impl Cql {
    pub(crate) async fn expired_pins(&self, now: UnixMillis, limit: u32) -> Result<Vec<StoredPin>> {
        let shared = &*self.shared;
        let limit = limit as usize;
        let mut found: Vec<StoredPin> = Vec::new();
        let mut after: Option<Expiring> = None;
        while found.len() < limit {
            let most = (limit - found.len()).max(ENTRIES_MIN);
            let entries = shared.expired(Kind::Pin, now, after.as_ref(), most).await?;
            let is_last = entries.len() < most;
            after = entries.last().cloned().or(after);
            let pins = stream::iter(entries)
                .map(|entry| shared.still_expires(entry))
                .buffered(LOOKS_AT_ONCE);
            let pins: Vec<Option<StoredPin>> = pins.try_collect().await?;
            found.extend(pins.into_iter().flatten());
            if is_last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

impl Shared {
    /// The pin, if it is to go when the entry says so.
    async fn still_expires(&self, entry: Expiring) -> Result<Option<StoredPin>> {
        let cid = Cid::from_bytes(&entry.key)
            .map_err(|e| StoreError::Corrupt(format!("an expiry row holds {e}")))?;
        let record = PinPlace::of(self, &cid).read(self).await?;
        let expires = record.as_ref().and_then(PinRecord::expiring);
        if expires == Some(entry.at) {
            return record.map(|record| record.stored()).transpose();
        }
        let back = self.clock.reached().saturating_sub(CHANGE_MICROS_MAX);
        let stamp = record.map_or(back, |record| record.version.max(back));
        self.remove_expiry(Kind::Pin, &entry, stamp).await?;
        Ok(None)
    }

    /// Notes when a pin is to go, ahead of the change that says so.
    pub(super) async fn note_expiry(&self, place: &PinPlace, row: &PinRecord) -> Result<()> {
        let Some(at) = row.expiring() else {
            return Ok(());
        };
        let entry = Expiring {
            at,
            key: place.key.clone(),
        };
        self.put_expiry(Kind::Pin, &entry, row.version).await
    }

    /// Forgets when a pin was to go, after a change that says otherwise.
    pub(super) async fn drop_expiry(
        &self,
        place: &PinPlace,
        old: &PinRecord,
        new: &PinRecord,
    ) -> Result<()> {
        let Some(at) = old.expiring().filter(|at| new.expiring() != Some(*at)) else {
            return Ok(());
        };
        let entry = Expiring {
            at,
            key: place.key.clone(),
        };
        self.remove_expiry(Kind::Pin, &entry, new.version).await
    }
}
