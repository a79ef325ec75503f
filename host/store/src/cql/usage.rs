//! Usage: the difference of two marks.
//!
//! Marks lie in slots of time, so that an account that changes all the time has no partition that
//! grows without end; an index tells which slots have any. Neither is ever deleted: they are what
//! bills are made of.

use super::Cql;
use super::account::Head;
use super::number::{bigint, millis};
use super::statement::Statement;
use crate::Result;
use crate::row::{MarkRow, decode};
use futures_util::future::try_join;
use holdfast_model::{AccountId, Period, UnixMillis, Usage, UsageMark};

/// A slot lasts 2^19 milliseconds, 8.7 minutes: 60,000 a year, half a million marks at most.
const SLOT_BITS: u32 = 19;

/// The slot that a mark lies in.
pub(super) const fn usage_slot(at: UnixMillis) -> u64 {
    at.as_millis() >> SLOT_BITS
}

impl Cql {
    pub(crate) async fn usage(&self, account: &AccountId, period: Period) -> Result<Usage> {
        let head = self.shared.head_of(account).await?;
        let (start, end) = try_join(
            self.mark_before(account, head.as_ref(), period.start),
            self.mark_before(account, head.as_ref(), period.end),
        )
        .await?;
        Ok(Usage::between(period, start, end))
    }

    /// The last mark before an instant; the newest of all stands in the head.
    async fn mark_before(
        &self,
        account: &AccountId,
        head: Option<&Head>,
        end: UnixMillis,
    ) -> Result<Option<UsageMark>> {
        let Some(head) = head.filter(|head| head.made > 0) else {
            return Ok(None);
        };
        if head.account.mark.at < end {
            return Ok(Some(head.account.mark));
        }
        let home = self.shared.account_home(account);
        let values = (account.as_str(), bigint(usage_slot(end)));
        let slots: Vec<(i64,)> = self
            .shared
            .calls
            .rows(Statement::UsageSlotsUpto, home, values)
            .await?;
        // All marks of the end's own slot may come after it; those of the slot before do not.
        for (slot,) in slots {
            let values = (account.as_str(), slot, millis(end));
            let row: Option<(Vec<u8>,)> = self
                .shared
                .calls
                .row(Statement::MarkBefore, home, values)
                .await?;
            if let Some((mark,)) = row {
                return Ok(Some(decode::<MarkRow>("usage mark", &mark)?.into()));
            }
        }
        Ok(None)
    }
}
