//! Intents: what a batch will write, noted before its account's head moves.
//!
//! An intent lies where its head says: in the slot of time in which it was written. It goes when
//! everything in it has been applied. So whoever finds a head whose operation is not his own looks
//! for that intent: if it is there, he applies it, and what he applies twice does no harm.
//!
//! What a crash leaves behind is found by the [sweep](Shared::sweep), slot by slot.

use super::Shared;
use super::account::{Head, OpId};
use super::calls::Cas;
use super::effect::Effect;
use super::home::{Home, Params};
use super::number::{bigint, unsigned};
use super::statement::Statement;
use crate::Result;
use crate::error::StoreError;
use crate::row::{Account, decode, encode};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::AccountId;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// A slot lasts 2^23 microseconds, 8.4 seconds: at 20,000 batches a second a partition of it holds
/// 10,000 tombstones, a tenth of what servers refuse to read over.
const SLOT_BITS: u32 = 23;

/// Partitions of a slot. Never to be changed: intents are found by it.
const SHARDS: u16 = 16;

/// The partition of the index of slots.
const ZERO: i8 = 0;

/// How old an intent is before the sweep looks at it, at least; and more than twice as long as a
/// batch tries to move its head, so that clocks may differ by as much.
const SWEEP_AFTER_MIN: Duration = Duration::from_secs(40);

/// How long an empty slot stays in the index, in microseconds: longer than a process can be held up
/// between choosing a slot and writing into it.
const SLOT_KEPT_MICROS: u64 = 600_000_000;

/// Rows of one look of the sweep; what is left is found by the next.
const SWEEP_SLOTS: i32 = 1_024;
const SWEEP_ROWS: i32 = 256;

/// The effects of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    /// Whose head it moves.
    pub(super) account: AccountId,
    /// The version that the head has after it.
    pub(super) version: u64,
    /// What it writes.
    pub(super) effects: Vec<Effect>,
}

/// What a process knows of slots.
#[derive(Debug, Default)]
pub(crate) struct IntentSlots {
    /// The newest one that it has put into the index.
    written: AtomicU64,
    /// Old ones that it found empty.
    empty: Mutex<BTreeSet<u64>>,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Intents that were applied.
    pub applied: u64,
    /// Intents that never came to be, or had been applied, and were dropped.
    pub dropped: u64,
}

/// The slot of a stamp. Never zero, which means none.
pub(super) const fn slot_of(micros: u64) -> u64 {
    let slot = micros >> SLOT_BITS;
    if slot == 0 { 1 } else { slot }
}

impl Shared {
    /// Notes an intent.
    pub(super) async fn put_intent(&self, op: OpId, intent: &Intent) -> Result<()> {
        let (shard, home) = self.intent_place(op);
        let body = encode(&intent.effects)?;
        let version = bigint(intent.version);
        let account = intent.account.as_str();
        let values = (
            bigint(op.slot),
            shard,
            op.id,
            account,
            version,
            body,
            version,
        );
        let written = self.calls.write(Statement::IntentPut, home, values);
        futures_util::future::try_join(self.put_slot(op.slot), written).await?;
        Ok(())
    }

    /// The intent of an operation, if it has not been applied.
    pub(super) async fn intent(&self, op: OpId) -> Result<Option<Intent>> {
        let (shard, home) = self.intent_place(op);
        let key = (bigint(op.slot), shard, op.id);
        let row: Option<(String, i64, Vec<u8>)> =
            self.calls.row(Statement::IntentRead, home, key).await?;
        let Some((account, version, body)) = row else {
            return Ok(None);
        };
        Ok(Some(Intent {
            account: account_of(&account)?,
            version: unsigned(version),
            effects: decode("intent", &body)?,
        }))
    }

    /// Forgets an intent.
    pub(super) async fn remove_intent(&self, op: OpId, version: u64) -> Result<()> {
        let (shard, home) = self.intent_place(op);
        let values = (
            bigint(version.saturating_add(1)),
            bigint(op.slot),
            shard,
            op.id,
        );
        self.calls
            .write(Statement::IntentRemove, home, values)
            .await
    }

    /// Finishes or drops what crashes have left behind.
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<Swept> {
        let age = (self.patience() * 3).max(SWEEP_AFTER_MIN);
        let micros = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        self.sweep_older_than(micros).await
    }

