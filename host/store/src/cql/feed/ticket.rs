//! Announcing a change ahead of it.

use super::{Feed, HOME, STANDING_WAIT, Shared, ZERO, signed, slot_of};
use crate::Result;
use crate::cql::calls::rest_of_change;
use crate::cql::statement::Statement;
use crate::cql::writers::Place;
use crate::error::StoreError;
use holdfast_model::Cid;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between attempts to announce again what has been changed.
const AGAIN_PAUSE: Duration = Duration::from_millis(200);

/// Changes that are announced and may now be made.
///
/// A ticket that is dropped says that nobody knows whether they were, or still will be: readers
/// wait for as long as a server may take over a request, then pass.
#[derive(Debug)]
#[must_use = "readers wait until it is done or withdrawn"]
pub(crate) struct Ticket {
    taken: Taken,
    cids: Arc<[Cid]>,
}

/// A place in the feed, given back as nothing's if it is not used.
#[derive(Debug)]
struct Taken {
    shared: Arc<Shared>,
    place: Place,
    fate: Fate,
}

/// What becomes of a place when it is let go of.
#[derive(Debug)]
enum Fate {
    /// Nothing has been changed.
    Nothing,
    /// The changes have been made.
    Done,
    /// Nobody knows.
    Unknown(Arc<[Cid]>),
}

impl Feed {
    /// Writes the entries of changes that are about to be made.
    ///
    /// # Errors
    /// An entry that cannot be written, or a cluster that has not heard this process for a while:
    /// nothing may be changed then.
    pub(crate) async fn announce(&self, cids: &[Cid]) -> Result<Ticket> {
        let shared = &self.shared;
        if !shared.is_in_good_standing() {
            match timeout(STANDING_WAIT, shared.good_standing()).await {
                Ok(standing) => standing?,
                Err(_) => {
                    let why = "the cluster has not heard this process for a while";
                    return Err(StoreError::Unavailable {
                        doing: "announce a change".to_owned(),
                        source: std::io::Error::other(why),
                    });
                }
            }
        }
        let mut taken = Taken::begin(shared);
        shared.write_entries(taken.place.at, cids).await?;
        let cids: Arc<[Cid]> = cids.into();
        taken.fate = Fate::Unknown(Arc::clone(&cids));
        Ok(Ticket { taken, cids })
    }
}

impl Ticket {
    /// The changes have been made: readers may pass. At once, unless the others may have given this
    /// process up in the meantime and read on; then the changes are announced once more, and this
    /// answers when that is done.
    pub(crate) async fn done(mut self) {
        let shared = Arc::clone(&self.taken.shared);
        let was_good = self.taken.is_waited_for();
        shared.forget(&self.cids);
        self.taken.fate = Fate::Done;
        if was_good {
            return;
        }
        let again = tokio::spawn(shared.announce_again(Arc::clone(&self.cids)));
        drop(self);
        if let Err(error) = again.await {
            tracing::error!(%error, "a change was not announced again; a full round will find it");
        }
    }

    /// Nothing has been changed, nor will be: takes the entries back.
    pub(crate) async fn withdraw(mut self) {
        let at = self.taken.place.at;
        let shared = Arc::clone(&self.taken.shared);
        self.taken.fate = Fate::Nothing;
        let values = (
            signed(at),
            signed(slot_of(at)),
            shared.shard(at),
            signed(at),
        );
        let gone = shared.calls.write(Statement::FeedTake, HOME, values).await;
        if let Err(error) = gone {
            tracing::debug!(%error, at, "an entry that announces nothing stays in the feed");
        }
    }
}

impl Taken {
    fn begin(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            place: shared.standing.lock().begin(&shared.clock),
            fate: Fate::Nothing,
        }
    }

    /// Whether all readers have waited for this place since it was taken.
    fn is_waited_for(&self) -> bool {
        let now = self.shared.clock.moment();
        self.shared.standing.lock().was_good_since(self.place, &now)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let now = self.shared.clock.moment();
        let mut standing = self.shared.standing.lock();
        match mem::replace(&mut self.fate, Fate::Nothing) {
            Fate::Nothing => standing.forgo(self.place),
            Fate::Done => standing.finish(self.place),
            Fate::Unknown(cids) => standing.leave(self.place, cids, now),
        }
        let newest = standing.newly_readable(&self.shared.clock);
        drop(standing);
        newest.into_iter().for_each(|at| self.shared.move_head(at));
    }
}

impl Shared {
    /// Announces changes of which nobody knows whether and when they were made: at once, if readers
    /// may have passed them, and when even a node that was frozen has made them or never will.
    pub(super) async fn announce_left(self: Arc<Self>, cids: Arc<[Cid]>, at_once: bool) {
        if at_once {
            Arc::clone(&self).announce_again(Arc::clone(&cids)).await;
        }
        sleep(self.timing.late).await;
        self.forget(&cids);
        self.announce_again(cids).await;
    }

    /// Announces changes that have been made already, until readers are sure to meet them.
    pub(super) async fn announce_again(self: Arc<Self>, cids: Arc<[Cid]>) {
        loop {
            if self.is_closed.load(Ordering::Acquire) || self.good_standing().await.is_err() {
                return;
            }
            let mut taken = Taken::begin(&self);
            let entries = rest_of_change(self.write_entries(taken.place.at, &cids));
            match entries.await {
                Ok(()) => {
                    taken.fate = Fate::Done;
                    if taken.is_waited_for() {
                        self.metrics.again.inc();
                        return;
                    }
                }
                Err(StoreError::Closed) => return,
                Err(error) => tracing::warn!(%error, "a change is not announced again yet"),
            }
            drop(taken);
            sleep(AGAIN_PAUSE).await;
        }
    }

    async fn write_entries(&self, at: u64, cids: &[Cid]) -> Result<()> {
        let (slot, shard, at) = (signed(slot_of(at)), self.shard(at), signed(at));
        let row = |cid: &Cid| (slot, shard, at, cid.to_bytes(), at);
        let rows: Vec<_> = cids.iter().map(row).collect();
        let entries = self.calls.write_all(Statement::FeedAdd, HOME, &rows);
        if self.is_slot_noted(at) {
            return entries.await;
        }
        // Before the entry counts: who looks for entries looks for slots first.
        let (slot, entries) = tokio::join!(self.note_slot(at), entries);
        slot.and(entries)
    }

    fn is_slot_noted(&self, at: i64) -> bool {
        *self.slot_noted.lock() >= Some(slot_of(at.unsigned_abs()))
    }

    /// Notes that a slot has entries.
    async fn note_slot(&self, at: i64) -> Result<()> {
        let slot = slot_of(at.unsigned_abs());
        let values = (ZERO, signed(slot), at);
        self.calls
            .write(Statement::FeedSlotAdd, HOME, values)
            .await?;
        let mut noted = self.slot_noted.lock();
        *noted = (*noted).max(Some(slot));
        Ok(())
    }
}
