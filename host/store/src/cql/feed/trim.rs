//! Forgetting old entries.

use super::{Feed, HOME, Shared, ZERO, signed, slot_of};
use crate::Result;
use crate::cql::statement::Statement;
use crate::rules::check_not_in_future;
use futures_util::future::try_join_all;
use holdfast_model::Cursor;

impl Feed {
    /// Forgets entries up to and including a cursor. The floor is raised first, so that nobody
    /// takes what is half gone for all there was; whole slots go as partitions.
    pub(crate) async fn trim(&self, upto: Cursor) -> Result<()> {
        let shared = &self.shared;
        if upto > *shared.head.borrow() {
            self.refresh().await?;
            check_not_in_future(upto, *shared.head.borrow())?;
        }
        let floor = shared.standing.lock().floor();
        if upto.0 <= floor {
            return Ok(());
        }
        let value = signed(upto.0);
        shared
            .calls
            .write(Statement::FloorWrite, HOME, (value, value, ZERO))
            .await?;
        shared.standing.lock().raise_floor(upto.0);
        shared.trim_slots(upto).await?;
        let slot = signed(slot_of(upto.0));
        let of_shard = |shard| {
            let values = (value, slot, shard, value);
            shared.calls.write(Statement::FeedTrimUpto, HOME, values)
        };
        try_join_all(shared.shards().map(of_shard)).await.map(drop)
    }
}

impl Shared {
    /// Forgets the slots that end before a cursor. Every entry in them has a smaller timestamp.
    async fn trim_slots(&self, upto: Cursor) -> Result<()> {
        let Some(last) = slot_of(upto.0).checked_sub(1) else {
            return Ok(());
        };
        let stamp = signed(upto.0);
        loop {
            let slots = self.slots(0, last).await?;
            if slots.is_empty() {
                return Ok(());
            }
            for slot in slots.into_iter().map(signed) {
                let of_shard = |shard| {
                    let values = (stamp, slot, shard);
                    self.calls.write(Statement::FeedTrimSlot, HOME, values)
                };
                try_join_all(self.shards().map(of_shard)).await?;
                let values = (stamp, ZERO, slot);
                self.calls
                    .write(Statement::FeedSlotTake, HOME, values)
                    .await?;
            }
        }
    }
}
