//! Who wants a pin, and that there is one as long as somebody does.
//!
//! Requests are written plainly beside the pin (`pin_requests`), the pin itself only by conditions.
//! A *touch* brings the pin in line with them: it reads the pin, then counts, then writes the pin
//! if nothing has moved it since. Who writes or deletes a row of `pin_requests` touches afterwards,
//! and every touch moves the version, so whoever counted before the row was written either loses
//! his condition or is followed by a touch that counts it. It may be repeated at any time.
//!
//! A pin that is removed leaves a *grave*: a row that is marked as one and goes by itself after ten
//! minutes. A node that was frozen may carry out a statement long after it was given up and sent
//! to another; had the row gone at once, a pin's making that is carried out so late would find none
//! and bring back, under a version that was used before, what nobody wants and nobody looks at
//! again. All columns of a grave go at the same time, and with them the row: pins are made by
//! `UPDATE`, which leaves no mark of the row's own.

use super::Shared;
use super::calls::Cas;
use super::pace::Pace;
use super::pin::{PinOp, PinPlace, PinRecord};
use super::statement::Statement;
use super::trail::Trail;
use crate::Result;
use crate::rules::{PIN, begin_pin};
use holdfast_model::{Cid, NewRequest, Origin, Pin, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What a request gives to the pin that it brings into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinSeed {
    pub(crate) name: Option<String>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) created: UnixMillis,
}

impl PinSeed {
    /// What `asked` gives, at `now`.
    pub(crate) fn of(asked: &NewRequest, now: UnixMillis) -> Self {
        Self {
            name: asked.name.clone(),
            origins: asked.origins.clone(),
            metadata: asked.meta.clone(),
            created: now,
        }
    }

    fn body(&self, cid: &Cid) -> Result<Vec<u8>> {
        let asked = NewRequest {
            cid: *cid,
            name: self.name.clone(),
            origins: self.origins.clone(),
            meta: self.metadata.clone(),
            expires: None,
        };
        begin_pin(&asked, self.created).map(|(_, body)| body)
    }
}

impl Shared {
    /// Brings a pin in line with who wants it, after rows of `pin_requests` were written or
    /// deleted: makes it from the seed, counts, or removes it. Answers the pin's new version; one
    /// that it would have had, if there is none.
    pub(crate) async fn touch_pin(
        self: &Arc<Self>,
        cid: &Cid,
        seed: Option<&PinSeed>,
    ) -> Result<u64> {
        let op = PinOp::Touch(seed.cloned().map(Box::new));
        Ok(self.change_pin(cid, op).await?.version)
    }
}

/// A touch, in the lane of its pin.
pub(super) async fn touch(shared: &Shared, cid: &Cid, seed: Option<&PinSeed>) -> Result<u64> {
    let touch = Touch {
        shared,
        place: PinPlace::of(shared, cid),
        body: seed.map(|seed| seed.body(cid)).transpose()?,
    };
    touch.run().await
}

/// Seconds that a grave stays: far longer than any statement lies in a node, frozen or not, and
/// short enough that no partition fills up with graves.
const GRAVE_SECONDS: i32 = 600;

/// Removes a pin's row if nobody wants it and it still has this version. Who loses here leaves it
/// to whoever moved the version.
pub(super) async fn remove_if_unwanted(
    shared: &Shared,
    place: &PinPlace,
    row: &PinRecord,
) -> Result<()> {
    if wanters(shared, place).await? == 0 {
        remove(shared, place, row).await?;
    }
    Ok(())
}

/// How many requests want a pin; exact up to 1,000, and that many if there are more.
async fn wanters(shared: &Shared, place: &PinPlace) -> Result<u64> {
    let key = (place.prefix, &place.key);
    let call = shared
        .calls
        .rows::<(Uuid,)>(Statement::Wanters, place.home, key);
    Ok(call.await?.len() as u64)
}

async fn remove(shared: &Shared, place: &PinPlace, row: &PinRecord) -> Result<Cas> {
    let cid = Cid::from_bytes(&place.key)?;
    let (op, version) = (Uuid::now_v7(), shared.clock.next_after(row.version));
    let trail = row.trail_then(op, version);
    let values = (
        GRAVE_SECONDS,
        version.cast_signed(),
        op,
        Pin::recursive(cid, UnixMillis::EPOCH).to_proto(),
        // As all that is remembered of the pin, it goes with the grave.
        trail.as_bytes(),
        place.prefix,
        &place.key,
        row.version.cast_signed(),
    );
    shared
        .calls
        .condition(Statement::PinRemove, place.home, values)
        .await
}

struct Touch<'a> {
    shared: &'a Shared,
    place: PinPlace,
    body: Option<Vec<u8>>,
}

