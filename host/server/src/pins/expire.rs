//! Expiry: what its owner gave a last day goes as if the owner had removed it.

use holdfast_model::action::DriveWork;
use holdfast_model::{PinRequest, StoredPin, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Store, StoreError};

/// Deletes a request whose time has come. One that is gone already is fine.
///
/// # Errors
/// The store's.
pub async fn expire_request(
    store: &Store,
    _permit: &Permit<DriveWork>,
    request: &PinRequest,
    now: UnixMillis,
) -> Result<(), StoreError> {
    match store
        .delete_request(&request.account, request.id, now)
        .await
    {
        Err(StoreError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// Ends the cluster's wish for a pin whose time has come. One that has been put anew in the
/// meantime, perhaps with another day, is left alone.
///
/// # Errors
/// The store's.
pub async fn expire_pin(
    store: &Store,
    _permit: &Permit<DriveWork>,
    stored: &StoredPin,
) -> Result<(), StoreError> {
    let expect = Expect::Version(stored.version);
    match store.delete_pin(&stored.pin.cid, expect).await {
        Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => Ok(()),
        other => other,
    }
}
