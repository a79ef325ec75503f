//! Removing what a cluster pinned.

use super::{CONFLICTS_MAX, ClusterError};
use holdfast_model::action::WritePins;
use holdfast_model::{Cid, Pin, PinType};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Store, StoreError};

/// Removes a pin and answers what it was.
///
/// What accounts want too stays for them, without the cluster's wish; what only accounts want is
/// theirs to give up.
///
/// # Errors
/// It is not there, is a part of sharded content, is wanted by accounts only, or the store fails.
pub async fn unpin(
    store: &Store,
    _permit: &Permit<WritePins>,
    cid: &Cid,
) -> Result<Pin, ClusterError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let stored = store.pin(cid).await?.ok_or(ClusterError::NotPinned)?;
        match stored.pin.pin_type {
            PinType::Shard => return Err(ClusterError::Part("shard")),
            PinType::ClusterDag => return Err(ClusterError::Part("Cluster DAG")),
            PinType::Data | PinType::Meta | PinType::Bad => {}
        }
        if !stored.by_cluster {
            return Err(ClusterError::WantedByAccounts(stored.requests));
        }
        match store.delete_pin(cid, Expect::Version(stored.version)).await {
            Err(StoreError::Conflict(_)) if tries < CONFLICTS_MAX => {}
            Err(other) => return Err(other.into()),
            Ok(()) => return Ok(stored.pin),
        }
    }
}

/// Removes the parts of sharded content: what the root's DAG links, and that DAG. To be called
/// after the root has been removed; doing it twice is fine.
///
/// # Errors
/// The store's.
pub async fn removed_with(
    store: &Store,
    _permit: &Permit<WritePins>,
    parts: &[Cid],
) -> Result<(), ClusterError> {
    for cid in parts {
        let stored = store.pin(cid).await?;
        let is_part = |kind| matches!(kind, PinType::Shard | PinType::ClusterDag);
        if stored.is_some_and(|stored| is_part(stored.pin.pin_type)) {
            store.delete_pin(cid, Expect::Any).await?;
        }
    }
    Ok(())
}