/// What a touch knows of the row.
enum Known {
    Nothing,
    /// It was made by this touch, which has not counted since.
    Made(PinRecord),
}

impl Known {
    fn after(cas: Cas, row: PinRecord) -> Self {
        match cas {
            Cas::Applied => Self::Made(row),
            Cas::Refused | Cas::Doubted => Self::Nothing,
        }
    }
}

impl Touch<'_> {
    async fn run(&self) -> Result<u64> {
        // A new pin is the common case: one condition without a read before it. The count must
        // come after it all the same, or a touch that was held up for long could make a pin whose
        // requests have all been deleted.
        let mut known = match &self.body {
            Some(body) => self.make(body, 1).await?,
            None => Known::Nothing,
        };
        let mut pace = Pace::default();
        loop {
            let (row, made) = match known {
                Known::Made(row) => (Some(row), true),
                Known::Nothing => (self.place.read_serially(self.shared).await?, false),
            };
            let wanters = wanters(self.shared, &self.place).await?;
            known = Known::Nothing;
            match row {
                Some(row) if made && row.requests == wanters => return Ok(row.version),
                Some(grave) if grave.is_grave() => match &self.body {
                    Some(body) if wanters > 0 => known = self.revive(&grave, body, wanters).await?,
                    _ => return Ok(self.shared.clock.next_after(grave.version)),
                },
                Some(row) => {
                    if let Some(version) = self.bring_in_line(&row, wanters).await? {
                        return Ok(version);
                    }
                }
                None => match &self.body {
                    Some(body) if wanters > 0 => known = self.make(body, wanters).await?,
                    // Without a seed there is nothing to make: who wants it touches it himself.
                    _ => return Ok(self.shared.clock.next()),
                },
            }
            if matches!(known, Known::Nothing) {
                pace.wait(PIN).await?;
            }
        }
    }

    async fn make(&self, body: &[u8], requests: u64) -> Result<Known> {
        let op = Uuid::now_v7();
        let row = PinRecord {
            version: self.shared.clock.next(),
            op,
            requests,
            by_cluster: false,
            expires: None,
            body: body.to_vec(),
            trail: Trail::begin(op),
        };
        let cas = make(self.shared, &self.place, &row).await?;
        Ok(Known::after(cas, row))
    }

    /// Answers the new version; `None` if somebody else has moved the row.
    async fn bring_in_line(&self, row: &PinRecord, wanters: u64) -> Result<Option<u64>> {
        let (op, version) = (Uuid::now_v7(), self.shared.clock.next_after(row.version));
        let trail = row.trail_then(op, version);
        let cas = if row.by_cluster || wanters > 0 {
            let values = (
                version.cast_signed(),
                op,
                wanters.cast_signed(),
                trail.as_bytes(),
                self.place.prefix,
                &self.place.key,
                row.version.cast_signed(),
            );
            let calls = &self.shared.calls;
            calls
                .condition(Statement::PinCount, self.place.home, values)
                .await?
        } else {
            remove(self.shared, &self.place, row).await?
        };
        Ok((cas == Cas::Applied).then_some(version))
    }

    /// Makes a pin again that was removed. Its requests may have been deleted since they were
    /// counted, and a touch that follows a deletion leaves a grave as it is: it is counted again.
    async fn revive(&self, grave: &PinRecord, body: &[u8], requests: u64) -> Result<Known> {
        let version = self.shared.clock.next_after(grave.version);
        let row = PinRecord {
            requests,
            expires: None,
            ..grave.then(Uuid::now_v7(), version, body.to_vec())
        };
        let cas = revive(self.shared, &self.place, grave, &row).await?;
        Ok(Known::after(cas, row))
    }
}

/// Makes a pin that has no row.
pub(super) async fn make(shared: &Shared, place: &PinPlace, row: &PinRecord) -> Result<Cas> {
    let ((version, op, requests, by_cluster, expires, body, trail), (prefix, key)) =
        row.values(place);
    let values = (
        version, op, requests, by_cluster, expires, body, trail, prefix, key,
    );
    shared
        .calls
        .condition(Statement::PinMake, place.home, values)
        .await
}

/// Makes a pin again whose row is a grave: every column, so that none of them goes with it.
pub(super) async fn revive(
    shared: &Shared,
    place: &PinPlace,
    grave: &PinRecord,
    row: &PinRecord,
) -> Result<Cas> {
    let ((version, op, requests, by_cluster, expires, body, trail), (prefix, key)) =
        row.values(place);
    let old = grave.version.cast_signed();
    let values = (
        version, op, requests, by_cluster, expires, body, trail, prefix, key, old,
    );
    shared
        .calls
        .condition(Statement::PinRevive, place.home, values)
        .await
}
