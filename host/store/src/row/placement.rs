//! Placements on disk.

use super::{decode, encode};
use crate::Result;
use crate::error::StoreError;
use holdfast_model::{Cid, PeerId, Placement, PlacementState, UnixMillis};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct PlacementRow<'a> {
    cid: Cid,
    peer: PeerId,
    state: u8,
    due: Option<u64>,
    attempts: u32,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    dag_size: Option<u64>,
    updated: u64,
    version: u64,
}

pub(crate) fn encode_placement(placement: &Placement) -> Result<Vec<u8>> {
    encode(&PlacementRow {
        cid: placement.cid,
        peer: placement.peer,
        state: state_number(placement.state),
        due: placement.due.map(UnixMillis::as_millis),
        attempts: placement.attempts,
        error: placement.error.as_deref().map(Cow::Borrowed),
        dag_size: placement.dag_size,
        updated: placement.updated.as_millis(),
        version: placement.version,
    })
}

pub(crate) fn decode_placement(bytes: &[u8]) -> Result<Placement> {
    let row: PlacementRow<'_> = decode("placement", bytes)?;
    Ok(Placement {
        cid: row.cid,
        peer: row.peer,
        state: state_of(row.state)?,
        due: row.due.map(UnixMillis::new),
        attempts: row.attempts,
        error: row.error.map(Cow::into_owned),
        dag_size: row.dag_size,
        updated: UnixMillis::new(row.updated),
        version: row.version,
    })
}

const fn state_number(state: PlacementState) -> u8 {
    match state {
        PlacementState::PinQueued => 0,
        PlacementState::Pinning => 1,
        PlacementState::Pinned => 2,
        PlacementState::PinError => 3,
        PlacementState::UnpinQueued => 4,
    }
}

fn state_of(number: u8) -> Result<PlacementState> {
    PlacementState::ALL
        .into_iter()
        .find(|state| state_number(*state) == number)
        .ok_or_else(|| StoreError::Corrupt(format!("{number} is no state of a placement")))
}
