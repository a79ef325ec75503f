//! Keeping chains at rest from being forgotten.
//!
//! The head of a segment leaves with its last entry, by the table's TTL: whatever stayed longer
//! would keep the file around it, and all the entries in there, on the disk. A chain that nobody
//! adds to would so begin anew one day, as if nothing had ever been in it. Rounds are made instead:
//! a head that has less than half of its time left is written once more as it is.

use super::{Chain, SegmentHead};
use crate::Result;
use crate::cql::Cql;
use crate::cql::number::bigint;
use crate::cql::statement::Statement;
use holdfast_model::UnixMillis;
use parking_lot::Mutex;

/// Seconds that a head must have left, or else it is renewed: half of the table's TTL.
const LEFT_SECONDS_MIN: i32 = 34_560_000 / 2;

/// Where the last round stopped: the next goes on there.
#[derive(Debug, Default)]
pub(in crate::cql) struct Rounds(Mutex<Option<String>>);

impl Cql {
    /// Looks at so many chains, and renews the heads of those that rest. No segment is swept here:
    /// entries leave by themselves.
    pub(crate) async fn sweep_audit(&self, _before: UnixMillis, limit: u32) -> Result<u64> {
        let shared = &self.shared;
        let after = shared.audit_rounds.0.lock().clone();
        let names = self.audit_tenants(after.as_deref(), limit).await?;
        for name in &names {
            Chain::of(shared, name).renew().await?;
        }
        let is_whole = names.len() >= limit as usize;
        let last = names.into_iter().next_back().filter(|_| is_whole);
        *shared.audit_rounds.0.lock() = last;
        Ok(0)
    }
}

impl Chain<'_> {
    async fn renew(&self) -> Result<()> {
        let Some(newest) = self.newest(Statement::AuditSegmentNewest).await? else {
            return Ok(());
        };
        let Some(SegmentHead { segment, head, ttl }) = self.last_head(newest).await? else {
            return Ok(());
        };
        if ttl.is_none_or(|left| left >= LEFT_SECONDS_MIN) {
            return Ok(());
        }
        let (seq, hash) = (bigint(head.seq), head.hash.as_slice());
        let values = (seq, hash, self.name, bigint(segment), seq, hash);
        let calls = &self.shared.calls;
        // Refused, it was moved meanwhile: then it does not rest.
        calls
            .condition(Statement::AuditRenew, self.home, values)
            .await?;
        Ok(())
    }
}
