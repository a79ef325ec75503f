//! Events of a program that works on the store by itself: entered into their chain at once.
//!
//! There is no queue on the disk between, because there is no host whose queue it would be. Others
//! may enter something meanwhile; an append that finds so is made again behind theirs, so a chain
//! that several processes write to does not fork.

use super::carried::event_of;
use super::line::{Event, Line};
use holdfast_model::audit::AuditEntry;
use holdfast_model::{ErrorKind, Invalid};
use holdfast_store::{Store, StoreError};

/// Appends that may find another's before them. Each time somebody else's went through, so as many
/// processes would have to write at the same moment.
const APPENDS_MAX: u32 = 64;

/// Entries of one look into the chain.
const LOOK_ENTRIES: u32 = 100;

/// Why an event was not entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event cannot be an entry.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The event cannot be a line.
    #[error("it cannot be written as JSON: {0}")]
    Line(#[from] serde_json::Error),
    /// Others were always faster.
    #[error("others write to the chain without a pause; try again")]
    Busy,
}

/// Enters an event into its chain, as a host's auditor would.
///
/// # Errors
/// Why it was not; what the store did not answer to may be there all the same.
pub async fn enter(store: &Store, event: &Event) -> Result<(), EnterError> {
    let id = rand::random();
    let line = serde_json::to_vec(&Line { id, event })?;
    let (tenant, event) = event_of(&line, event.at);
    let begun = store.audit_head(&tenant).await?.seq;
    for _ in 0..APPENDS_MAX {
        let head = store.audit_head(&tenant).await?;
        let entry = AuditEntry::follow(&head, event.clone())?;
        match store.append_audit(&tenant, head, &[entry]).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        // What was before it may be itself: an append whose answer was lost is made twice.
        if is_behind(store, &tenant, begun, id).await? {
            return Ok(());
        }
    }
    Err(EnterError::Busy)
}

/// Whether an event stands behind a place in a chain.
async fn is_behind(store: &Store, tenant: &str, place: u64, id: u128) -> Result<bool, StoreError> {
    let mut next = place + 1;
    loop {
        let entries = store.audit_entries(tenant, next, LOOK_ENTRIES).await?;
        let Some(last) = entries.last() else {
            return Ok(false);
        };
        if entries.iter().any(|entry| entry.id == id) {
            return Ok(true);
        }
        next = last.seq + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::audit::Outcome;
    use holdfast_model::UnixMillis;
    use holdfast_model::audit::{AuditHead, verify};

    /// Many at once, as hosts and commands on one cluster: the chain stays one, with each in it
    /// once.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_writes_beside_others_forks_nothing() {
        async fn enter_some(store: Store, writer: u64) {
            for number in 0..20 {
                let what = format!("{writer} {number}");
                let event = Event::of_host(UnixMillis::new(number), Outcome::Allow, what);
                enter(&store, &event).await.unwrap();
            }
        }
        let store = Store::memory();
        let writers = (0..4).map(|writer| tokio::spawn(enter_some(store.clone(), writer)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let entries = store.audit_entries("", 1, 1_000).await.unwrap();
        let head = verify(&AuditHead::start(""), &entries, &[]).unwrap();
        assert_eq!(head, store.audit_head("").await.unwrap());
        let mut notes: Vec<_> = entries.iter().map(|entry| entry.body.clone()).collect();
        notes.sort_unstable();
        notes.dedup();
        assert_eq!((entries.len(), notes.len()), (80, 80));
        assert_eq!(entries[0].action, "host");
    }
}
