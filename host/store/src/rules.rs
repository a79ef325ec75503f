//! What both backends must say in the same way: how rows begin, and when an expectation holds.

use crate::error::StoreError;
use crate::{Expect, RequestDraft, Result};
use holdfast_model::{
    ApiKey, Cursor, Invalid, KeyId, NewRequest, Pin, PinRequest, RequestStatus, Tenant, TenantId,
    UnixMillis,
};
use std::collections::BTreeMap;

/// Name of a pin request in errors.
pub(crate) const REQUEST: &str = "pin request";
/// Name of a pin in errors.
pub(crate) const PIN: &str = "pin";
/// Name of a placement in errors.
pub(crate) const PLACEMENT: &str = "placement";
/// Name of an API key in errors.
pub(crate) const KEY: &str = "key";
/// Name of a record in errors.
pub(crate) const RECORD: &str = "record";

/// When an account's next request counts as made: its `created` must grow, because clients page by
/// it, and requests that were deleted since count too: a cursor may still name their instant.
pub(crate) fn created_after(newest: Option<UnixMillis>, now: UnixMillis) -> Result<UnixMillis> {
    let Some(newest) = newest else {
        return Ok(now);
    };
    let created = now.max(newest.plus_millis(1));
    if created > newest {
        return Ok(created);
    }
    Err(Invalid::new(
        "created",
        "the account has a request of the last instant there is",
    )
    .into())
}

/// A request as it begins.
pub(crate) fn begin_request(
    draft: RequestDraft,
    created: UnixMillis,
    now: UnixMillis,
) -> PinRequest {
    PinRequest {
        id: draft.id,
        account: draft.account,
        created,
        asked: draft.asked,
        status: RequestStatus::Queued,
        dag_size: None,
        details: None,
        updated: now,
        version: 1,
    }
}

/// The pin that a request brings into being if there is none yet, and what is stored of it.
pub(crate) fn begin_pin(asked: &NewRequest, now: UnixMillis) -> Result<(Pin, Vec<u8>)> {
    let mut pin = Pin::recursive(asked.cid, now);
    pin.options.name = asked.name.clone().unwrap_or_default();
    pin.options.origins = asked.origins.clone();
    pin.options.metadata = asked.meta.clone();
    Ok(pin.into_stored_form()?)
}

/// A key that has another one in its place.
pub(crate) fn retire(key: &mut ApiKey, successor: &KeyId, end: UnixMillis) -> Result<()> {
    match &key.successor {
        Some(known) if known != successor => return Err(StoreError::Conflict(KEY)),
        _ => key.successor = Some(successor.clone()),
    }
    key.expires = Some(key.expires.map_or(end, |before| before.min(end)));
    Ok(())
}

/// A tenant that is known only because a key names it.
pub(crate) fn begin_tenant(id: TenantId, created: UnixMillis) -> Tenant {
    Tenant {
        id,
        created,
        attributes: BTreeMap::new(),
    }
}

/// The pin as it comes back from its stored form, which holds whole seconds and no
/// `user_allocations`: what a write answers is what later reads answer.
pub(crate) fn stored_form(pin: &Pin) -> Result<Pin> {
    Ok(Pin::from_proto(&pin.to_proto())?)
}

impl Expect {
    /// Whether it holds of a row with this version, or of none.
    pub(crate) fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => version.is_none(),
            Self::Version(wanted) => version == Some(wanted),
        }
    }

    pub(crate) fn check(self, what: &'static str, version: Option<u64>) -> Result<()> {
        if self.holds(version) {
            return Ok(());
        }
        Err(StoreError::Conflict(what))
    }
}

/// The complaint about a cursor that the feed has not reached.
pub(crate) fn check_not_in_future(cursor: Cursor, head: Cursor) -> Result<()> {
    if cursor <= head {
        return Ok(());
    }
    let why = format!(
        "{} lies after the feed's end {}; resume from a cursor that this store gave",
        cursor.0, head.0
    );
    Err(Invalid::new("cursor", why).into())
}

/// Bytes of a follower's name: it stands in a key.
const FOLLOWER_NAME_BYTES_MAX: usize = 256;

/// Refuses a name that is too long for a key.
pub(crate) fn check_follower_name(name: &str) -> Result<()> {
    if name.len() <= FOLLOWER_NAME_BYTES_MAX {
        return Ok(());
    }
    let why = format!(
        "has {} bytes; {FOLLOWER_NAME_BYTES_MAX} at most",
        name.len()
    );
    Err(Invalid::new("follower", why).into())
}
