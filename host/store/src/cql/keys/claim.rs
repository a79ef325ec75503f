//! What only one key may have: its hash, and being the first.
//!
//! Both are claimed in a table of their own ahead of the key. A claim without its key is somebody's
//! who is about to write it, or has died: after a while it may be taken over.

use crate::Result;
use crate::cql::Shared;
use crate::cql::calls::Cas;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use crate::error::StoreError;
use crate::rules::KEY;
use holdfast_model::{ApiKey, KeyId};
use uuid::{NoContext, Timestamp, Uuid};

/// For how long a claim without a key is respected.
const CLAIM_MICROS: u64 = 60_000_000;

/// How long after its claim a key may still be written: well within that.
const KEY_MICROS: u64 = 20_000_000;

/// The row of `store_params` in which the first key is claimed.
const FIRST_KEY: &str = "first_key";

/// Claims a key's hash.
///
/// # Errors
/// `Conflict` if it is another key's.
pub(super) async fn hash(shared: &Shared, key: &ApiKey, op: Uuid) -> Result<()> {
    let home = shared.params.home(&key.hash);
    let hash = key.hash.as_slice();
    let id = key.id.as_str();
    let calls = &shared.calls;
    let claimed = calls
        .condition(Statement::HashClaim, home, (hash, id, op))
        .await?;
    if claimed == Cas::Applied {
        return Ok(());
    }
    let found: Option<(String, Uuid)> = calls.row(Statement::HashReadSerial, home, (hash,)).await?;
    let (holder, by) = found.ok_or(StoreError::Conflict(KEY))?;
    if by == op {
        return Ok(());
    }
    let holder = super::read_serially(shared, &super::parse_id(&holder)?).await?;
    let is_used = holder.is_some_and(|row| row.key.hash == key.hash);
    if is_used || age_micros(shared, by) < CLAIM_MICROS {
        return Err(StoreError::Conflict(KEY));
    }
    let taken = calls
        .condition(Statement::HashTakeOver, home, (id, op, hash, by))
        .await?;
    match taken {
        Cas::Applied => Ok(()),
        Cas::Refused => Err(StoreError::Conflict(KEY)),
        Cas::Doubted => {
            // Nobody takes over a claim as young as this one: if it was made, it is there.
            let found: Option<(String, Uuid)> =
                calls.row(Statement::HashReadSerial, home, (hash,)).await?;
            match found {
                Some((_, by)) if by == op => Ok(()),
                _ => Err(StoreError::Conflict(KEY)),
            }
        }
    }
}

/// Gives a hash back whose key was not written.
pub(super) async fn release(shared: &Shared, key: &ApiKey, op: Uuid) -> Result<()> {
    let home = shared.params.home(&key.hash);
    let values = (key.hash.as_slice(), op);
    shared
        .calls
        .condition(Statement::HashRelease, home, values)
        .await
        .map(drop)
}

/// Whether it is still early enough to write the key.
pub(super) fn holds(shared: &Shared, op: Uuid) -> bool {
    age_micros(shared, op) < KEY_MICROS
}

/// The id of the key with a hash, or of one that was to have it.
pub(super) async fn holder(shared: &Shared, hash: &[u8]) -> Result<Option<KeyId>> {
    let home = shared.params.home(hash);
    let found: Option<(String, Uuid)> =
        shared.calls.row(Statement::HashRead, home, (hash,)).await?;
    found.map(|(id, _)| super::parse_id(&id)).transpose()
}

/// Claims to write the first key; answers whether nobody else does.
pub(super) async fn first(shared: &Shared, op: Uuid) -> Result<bool> {
    let home = shared.params.home(FIRST_KEY.as_bytes());
    let mine = op.to_string();
    let calls = &shared.calls;
    let claimed = calls
        .condition(Statement::ParamAdd, home, (FIRST_KEY, &mine))
        .await?;
    if claimed == Cas::Applied {
        return Ok(true);
    }
    let found: Option<(String,)> = calls.row(Statement::ParamRead, home, (FIRST_KEY,)).await?;
    let (theirs,) = found.ok_or(StoreError::Conflict(KEY))?;
    if theirs == mine {
        return Ok(true);
    }
    let by = Uuid::parse_str(&theirs)
        .map_err(|e| StoreError::Corrupt(format!("store_params has a first_key that {e}")))?;
    if age_micros(shared, by) < CLAIM_MICROS {
        return Ok(false);
    }
    let values = (&mine, FIRST_KEY, &theirs);
    let taken = calls
        .condition(Statement::ParamReplace, home, values)
        .await?;
    if taken != Cas::Doubted {
        return Ok(taken == Cas::Applied);
    }
    let found: Option<(String,)> = calls.row(Statement::ParamRead, home, (FIRST_KEY,)).await?;
    Ok(found.is_some_and(|(holder,)| holder == mine))
}

/// Whether there is any key.
pub(super) async fn any_key(shared: &Shared) -> Result<bool> {
    let found: Option<(String,)> = shared
        .calls
        .row(Statement::KeyAny, Home::default(), ())
        .await?;
    Ok(found.is_some())
}

/// The id of an operation that begins now. It tells the time, and the clock that it is compared
/// with is every process's, which may go before this machine's.
pub(super) fn begin(shared: &Shared) -> Uuid {
    let micros = shared.clock.next();
    let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, micros / 1_000_000, nanos))
}

/// How long ago an operation began: its id tells.
fn age_micros(shared: &Shared, op: Uuid) -> u64 {
    let began = op.get_timestamp().map_or(0, |at| {
        let (seconds, nanos) = at.to_unix();
        seconds * 1_000_000 + u64::from(nanos) / 1_000
    });
    shared.clock.reached().saturating_sub(began)
}
