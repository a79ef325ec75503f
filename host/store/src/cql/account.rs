//! The head of an account: one row, written by conditions only, that is the log of its changes.
//!
//! Every change to an account's requests moves the head: counts by status, the usage mark, the
//! newest `created`. So these are exact at any instant, whatever the account's size, in one read.
//! The head names the operation that moved it last; what else belongs to that operation stands in
//! its [intent](super::intent) until it has been applied.

use super::Shared;
use super::calls::{Cas, one_change};
use super::home::Home;
use super::number::{bigint, unsigned};
use super::statement::Statement;
use crate::Result;
use crate::row::{Account, MarkRow, decode, encode};
use holdfast_model::{AccountId, StatusCounts, UnixMillis};
use quick_cache::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;

/// Heads that this process remembers between its own writes, and operations that it knows to be
/// applied: a few hundred bytes each.
const REMEMBERED_MAX: usize = 20_000;

/// How long somebody else's operation may take, in microseconds, before a reader helps it.
pub(super) const HELP_AFTER_MICROS: u64 = 1_000_000;

/// Which operation moved a head: its id, and the slot of time that its intent lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpId {
    pub(super) id: Uuid,
    pub(super) slot: u64,
}

impl OpId {
    /// No operation: a head is made by it only to keep a late one from making it.
    pub(super) fn fence() -> Self {
        Self {
            id: Uuid::now_v7(),
            slot: 0,
        }
    }
}

/// The head of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Stamps everything that the last operation wrote.
    pub(super) version: u64,
    pub(super) op: OpId,
    /// Requests ever made.
    pub(super) made: u64,
    /// Counts, the newest request's instant, the last usage mark.
    pub(super) account: Account,
}

/// A head as CQL keeps it.
type HeadRow = (i64, Uuid, i64, i64, i64, i64, i64, i64, i64, Vec<u8>);

impl Head {
    /// What an account is taken to be that has no row.
    pub(super) fn before_the_first() -> Self {
        Self {
            version: 0,
            op: OpId {
                id: Uuid::nil(),
                slot: 0,
            },
            made: 0,
            account: Account::default(),
        }
    }

    fn from_row(row: HeadRow) -> Result<Self> {
        let (version, op, op_slot, queued, pinning, pinned, failed, newest, made, mark) = row;
        let made = unsigned(made);
        Ok(Self {
            version: unsigned(version),
            op: OpId {
                id: op,
                slot: unsigned(op_slot),
            },
            made,
            account: Account {
                counts: StatusCounts {
                    queued: unsigned(queued),
                    pinning: unsigned(pinning),
                    pinned: unsigned(pinned),
                    failed: unsigned(failed),
                },
                newest: (made > 0).then(|| UnixMillis::new(unsigned(newest))),
                mark: decode::<MarkRow>("usage mark", &mark)?.into(),
            },
        })
    }

    fn to_row(self) -> Result<HeadRow> {
        let counts = self.account.counts;
        let newest = self.account.newest.map_or(0, UnixMillis::as_millis);
        Ok((
            bigint(self.version),
            self.op.id,
            bigint(self.op.slot),
            bigint(counts.queued),
            bigint(counts.pinning),
            bigint(counts.pinned),
            bigint(counts.failed),
            bigint(newest),
            bigint(self.made),
            encode(&MarkRow::from(&self.account.mark))?,
        ))
    }
}

/// What a process remembers of heads.
#[derive(Debug)]
pub(crate) struct Heads {
    /// Heads as this process left them, with everything applied.
    own: Cache<AccountId, Head>,
    /// The last operation of an account that is known to be applied.
    applied: Cache<AccountId, Uuid>,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            own: Cache::new(REMEMBERED_MAX),
            applied: Cache::new(REMEMBERED_MAX),
        }
    }
}

impl Heads {
    /// Takes the head that this process left, if it still remembers it: whoever takes it puts it
    /// back when all has gone well.
    pub(super) fn take(&self, account: &AccountId) -> Option<Head> {
        self.own.remove(account).map(|(_, head)| head)
    }

    /// Remembers a head whose operation has been applied.
    pub(super) fn keep(&self, account: &AccountId, head: Head) {
        self.own.insert(account.clone(), head);
        self.note_applied(account, head.op.id);
    }

    pub(super) fn note_applied(&self, account: &AccountId, op: Uuid) {
        self.applied.insert(account.clone(), op);
    }

    fn is_applied(&self, account: &AccountId, op: Uuid) -> bool {
        self.applied.get(account) == Some(op)
    }
}

impl Shared {
    /// An account's head, for reading: what another process has begun and not finished within a
    /// second is finished first, so that counts and lists agree.
    pub(super) async fn head_of(self: &Arc<Self>, account: &AccountId) -> Result<Option<Head>> {
        let Some(head) = self.read_head(Statement::HeadRead, account).await? else {
            return Ok(None);
        };
        let age = self.clock.reached().saturating_sub(head.version);
        if age > HELP_AFTER_MICROS {
            self.help(account, &head).await?;
        }
        Ok(Some(head))
    }

    /// An account's head as the next change must find it, with its operation applied.
    pub(super) async fn settled_head(
        self: &Arc<Self>,
        account: &AccountId,
    ) -> Result<Option<Head>> {
        let head = self.read_head(Statement::HeadReadSerial, account).await?;
        if let Some(head) = &head {
            self.help(account, head).await?;
        }
        Ok(head)
    }

    /// The head after everything that has begun to move it.
    pub(super) async fn serial_head(&self, account: &AccountId) -> Result<Option<Head>> {
        self.read_head(Statement::HeadReadSerial, account).await
    }

    /// Sees to it that a head's operation is applied: it is, if its intent is gone.
    async fn help(self: &Arc<Self>, account: &AccountId, head: &Head) -> Result<()> {
        if head.op.slot == 0 || self.heads.is_applied(account, head.op.id) {
            return Ok(());
        }
        if let Some(intent) = self.intent(head.op).await? {
            tracing::info!(%account, op = %head.op.id, "finishing what another process began");
            let rest = async {
                self.apply(&intent).await?;
                self.remove_intent(head.op, intent.version).await
            };
            one_change(rest).await?;
        }
        self.heads.note_applied(account, head.op.id);
        Ok(())
    }

    /// Moves a head, if it still has the version of `old`.
    pub(super) async fn move_head(
        &self,
        account: &AccountId,
        old: Option<&Head>,
        new: &Head,
    ) -> Result<Cas> {
        let home = self.account_home(account);
        let (a, b, c, d, e, f, g, h, i, j) = new.to_row()?;
        let key = account.as_str();
        let Some(old) = old else {
            let values = (a, b, c, d, e, f, g, h, i, j, key);
            return self
                .calls
                .condition(Statement::HeadBegin, home, values)
                .await;
        };
        let values = (a, b, c, d, e, f, g, h, i, j, key, bigint(old.version));
        self.calls
            .condition(Statement::HeadMove, home, values)
            .await
    }

    async fn read_head(&self, statement: Statement, account: &AccountId) -> Result<Option<Head>> {
        let home = self.account_home(account);
        let row: Option<HeadRow> = self.calls.row(statement, home, (account.as_str(),)).await?;
        let head = row.map(Head::from_row).transpose()?;
        if let Some(head) = &head {
            self.clock.observe(head.version);
        }
        Ok(head)
    }

    /// The home of everything whose partition begins with an account.
    pub(super) fn account_home(&self, account: &AccountId) -> Home {
        self.params.home(account.as_str().as_bytes())
    }
}