    /// The same, for intents of at least an age in microseconds.
    pub(super) async fn sweep_older_than(self: &Arc<Self>, age: u64) -> Result<Swept> {
        let now = self.clock.reached();
        let upto = slot_of(now.saturating_sub(age));
        let home = self.intent_slots_home();
        let values = (ZERO, bigint(upto), SWEEP_SLOTS);
        let slots: Vec<(i64,)> = self
            .calls
            .rows(Statement::IntentSlotsUpto, home, values)
            .await?;
        let mut swept = Swept::default();
        for (slot,) in slots {
            let slot = unsigned(slot);
            let was_empty = self.intent_slots.empty.lock().contains(&slot);
            if !was_empty && self.sweep_slot(slot, &mut swept).await? {
                self.intent_slots.empty.lock().insert(slot);
            }
            if was_empty && slot < slot_of(now.saturating_sub(SLOT_KEPT_MICROS)) {
                self.remove_slot(slot).await?;
            }
        }
        Ok(swept)
    }

    /// Answers whether there was nothing in it.
    async fn sweep_slot(self: &Arc<Self>, slot: u64, swept: &mut Swept) -> Result<bool> {
        let shards = stream::iter(0..SHARDS)
            .map(|shard| self.intents_of_shard(slot, i32::from(shard)))
            .buffer_unordered(usize::from(SHARDS));
        let found: Vec<_> = shards.try_collect().await?;
        let mut was_empty = true;
        for (id, account, version) in found.into_iter().flatten() {
            was_empty = false;
            let op = OpId { id, slot };
            match self.settle_intent(op, &account, version).await? {
                Some(true) => swept.applied += 1,
                Some(false) => swept.dropped += 1,
                None => {}
            }
        }
        Ok(was_empty)
    }

    /// Applies an intent if it has moved its head, else drops it and makes sure that it never will.
    /// `None` if that could not be decided; otherwise whether it was applied.
    async fn settle_intent(
        self: &Arc<Self>,
        op: OpId,
        account: &AccountId,
        version: u64,
    ) -> Result<Option<bool>> {
        let head = self.settled_head(account).await?;
        if head.is_some_and(|head| head.op.id == op.id) {
            // The head's own operation was just settled, unless it was known to be: then only the
            // removal of its intent was lost.
            self.remove_intent(op, version).await?;
            return Ok(Some(true));
        }
        let is_past = head.is_some_and(|head| head.version >= version);
        if !is_past && !self.fence(account, head.as_ref(), version).await? {
            return Ok(None);
        }
        self.remove_intent(op, version).await?;
        Ok(Some(false))
    }

    /// Moves a head past a version without changing anything, so that a condition that is still
    /// under way somewhere cannot hold any more.
    async fn fence(&self, account: &AccountId, head: Option<&Head>, version: u64) -> Result<bool> {
        let fenced = Head {
            version: self.clock.next_after(version),
            op: OpId::fence(),
            made: head.map_or(0, |head| head.made),
            account: head.map_or_else(Account::default, |head| head.account),
        };
        Ok(self.move_head(account, head, &fenced).await? == Cas::Applied)
    }

    async fn intents_of_shard(&self, slot: u64, shard: i32) -> Result<Vec<(Uuid, AccountId, u64)>> {
        let home = self.intent_home(slot, shard);
        let values = (bigint(slot), shard, SWEEP_ROWS);
        let rows: Vec<(Uuid, String, i64)> = self
            .calls
            .rows(Statement::IntentsOfShard, home, values)
            .await?;
        rows.into_iter()
            .map(|(op, account, version)| Ok((op, account_of(&account)?, unsigned(version))))
            .collect()
    }

    /// Puts a slot into the index, once for each process.
    async fn put_slot(&self, slot: u64) -> Result<()> {
        if self.intent_slots.written.load(Ordering::Acquire) >= slot {
            return Ok(());
        }
        let values = (ZERO, bigint(slot), bigint(self.clock.next()));
        let home = self.intent_slots_home();
        self.calls
            .write(Statement::IntentSlotPut, home, values)
            .await?;
        self.intent_slots.written.fetch_max(slot, Ordering::AcqRel);
        Ok(())
    }

    async fn remove_slot(&self, slot: u64) -> Result<()> {
        let values = (bigint(self.clock.next()), ZERO, bigint(slot));
        let home = self.intent_slots_home();
        self.calls
            .write(Statement::IntentSlotRemove, home, values)
            .await?;
        self.intent_slots.empty.lock().remove(&slot);
        Ok(())
    }

    fn intent_place(&self, op: OpId) -> (i32, Home) {
        let shard = Params::shard(op.id.as_bytes(), SHARDS);
        (shard, self.intent_home(op.slot, shard))
    }

    fn intent_home(&self, slot: u64, shard: i32) -> Home {
        let mut key = slot.to_be_bytes().to_vec();
        key.extend(shard.to_be_bytes());
        self.params.home(&key)
    }

    fn intent_slots_home(&self) -> Home {
        self.params.home(&[ZERO.unsigned_abs()])
    }
}

/// An account's id as a key holds it.
pub(super) fn account_of(text: &str) -> Result<AccountId> {
    AccountId::parse(text).map_err(|e| StoreError::Corrupt(format!("a key holds {e}")))
}
